package clients

import "syscall"

// tether ends a server when the tests die: a panic passes by every clean-up.
func tether() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
