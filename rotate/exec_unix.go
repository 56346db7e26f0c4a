//go:build unix

package rotate

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a group of a program and those that it starts, which ends when its time is over.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// endGroup ends what a program that has ended has left behind. The group's number isn't given
// to others while there is somebody in it.
func endGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
