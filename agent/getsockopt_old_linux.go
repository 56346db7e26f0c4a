//go:build linux && (386 || s390x)

package agent

// sysGetsockopt is the number that Linux gave the call in 4.3. Package syscall has the
// older way only, by which all calls about sockets had one number.
const sysGetsockopt = 365
