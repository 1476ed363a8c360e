package embedded

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithUs makes the kernel send the signal to the child when we die, even by kill -9.
func dieWithUs(cmd *exec.Cmd, signal syscall.Signal) { cmd.SysProcAttr.Pdeathsig = signal }

// commandLine is what the process was started with, joined by spaces and with one at the end; "" for none and for a zombie.
func commandLine(pid int) string {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(line), "\x00", " ")
}
