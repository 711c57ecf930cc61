package mailtest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// FreePort is a TCP port of loopback that nobody listens on, below those the kernel gives to
// clients and to listeners without a port of their own: a server that is started in a moment, or
// that was killed, finds it free.
func FreePort() (int, error) {
	for range 100 {
		port := 12000 + rand.IntN(20000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no port of loopback is free")
}
