//go:build !unix

package rotate

import "os/exec"

// ownGroup does nothing: the program itself is ended when its time is over.
func ownGroup(*exec.Cmd) {}

// endGroup does nothing: what a program has started is left alone.
func endGroup(*exec.Cmd) {}
