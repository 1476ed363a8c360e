//go:build unix && !linux

package embedded

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithUs does nothing here: the system has no such signal, so the next start stops what a killed process left behind.
func dieWithUs(*exec.Cmd, syscall.Signal) {}

// commandLine is what the process was started with, joined by spaces and with one at the end; "" for none.
func commandLine(pid int) string {
	line, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(line)) + " "
}
