package glue

import (
	"fmt"
	"time"

	"postern/internal/config"
	"postern/internal/relay/backend"
	"postern/internal/relay/client"
)

// Pools turns the configured backends into those of the relay, reading CA and password
// files. The error names the backend and the file.
func Pools(c *config.Config) (backend.Config, error) {
	out := backend.Config{LocalName: c.Hostname, Pools: map[string][]backend.Server{}}
	out.Timeouts = client.Timeouts{End: time.Duration(c.Relay.AfterDot)}
	for name, pool := range c.Backends {
		for _, b := range pool {
			s, err := server(b)
			if err != nil {
				return out, fmt.Errorf("backend %s (%s): %w", name, b.Addr, err)
			}
			out.Pools[name] = append(out.Pools[name], s)
		}
	}
	return out, nil
}

func server(b config.Backend) (backend.Server, error) {
	s := backend.Server{
		Addr: b.Addr, Protocol: client.Protocol(b.Protocol), Priority: b.Priority,
		MaxConns: b.MaxConns, XClient: b.XClient, XForward: b.XForward, TLS: client.TLS{ServerName: b.ServerName},
	}
	switch b.TLS {
	case "required":
		s.TLS.Mode = client.TLSRequired
	case "opportunistic":
		s.TLS.Mode = client.TLSOpportunistic
	}
	if b.CA != "" {
		pool, err := ReadCA(b.CA)
		if err != nil {
			return s, err
		}
		s.TLS.CA = pool
	}
	if b.Auth.User != "" {
		secret, err := config.ReadSecret(b.Auth.PasswordFile)
		if err != nil {
			return s, err
		}
		s.Auth = &client.Auth{User: b.Auth.User, Secret: secret}
	}
	return s, nil
}
