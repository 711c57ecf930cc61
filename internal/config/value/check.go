package value

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"postern/internal/strict"
)

// OneOf fails what is not one of the words allowed.
func OneOf(d *strict.Document, path, got string, allowed ...string) {
	if !slices.Contains(allowed, got) {
		d.Fail(path, "%q is not one of %s", got, strings.Join(allowed, ", "))
	}
}

// HostPort fails what is no address with a port.
func HostPort(d *strict.Document, path, s string, emptyHost bool) {
	host, port, err := net.SplitHostPort(s)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || n < 0 || n > 65535 || host == "" && !emptyHost {
		d.Fail(path, "%q is no address with a port (10.0.0.5:25)", s)
	}
}
