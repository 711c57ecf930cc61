package client

import "net"

// Quiet reports whether the server has not spoken, for tests that wait until it has.
func Quiet(nc net.Conn) bool { return peek(nc) == nothing }
