// Package glue joins rooms that may not know each other: each file adapts what one room
// offers to the small interface another room declared.
package glue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/config"
	"postern/internal/relay"
	"postern/internal/relay/client"
	"postern/internal/relay/recipient"
	"postern/internal/smtpd"
	"postern/rules"
)

// Known asks whether a recipient exists behind a backend.
type Known interface {
	Known(ctx context.Context, backend string, mode recipient.Mode, address string) (recipient.Answer, error)
}

// Directory says where a recipient goes: by routes for mail from outside, by the login's
// backend for people, by egress for local servers.
type Directory struct {
	Config   *atomic.Pointer[config.Config]
	Rules    *atomic.Pointer[rules.Set]
	Verifier Known
	// Desk reports whether an address is one of the abuse desk; nil: none is.
	Desk func(address string) bool
}

// Route implements smtpd.Directory.
func (d *Directory) Route(ctx context.Context, l *smtpd.Listener, login smtpd.Login, addr string) (filter.Recipient, error) {
	c := d.Config.Load()
	if own := d.own(c, addr); own != "" {
		to := filter.Recipient{Address: addr, Backend: own}
		if l.Kind == smtpd.KindInbound {
			to.Policy = d.Rules.Load().PolicyFor(addr)
		}
		return to, nil
	}
	switch l.Kind {
	case smtpd.KindSubmission:
		return filter.Recipient{Address: addr, Backend: backendOf(c, l.Name)}, nil
	case smtpd.KindSmarthost:
		return filter.Recipient{Address: addr, Backend: c.Egress}, nil
	}
	if !strings.Contains(addr, "@") { // RFC 5321 section 4.5.1: postmaster without a domain is ours
		home := HomeDomain(c)
		if home == "" {
			return filter.Recipient{}, relayDenied()
		}
		addr += "@" + home
	}
	r, ok := RouteFor(c, address.DomainOf(addr))
	if !ok {
		return filter.Recipient{}, relayDenied()
	}
	to := filter.Recipient{Address: addr, Policy: d.Rules.Load().PolicyFor(addr), Backend: r.Backend}
	a, err := d.Verifier.Known(ctx, r.Backend, recipient.Mode{Kind: recipient.Kind(r.Recipients), Path: r.File}, addr)
	var temp *recipient.TempError
	switch {
	case errors.As(err, &temp):
		return filter.Recipient{}, said(temp.Reply)
	case err != nil:
		return filter.Recipient{}, err
	case !a.Known:
		return filter.Recipient{}, said(a.Reply)
	}
	return to, nil
}

// own is the backend of an address whose mail stays within the gateway, or "".
func (d *Directory) own(c *config.Config, addr string) string {
	switch {
	case d.Desk != nil && d.Desk(addr):
		return relay.DeskBackend
	case c.TestInbox.Has(address.DomainOf(addr)):
		return relay.InboxBackend
	}
	return ""
}

// said is a backend's own answer, sanitised by the client, as ours.
func said(r client.Reply) *smtpd.Reply {
	out := &smtpd.Reply{Code: r.Code, Text: r.Text}
	if _, err := fmt.Sscanf(r.Enhanced, "%d.%d.%d", &out.Enhanced[0], &out.Enhanced[1], &out.Enhanced[2]); err != nil {
		out.Enhanced = [3]int{r.Code / 100, 0, 0}
	}
	return out
}

func relayDenied() *smtpd.Reply {
	return &smtpd.Reply{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "We do not take mail for this domain"}
}

func backendOf(c *config.Config, listener string) string {
	for _, l := range c.Listeners {
		if l.Name == listener {
			return l.Backend
		}
	}
	return ""
}

// RouteFor finds the route of a domain: its own name first, then the longest "*." above it.
func RouteFor(c *config.Config, domain string) (config.Route, bool) {
	if r, ok := c.Routes[domain]; ok {
		return r, true
	}
	if ascii, err := address.ToASCII(domain); err == nil && ascii != domain {
		return RouteFor(c, ascii)
	}
	for {
		_, up, ok := strings.Cut(domain, ".")
		if !ok {
			return config.Route{}, false
		}
		if r, ok := c.Routes["*."+up]; ok {
			return r, true
		}
		domain = up
	}
}

// HomeDomain is the domain that a bare "postmaster" belongs to: the host's own where it or
// its parent is routed, else the first route by name.
func HomeDomain(c *config.Config) string {
	for d := c.Hostname; d != ""; {
		if _, ok := c.Routes[d]; ok {
			return d
		}
		_, d, _ = strings.Cut(d, ".")
	}
	first := ""
	for d := range c.Routes {
		if !strings.HasPrefix(d, "*.") && (first == "" || d < first) {
			first = d
		}
	}
	return first
}
