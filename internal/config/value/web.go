package value

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"postern/internal/strict"
)

// Web is a listener that speaks HTTP.
type Web struct {
	Addr string `yaml:"addr" json:"addr,omitempty" jsonschema:"description=host:port; empty: not served"`
	TLS  WebTLS `yaml:"tls" json:"tls,omitempty" jsonschema:"description=certificate and key in PEM files\\, needed unless addr is of this machine alone"`
}

// Desk is the listener of the desk in the browser.
type Desk struct {
	Addr string `yaml:"addr" json:"addr,omitempty" jsonschema:"description=host:port\\, best of this machine alone; empty: not served"`
	TLS  WebTLS `yaml:"tls" json:"tls,omitempty" jsonschema:"description=certificate and key in PEM files\\, needed unless addr is of this machine alone"`
	URL  string `yaml:"url" json:"url,omitempty" jsonschema:"description=where browsers find it\\, as https://desk.example; needed where a proxy with TLS stands in front"`
}

// Web is the listener.
func (w Desk) Web() Web { return Web{Addr: w.Addr, TLS: w.TLS} }

// Secure reports whether browsers reach it over TLS.
func (w Desk) Secure() bool { return w.TLS.Cert != "" || strings.HasPrefix(w.URL, "https://") }

// Validate says what is wrong.
func (w Desk) Validate(d *strict.Document, at string) {
	w.Web().Validate(d, at, "passwords travel over it")
	if w.URL == "" {
		return
	}
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		d.Fail(at+".url", "%q is no address as https://desk.example", w.URL)
	}
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
