//go:build unix

package client

import (
	"errors"
	"net"
	"syscall"
)

// peek looks at a socket without waiting.
func peek(nc net.Conn) waiting {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nothing
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return hangup
	}
	found := hangup
	err = rc.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
			found = nothing
		case err == nil && n > 0:
			found = text
		}
	})
	if err != nil {
		return hangup
	}
	return found
}
