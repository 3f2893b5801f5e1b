//go:build !linux

package cmd

// harden: macOS protects a process of the same user only when it is signed with the
// hardened runtime, and Windows has no such switch. SECURITY.md says so.
func harden() {}
