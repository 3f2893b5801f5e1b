package command

import (
	"bytes"
	"os"
	"strconv"
)

// zombie reports whether pid has ended and waits for a parent: in a container init may
// never come.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(rest, []byte("Z"))
}
