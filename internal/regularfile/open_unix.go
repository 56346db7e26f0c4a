//go:build unix

package regularfile

import "syscall"

// WithoutWaiting opens a named pipe without waiting for somebody at its other end,
// and a terminal without becoming controlled by it. Regular files are read in the
// same way with and without these flags.
const WithoutWaiting = syscall.O_NONBLOCK | syscall.O_NOCTTY
