package value

import (
	"net"
	"net/netip"

	"postern/internal/strict"
)

// Web is a listener that speaks HTTP.
type Web struct {
	Addr string `yaml:"addr" json:"addr,omitempty" jsonschema:"description=host:port; empty: not served"`
	TLS  WebTLS `yaml:"tls" json:"tls,omitempty" jsonschema:"description=certificate and key in PEM files\\, needed unless addr is of this machine alone"`
}

// WebTLS is the certificate of a Web.
type WebTLS struct {
	Cert string `yaml:"cert" json:"cert,omitempty"`
	Key  string `yaml:"key" json:"key,omitempty"`
}

// On reports whether anything is served.
func (w Web) On() bool { return w.Addr != "" }

// Validate says what is wrong; travels is what goes over the listener.
func (w Web) Validate(d *strict.Document, at, travels string) {
	if (w.TLS.Cert == "") != (w.TLS.Key == "") {
		d.Fail(at+".tls", "cert and key go together")
	}
	if !w.On() {
		return
	}
	HostPort(d, at+".addr", w.Addr, true)
	if w.TLS.Cert == "" && !OwnMachine(w.Addr) {
		d.Fail(at, "%s can be reached from elsewhere, so it needs tls: %s", w.Addr, travels)
	}
}

// OwnMachine reports whether only this machine reaches the address.
func OwnMachine(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
