package desk

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"postern/internal/config/value"
	"postern/internal/strict"
)

// Connectors carry measures to the systems around the gateway.
type Connectors struct {
	PolicyService PolicyService `yaml:"postfix_policy" json:"postfix_policy,omitempty" jsonschema:"description=check_policy_service of a Postfix"`
	Table         PostfixTable  `yaml:"postfix_table" json:"postfix_table,omitempty" jsonschema:"description=check_sasl_access of a Postfix on this machine; in force without us"`
	Queue         PostfixQueue  `yaml:"postfix_queue" json:"postfix_queue,omitempty" jsonschema:"description=queue of a Postfix on this machine: mail of a held or suspended account stays in it"`
	Deny          DovecotDeny   `yaml:"dovecot_deny" json:"dovecot_deny,omitempty" jsonschema:"description=deny passdb of a Dovecot on this machine; in force without us"`
	AuthPolicy    DovecotPolicy `yaml:"dovecot_policy" json:"dovecot_policy,omitempty" jsonschema:"description=auth_policy_server of a Dovecot"`
	Webhooks      []Webhook     `yaml:"webhooks" json:"webhooks,omitempty"`
	SCIM          []SCIM        `yaml:"scim" json:"scim,omitempty"`
}

// PolicyService is where Postfix asks at each recipient.
type PolicyService struct {
	Addr string `yaml:"addr" json:"addr,omitempty" jsonschema:"description=unix:/path or host:port; empty: not served"`
	Help string `yaml:"help" json:"help,omitempty" jsonschema:"description=web address that refusals name"`
}

// PostfixTable is a lookup table that postmap writes.
type PostfixTable struct {
	Map      string `yaml:"map" json:"map,omitempty" jsonschema:"description=lmdb:/path; empty: none"`
	Postmap  string `yaml:"postmap" json:"postmap,omitempty" jsonschema:"description=path of the program"`
	Required bool   `yaml:"required" json:"required,omitempty" jsonschema:"description=a measure is active only when this proved it"`
}

// PostfixQueue is a queue in which postsuper holds mail.
type PostfixQueue struct {
	Config   string   `yaml:"config" json:"config,omitempty" jsonschema:"description=folder of its main.cf, such as /etc/postfix; empty: none"`
	AsRoot   []string `yaml:"as_root" json:"as_root,omitempty" jsonschema:"description=command put before postcat and postsuper, such as [sudo, -n]"`
	Senders  bool     `yaml:"senders" json:"senders,omitempty" jsonschema:"description=mail that came without a login counts as its envelope sender's"`
	Required bool     `yaml:"required" json:"required,omitempty" jsonschema:"description=a measure is active only when this proved it"`
}

// DovecotDeny is a set of passwd-files.
type DovecotDeny struct {
	Prefix   string   `yaml:"prefix" json:"prefix,omitempty" jsonschema:"description=/path/deny. to which the service's name is added; empty: none"`
	Kick     []string `yaml:"kick" json:"kick,omitempty" jsonschema:"description=command that ends the sessions of the account named after it"`
	Flush    []string `yaml:"flush" json:"flush,omitempty" jsonschema:"description=command after a change"`
	Required bool     `yaml:"required" json:"required,omitempty"`
}

// DovecotPolicy is where Dovecot asks and reports at each sign-in.
type DovecotPolicy struct {
	Addr       string `yaml:"addr" json:"addr,omitempty" jsonschema:"description=host:port; empty: not served"`
	SecretFile string `yaml:"secret_file" json:"secret_file,omitempty" jsonschema:"description=what stands in X-API-Key"`
}

// Webhook is told of measures by signed events, and answers whether they are in force.
type Webhook struct {
	Name        string         `yaml:"name" json:"name"`
	URL         string         `yaml:"url" json:"url"`
	SecretFiles []string       `yaml:"secret_files" json:"secret_files" jsonschema:"description=each holds one whsec_ secret; all sign"`
	Networks    []value.Prefix `yaml:"networks" json:"networks,omitempty" jsonschema:"description=private networks it may be in"`
	Sessions    bool           `yaml:"sessions" json:"sessions,omitempty" jsonschema:"description=it can end sessions"`
	Required    bool           `yaml:"required" json:"required,omitempty"`
}

// SCIM switches users off at a SCIM 2.0 provider.
type SCIM struct {
	Name      string         `yaml:"name" json:"name"`
	URL       string         `yaml:"url" json:"url" jsonschema:"description=https://host/scim/v2"`
	TokenFile string         `yaml:"token_file" json:"token_file"`
	Networks  []value.Prefix `yaml:"networks" json:"networks,omitempty" jsonschema:"description=private networks it may be in"`
	Required  bool           `yaml:"required" json:"required,omitempty"`
}

func (c Connectors) validate(d *strict.Document) {
	const at = "abuse.connectors."
	if a := c.PolicyService.Addr; a != "" && !strings.HasPrefix(a, "unix:/") {
		value.HostPort(d, at+"postfix_policy.addr", a, true)
		if !value.OwnMachine(a) {
			d.Fail(at+"postfix_policy.addr", "%s can be reached from elsewhere, and the policy protocol knows no sign-in: use an address of this machine", a)
		}
	}
	if m := c.Table.Map; m != "" {
		if kind, path, ok := strings.Cut(m, ":"); !ok || kind == "" || !filepath.IsAbs(path) {
			d.Fail(at+"postfix_table.map", "%q is no table as postmap writes it: lmdb:/path", m)
		}
	}
	if dir := c.Queue.Config; dir != "" && !filepath.IsAbs(dir) {
		d.Fail(at+"postfix_queue.config", "%q is no absolute path", dir)
	}
	if p := c.Deny.Prefix; p != "" && !filepath.IsAbs(p) {
		d.Fail(at+"dovecot_deny.prefix", "%q is no absolute path", p)
	}
	if a := c.AuthPolicy.Addr; a != "" {
		value.HostPort(d, at+"dovecot_policy.addr", a, true)
		if c.AuthPolicy.SecretFile == "" {
			d.Fail(at+"dovecot_policy", "it needs secret_file: sign-ins would be told to anybody")
		}
	}
	names := map[string]bool{"postfix": true, "postfix-queue": true, "dovecot": true}
	for i, w := range c.Webhooks {
		place := fmt.Sprintf("%swebhooks[%d]", at, i)
		once(d, place, names, w.Name)
		webAddress(d, place+".url", w.URL)
		if len(w.SecretFiles) == 0 {
			d.Fail(place, "a webhook needs secret_files: events are signed")
		}
	}
	for i, s := range c.SCIM {
		place := fmt.Sprintf("%sscim[%d]", at, i)
		once(d, place, names, s.Name)
		webAddress(d, place+".url", s.URL)
		if s.TokenFile == "" {
			d.Fail(place, "a SCIM provider needs token_file")
		}
	}
}

func once(d *strict.Document, at string, names map[string]bool, name string) {
	if name == "" || names[name] {
		d.Fail(at+".name", "%q: each connector has a name of its own; postfix, postfix-queue and dovecot are taken", name)
	}
	names[name] = true
}

// webAddress takes https, and http to this machine.
func webAddress(d *strict.Document, at, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !value.OwnMachine(u.Hostname()+":1")) {
		d.Fail(at, "%q is no https address (http only to this machine)", text)
	}
}
