package config

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"
	"github.com/invopop/jsonschema"

	"postern/internal/strict"
)

// Load reads, completes and checks the file. The error names every wrong place at once.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, strict.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, src)
}

// Parse is Load over bytes; file is only the name shown in errors.
func Parse(file string, src []byte) (*Config, error) {
	c := Default()
	d := strict.Decode(file, src, c)
	c.complete()
	c.validate(d)
	if err := d.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// complete fills what depends on other values.
func (c *Config) complete() {
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if l.Framing == "" {
			l.Framing = "refuse"
			if l.Kind == KindSmarthost {
				l.Framing = "normalize"
			}
		}
		switch l.Kind {
		case KindSubmission:
			l.Senders = or(l.Senders, SendersOwn)
		case KindSmarthost:
			l.Senders = or(l.Senders, SendersAny)
		}
	}
	for name, pool := range c.Backends {
		for i := range pool {
			b := &pool[i]
			b.Protocol = or(b.Protocol, "smtp")
			b.TLS = or(b.TLS, "opportunistic")
			if b.Priority == 0 {
				b.Priority = 10
			}
			if b.MaxConns == 0 {
				b.MaxConns = 45
			}
		}
		c.Backends[name] = pool
	}
	for domain, r := range c.Routes {
		r.Recipients = or(r.Recipients, "verify")
		c.Routes[domain] = r
	}
	for i := range c.Lists {
		c.Lists[i].Of = or(c.Lists[i].Of, "ip")
	}
	c.Auth.AuthservID = or(c.Auth.AuthservID, c.Hostname)
	c.Auth.ArcDomain = or(c.Auth.ArcDomain, c.Hostname)
	c.Reports.Org = or(c.Reports.Org, c.Hostname)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Print writes the effective configuration as YAML that Parse reads back to the same.
func (c *Config) Print(w io.Writer) error {
	b, err := yaml.MarshalWithOptions(c, yaml.Indent(2), yaml.IndentSequence(true), yaml.OmitEmpty())
	if err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	_, err = w.Write(b)
	return err
}

// Schema is the JSON Schema of the file, for editors.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, ExpandedStruct: true}
	s := r.Reflect(&Config{})
	s.ID = "https://postern.example/schema/postern.json"
	s.Title = "postern.yaml"
	return s.MarshalJSON()
}

// ReadSecret reads the first line of a secret file. The error never shows the content.
func ReadSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line := b
	for i, c := range b {
		if c == '\n' || c == '\r' {
			line = b[:i]
			break
		}
	}
	if len(line) == 0 {
		return "", errors.New(path + ": the secret file is empty")
	}
	return string(line), nil
}

// Warnings are things that work but surely are not what was meant.
func (c *Config) Warnings() []string {
	var w []string
	if len(c.ClamAV.Addrs) == 0 {
		w = append(w, "clamav.addrs is empty: nothing is scanned for viruses")
	} else if c.Limits.Message > c.ClamAV.StreamMax {
		w = append(w, fmt.Sprintf("limits.message (%s) is larger than clamav.stream_max (%s): larger mail counts as unscannable", c.Limits.Message, c.ClamAV.StreamMax))
	}
	if len(c.Alerts.Mail) == 0 && c.Alerts.Webhook.URL == "" {
		w = append(w, "alerts go to the log alone: set alerts.mail or alerts.webhook")
	}
	if c.Store.Home == HomeRedis && c.Abuse.Trace.KeyFile == "" {
		w = append(w, "abuse.trace.key_file is not set: each node makes trace tokens that no other one can open")
	}
	if c.Backup.Dir == "" {
		w = append(w, "backup.dir is empty: no backups are made")
	} else if len(c.Backup.Recipients) == 0 {
		w = append(w, "backup.recipients is empty: keys are in no backup")
	}
	for _, l := range c.Listeners {
		if l.Kind == KindInbound && l.TLS.Cert == "" {
			w = append(w, fmt.Sprintf("listener %s has no certificate: mail comes in unencrypted", l.Name))
		}
	}
	return w
}
