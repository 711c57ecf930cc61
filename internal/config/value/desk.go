package value

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"postern/internal/strict"
)

// Desk is the desk in the browser.
type Desk struct {
	Addr    string   `yaml:"addr" json:"addr,omitempty" jsonschema:"description=host:port\\, best of this machine alone; empty: not served"`
	TLS     WebTLS   `yaml:"tls" json:"tls,omitempty" jsonschema:"description=certificate and key in PEM files\\, needed unless addr is of this machine alone"`
	URL     string   `yaml:"url" json:"url,omitempty" jsonschema:"description=where browsers find it\\, as https://desk.example; needed where a proxy with TLS stands in front\\, and for oidc"`
	Proxies []Prefix `yaml:"proxies" json:"proxies,omitempty" jsonschema:"description=networks of the proxies in front\\, whose X-Forwarded-For is believed"`
	KeyFile string   `yaml:"key_file" json:"key_file,omitempty" jsonschema:"description=key that seals the secrets of second factors\\, the same on every node; made in the state folder by default"`
	TOTP    []string `yaml:"totp" json:"totp,omitempty" jsonschema:"description=roles that need codes of an authenticator beside their password"`
	OIDC    OIDC     `yaml:"oidc" json:"oidc,omitempty" jsonschema:"description=an OpenID provider where people may sign in as well"`
}

// OIDC is an OpenID provider.
type OIDC struct {
	Name       string            `yaml:"name" json:"name,omitempty" jsonschema:"description=what people call it"`
	Issuer     string            `yaml:"issuer" json:"issuer,omitempty" jsonschema:"description=https address; empty: none"`
	ClientID   string            `yaml:"client_id" json:"client_id,omitempty"`
	SecretFile string            `yaml:"secret_file" json:"secret_file,omitempty" jsonschema:"description=holds the client secret"`
	Scopes     []string          `yaml:"scopes" json:"scopes,omitempty" jsonschema:"description=asked for beside openid; email and profile by default"`
	Claim      string            `yaml:"claim" json:"claim,omitempty" jsonschema:"description=claim of the ID token with the groups of somebody"`
	Roles      map[string]string `yaml:"roles" json:"roles,omitempty" jsonschema:"description=role by group\\, for people who are no users yet: user\\, abuse-agent\\, abuse-lead or auditor"`
}

// Web is the listener.
func (w Desk) Web() Web { return Web{Addr: w.Addr, TLS: w.TLS} }

// Secure reports whether browsers reach it over TLS.
func (w Desk) Secure() bool { return w.TLS.Cert != "" || strings.HasPrefix(w.URL, "https://") }

// Behind are the networks of the proxies in front.
func (w Desk) Behind() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range w.Proxies {
		all = append(all, p.Prefix)
	}
	return all
}

// DeskRoles are the roles of users of the desk.
func DeskRoles() []string {
	return []string{"user", "domain-admin", "abuse-agent", "abuse-lead", "postmaster", "auditor"}
}

// ProvidedRoles are those that an OpenID provider may give: what needs domains, and what may do
// everything, a postmaster gives.
func ProvidedRoles() []string { return []string{"user", "abuse-agent", "abuse-lead", "auditor"} }

// Validate says what is wrong.
func (w Desk) Validate(d *strict.Document, at string) {
	w.Web().Validate(d, at, "passwords travel over it")
	if w.URL != "" {
		u, err := url.Parse(w.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			d.Fail(at+".url", "%q is no address as https://desk.example", w.URL)
		}
	}
	for i, role := range w.TOTP {
		if !slices.Contains(DeskRoles(), role) {
			d.Fail(fmt.Sprintf("%s.totp[%d]", at, i), "%q is no role: %s", role, strings.Join(DeskRoles(), ", "))
		}
	}
	for i, p := range w.Proxies {
		if p.Bits() == 0 {
			d.Fail(fmt.Sprintf("%s.proxies[%d]", at, i), "%s is everybody: any reader could claim any address", p)
		}
	}
	if w.OIDC.Issuer != "" {
		w.OIDC.validate(d, at+".oidc")
		if w.URL == "" {
			d.Fail(at+".url", "oidc needs it: the provider sends people back there")
		}
	} else if w.OIDC.ClientID != "" || w.OIDC.SecretFile != "" {
		d.Fail(at+".oidc", "issuer is needed")
	}
}

func (o OIDC) validate(d *strict.Document, at string) {
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		d.Fail(at+".issuer", "%q is no address as https://id.example", o.Issuer)
	case u.Scheme != "https" && (u.Scheme != "http" || !OwnMachine(u.Host)):
		d.Fail(at+".issuer", "%q has to be https: who we believe comes from there", o.Issuer)
	}
	if o.ClientID == "" {
		d.Fail(at+".client_id", "it is needed")
	}
	if len(o.Name) > 60 {
		d.Fail(at+".name", "at most 60 octets")
	}
	if (len(o.Roles) > 0) != (o.Claim != "") {
		d.Fail(at+".roles", "claim and roles go together")
	}
	for group, role := range o.Roles {
		if !slices.Contains(ProvidedRoles(), role) {
			d.Fail(at+".roles", "%s: %q is none of the roles that a provider gives: %s", group, role, strings.Join(ProvidedRoles(), ", "))
		}
	}
}
