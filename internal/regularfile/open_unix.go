//go:build unix

package regularfile

import "syscall"

// withoutWaiting opens a named pipe without waiting for somebody at its other end,
// and a terminal without becoming controlled by it. Regular files are read in the
// same way with and without these flags.
const withoutWaiting = syscall.O_NONBLOCK | syscall.O_NOCTTY
