package store

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// giveUpSilent ends connections on which nothing is acknowledged any more: a server whose machine is gone says nothing.
func giveUpSilent(_, _ string, c syscall.RawConn) (err error) {
	failed := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int((2 * statementMost).Milliseconds()))
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOPROTOOPT) { // a unix socket
		err = nil
	}
	return errors.Join(failed, err)
}
