package sender

import (
	"context"
	"net/netip"
	"strings"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/dns"
)

// Helo is the step that looks at the name given at HELO or EHLO. ours reports names that
// only we may give: our host name and the routed domains.
func Helo(r Resolver, ours func(name string) bool) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		ctx = dns.WithShare(ctx, dns.Names)
		name := strings.ToLower(strings.TrimSuffix(m.Client.Helo, "."))
		if name == "" {
			return nil, nil // scan without --helo; a session has one
		}
		found := func(symbol string) ([]filter.Finding, error) {
			return []filter.Finding{{Symbol: symbol, Detail: m.Client.Helo}}, nil
		}
		if _, err := netip.ParseAddr(name); err == nil {
			return found(HeloBareIP)
		}
		if lit, ok := strings.CutPrefix(name, "["); ok {
			ip, err := netip.ParseAddr(strings.TrimPrefix(strings.TrimSuffix(lit, "]"), "ipv6:"))
			switch {
			case err != nil || !strings.HasSuffix(lit, "]"):
				return found(HeloInvalid)
			case m.Client.IP.IsValid() && ip.Unmap() != m.Client.IP.Unmap():
				return found(HeloLiteral)
			}
			return nil, nil
		}
		switch {
		case !address.ValidDomain(name):
			return found(HeloInvalid)
		case !m.Client.IP.IsLoopback() && ours(name):
			return found(HeloIsUs)
		case !strings.Contains(name, "."):
			return found(HeloNoDot)
		}
		_, err := r.IPs(ctx, name)
		if notFound(err) {
			return found(HeloNoName)
		}
		if err != nil {
			return nil, couldNot(err)
		}
		return nil, nil
	})
}

// Domain is the step that looks at the sender's domain: mail that cannot be answered.
func Domain(r Resolver) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		ctx = dns.WithShare(ctx, dns.Names)
		domain := m.FromDomain()
		if domain == "" || strings.HasPrefix(domain, "[") {
			return nil, nil
		}
		mxs, err := r.MX(ctx, domain)
		switch {
		case err == nil && len(mxs) == 1 && mxs[0].Host == "":
			return []filter.Finding{{Symbol: SenderNullMX, Detail: domain}}, nil
		case err == nil && len(mxs) > 0:
			return nil, nil
		case err != nil && !notFound(err):
			return nil, couldNot(err)
		}
		_, err = r.IPs(ctx, domain)
		if notFound(err) {
			return []filter.Finding{{Symbol: SenderNoHost, Detail: domain}}, nil
		}
		if err != nil {
			return nil, couldNot(err)
		}
		return nil, nil
	})
}
