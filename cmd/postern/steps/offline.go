package steps

import (
	"context"
	"log/slog"
	"time"

	"postern/blocklist"
	"postern/cmd/postern/setup"
	"postern/filter"
	"postern/filter/attach"
	"postern/filter/auth"
	"postern/filter/clamav"
	"postern/filter/header"
	"postern/filter/link"
	"postern/filter/page"
	"postern/filter/sender"
	"postern/filter/shape"
	"postern/internal/config"
	"postern/internal/dns"
	"postern/rules"
)

// Offline is the pipeline for message files: the checks that need no state of ours. Greylist,
// limits, own lists and accounts are left out. Without DNS nothing is asked at all. Close the
// result. Pictures reads the QR codes of pictures; nil: none are read.
func Offline(ctx context.Context, c *config.Config, set *rules.Set, log *slog.Logger, now func() time.Time, withDNS bool, pictures link.Pictures) (*filter.Pipeline, func(), error) {
	us := setup.Us(c)
	targets := link.New(us.Domains)
	targets.Pictures = pictures
	checks := Checks{Header: header.New(us), Targets: targets, Shape: shape.Check{}, Page: page.Check{}, Attach: &attach.Check{Limits: setup.ArchiveLimits(c.ClamAV)}}
	checks.SPF, checks.Auth = unasked, unasked
	closeAll := func() {}
	if withDNS {
		r, err := dns.New(setup.DNSConfig(c))
		if err != nil {
			return nil, nil, err
		}
		closeAll = r.Close
		if err := offlineDNS(ctx, &checks, r, c, log, now); err != nil {
			closeAll()
			return nil, nil, err
		}
	}
	if len(c.ClamAV.Addrs) > 0 {
		s, err := clamav.New(setup.ScannerConfig(c.ClamAV), clamav.Parts{Now: now, Log: log})
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		if err := s.Probe(ctx); err != nil {
			log.Warn("clamd is not ready", "err", err)
		}
		checks.ClamAV = s
	}
	return Pipeline(checks, set, c, log), closeAll, nil
}

// listsTested bounds the self-tests of all lists before the first message.
const listsTested = 3 * time.Second

func offlineDNS(ctx context.Context, checks *Checks, r *dns.Resolver, c *config.Config, log *slog.Logger, now func() time.Time) error {
	lists, err := blocklist.NewLists(setup.ListConfigs(c), blocklist.ListParts{Resolver: r, Now: now, Log: log, Seed: "files"})
	if err != nil {
		return err
	}
	checks.Reverse = needsIP(sender.ReverseName(r))
	checks.Helo = sender.Helo(r, func(string) bool { return false })
	checks.Sender = sender.Domain(r)
	checks.SPF = needsIP(auth.SPF(r, c.Hostname))
	checks.Auth = auth.Message(r, now, func() auth.Trust { return auth.Trust{Sealers: c.Auth.TrustedSealers} })
	checks.Lists = needsIP(lists.Client())
	checks.DomainLists = lists.Sender()
	checks.Links = lists.Links(func(domain string) bool { _, ok := c.Routes[domain]; return ok })
	test, cancel := context.WithTimeout(ctx, listsTested)
	defer cancel()
	lists.Test(test) // a list counts only after it
	return nil
}

// needsIP says that a check was not done where no client address was given.
func needsIP(c filter.Check) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		if !m.Client.IP.IsValid() {
			return nil, &filter.CouldNot{Words: "no client address was given"}
		}
		return c.Check(ctx, m)
	})
}

// unasked stands for checks that need DNS where none may be asked.
var unasked = filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) {
	return nil, &filter.CouldNot{Words: "DNS was not asked"}
})
