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

// Public is the listener with the pages for everybody.
type Public struct {
	Addr    string   `yaml:"addr" json:"addr,omitempty" jsonschema:"description=host:port; empty: not served"`
	TLS     WebTLS   `yaml:"tls" json:"tls,omitempty" jsonschema:"description=certificate and key in PEM files\\, needed unless addr is of this machine alone"`
	URL     string   `yaml:"url" json:"url,omitempty" jsonschema:"description=where everybody finds it\\, as https://mail.example; links in digests begin with it"`
	Proxies []Prefix `yaml:"proxies" json:"proxies,omitempty" jsonschema:"description=proxies in front whose X-Forwarded-For is believed"`
}

// Web is the listener.
func (p Public) Web() Web { return Web{Addr: p.Addr, TLS: p.TLS} }

// Secure reports whether browsers reach it over TLS.
func (p Public) Secure() bool { return p.TLS.Cert != "" || strings.HasPrefix(p.URL, "https://") }

// At is the address of a path of these pages; "" where nobody knows where they are.
func (p Public) At(path string) string {
	if p.URL == "" || !p.Web().On() {
		return ""
	}
	return strings.TrimSuffix(p.URL, "/") + path
}

// Networks are those of the proxies.
func (p Public) Networks() []netip.Prefix {
	var all []netip.Prefix
	for _, n := range p.Proxies {
		all = append(all, n.Prefix)
	}
	return all
}

// Validate says what is wrong.
func (p Public) Validate(d *strict.Document, at string) {
	p.Web().Validate(d, at, "complaints travel over it")
	siteAddress(d, at+".url", p.URL, "https://mail.example")
	if len(p.URL) > 100 {
		d.Fail(at+".url", "%d octets; links have room for 100", len(p.URL))
	}
}

func siteAddress(d *strict.Document, at, text, like string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		d.Fail(at, "%q is no address as %s", text, like)
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
