package blocklist

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"postern/blocklist/zone"
	"postern/filter"
)

// errNotRead is the answer while the lists were never read.
func errNotRead() error { return &filter.CouldNot{Words: "own lists are not read yet"} }

// Recipient is the check for OnRecipient: entries against the client's address and MAIL FROM
// in the scope of each recipient. postmaster@ and abuse@ are never blocked here, so that who
// is blocked can ask why. An allow entry for an address of a host counts at once; one for a
// domain or a mail address waits for proof, see Content.
func (o *Own) Recipient() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		t := o.table.Load()
		if t == nil {
			return nil, errNotRead()
		}
		hosts := o.live(t.byIP(m.Client.IP))
		blocks := append(slices.Clone(hosts), o.live(t.byAddress(subject(m.From)))...)
		blocks = slices.DeleteFunc(blocks, func(e *Entry) bool { return e.Allow })
		allows := slices.DeleteFunc(slices.Clone(hosts), func(e *Entry) bool { return !e.Allow })
		return append(findings(m, OwnBlock, blocks), findings(m, OwnAllow, allows)...), nil
	})
}

// Results returns what authentication found about the message, waiting for it if need be.
type Results func(ctx context.Context, m *filter.Message) ([]filter.Finding, error)

// Content is the check for OnData: block entries against the author in From:, and allow
// entries for domains and mail addresses, which count only where the address is proved by
// an aligned SPF or DKIM pass. For an author it is DMARC that says so, where it says
// anything. results nil means m.Seen.
func (o *Own) Content(results Results) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		t := o.table.Load()
		if t == nil {
			return nil, errNotRead()
		}
		authors := authorsOf(m)
		var blocks []*Entry
		for _, a := range authors {
			blocks = append(blocks, o.live(t.byAddress(a))...)
		}
		blocks = slices.DeleteFunc(blocks, func(e *Entry) bool { return e.Allow })
		found := findings(m, OwnBlock, blocks)

		candidates := authors
		if from := subject(m.From); from != "" && !slices.Contains(authors, from) {
			candidates = append(slices.Clone(authors), from)
		}
		hits := map[string][]*Entry{}
		for _, a := range candidates {
			if e := slices.DeleteFunc(o.live(t.byAddress(a)), func(e *Entry) bool { return !e.Allow }); len(e) > 0 {
				hits[a] = e
			}
		}
		if len(hits) == 0 {
			return found, nil
		}
		seen := m.Seen
		if results != nil {
			auth, err := results(ctx, m)
			seen = append(slices.Clone(seen), auth...)
			if err != nil {
				return append(found, o.allowed(m, candidates, hits, seen)...), err
			}
		}
		return append(found, o.allowed(m, candidates, hits, seen)...), nil
	})
}

// allowed are the findings of those allow entries whose address is proved. Several authors
// prove nothing: a reader sees only one of them.
func (o *Own) allowed(m *filter.Message, candidates []string, hits map[string][]*Entry, seen []filter.Finding) []filter.Finding {
	authors := authorsOf(m)
	if len(authors) > 1 {
		return nil
	}
	var all []*Entry
	for _, a := range candidates {
		domain := a[strings.LastIndexByte(a, '@')+1:]
		by := proved
		if slices.Contains(authors, a) {
			by = func(domain string, seen []filter.Finding) bool { return authorProved(m, domain, seen) }
		}
		if len(hits[a]) > 0 && by(domain, seen) {
			for _, e := range hits[a] {
				if !slices.Contains(all, e) {
					all = append(all, e)
				}
			}
		}
	}
	return findings(m, OwnAllow, all)
}

// authorsOf are the distinct addresses in From: as entries hold them.
func authorsOf(m *filter.Message) []string {
	if m.Parts == nil {
		return nil
	}
	tree, err := m.Parts()
	if err != nil || tree == nil {
		return nil
	}
	var all []string
	for _, box := range tree.From() {
		if a := subject(box.Address); a != "" && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// authorProved reports whether the author's domain is proved. DMARC finds the organizational
// domain by its own tree walk and knows whether the owner wants strict alignment, so its
// pass or fail decides. With a null sender its pass may rest on SPF of the HELO name, which
// proves a host and no address: then only a signature counts.
func authorProved(m *filter.Message, domain string, seen []filter.Finding) bool {
	for _, f := range seen {
		if f.Auth == nil || f.Auth.Method != "dmarc" || zone.Domain(f.Auth.Prop("header", "from")) != domain {
			continue
		}
		switch {
		case f.Auth.Result == "fail":
			return false
		case f.Auth.Result == "pass" && m.From != "":
			return true
		}
	}
	return proved(domain, seen)
}

// proved reports whether SPF or DKIM passed for a domain aligned with this one (relaxed
// alignment, RFC 9989: the same organizational domain).
func proved(domain string, seen []filter.Finding) bool {
	for _, f := range seen {
		if f.Auth == nil || f.Auth.Result != "pass" {
			continue
		}
		by := ""
		switch f.Auth.Method {
		case "spf":
			by = f.Auth.Prop("smtp", "mailfrom")
			by = by[strings.LastIndexByte(by, '@')+1:]
		case "dkim":
			by = f.Auth.Prop("header", "d")
		}
		if aligned(domain, zone.Domain(by)) {
			return true
		}
	}
	return false
}

func aligned(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if a == b {
		return true
	}
	orgA, errA := publicsuffix.EffectiveTLDPlusOne(a)
	orgB, errB := publicsuffix.EffectiveTLDPlusOne(b)
	return errA == nil && errB == nil && orgA == orgB
}

// findings turns entries into one finding per recipient they concern and that has none yet.
// An allow entry for all recipients is one finding for all of them.
func findings(m *filter.Message, symbol string, entries []*Entry) []filter.Finding {
	if len(entries) == 0 {
		return nil
	}
	var all []filter.Finding
	add := func(f filter.Finding) {
		same := func(o filter.Finding) bool { return o.Symbol == f.Symbol && o.For == f.For && o.Detail == f.Detail }
		if !slices.ContainsFunc(m.Seen, same) && !slices.ContainsFunc(all, same) {
			all = append(all, f)
		}
	}
	for _, e := range entries {
		detail := e.Value
		if e.Reason != "" {
			detail += ": " + e.Reason
		}
		if e.Allow && e.Scope == All {
			add(filter.Finding{Symbol: symbol, Detail: detail})
			continue
		}
		for _, to := range m.To {
			if key := subject(to.Address); e.covers(key) && (e.Allow || !mustReach(key)) {
				add(filter.Finding{Symbol: symbol, Detail: detail, For: to.Address})
			}
		}
	}
	return all
}

// mustReach names the mailboxes that take mail from everybody (RFC 5321 section 4.5.1,
// RFC 2142).
func mustReach(recipient string) bool {
	at := strings.LastIndexByte(recipient, '@')
	if at < 0 {
		return true // "postmaster" alone
	}
	local, _, _ := strings.Cut(recipient[:at], "+")
	return local == "postmaster" || local == "abuse"
}
