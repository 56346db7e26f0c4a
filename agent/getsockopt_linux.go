//go:build linux && !386 && !s390x

package agent

import "syscall"

const sysGetsockopt = syscall.SYS_GETSOCKOPT
