//go:build !unix

package client

import "net"

// peek cannot be done here: a dead connection shows at its first use.
func peek(net.Conn) waiting { return nothing }
