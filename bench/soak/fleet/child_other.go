//go:build !linux

package main

import "syscall"

// endsWithUs has a child end even when this process is killed, where the system
// can. Workers do in any case, as their input ends.
func endsWithUs() *syscall.SysProcAttr { return nil }
