package cmd

import "io/fs"

// ownedByUs: the user's folder for temporary files is private on Windows.
func ownedByUs(fs.FileInfo) bool { return true }
