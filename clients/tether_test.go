//go:build !linux

package clients

import "syscall"

// tether has no meaning here: a server outlives tests that panic.
func tether() *syscall.SysProcAttr { return nil }
