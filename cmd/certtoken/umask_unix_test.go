//go:build unix

package main

import "syscall"

func init() { setUmask = func() { syscall.Umask(0o022) } }
