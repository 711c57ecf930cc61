package sources

import (
	"context"
	"slices"
	"strings"

	"postern/abuse/external"
	"postern/blocklist"
	"postern/filter"
)

// Symbols of Watch.
const (
	HalfOpen = "SOURCE_HALF_OPEN" // a source that was blocked, let in on trial
	Wait     = "SOURCE_WAIT"      // one that is on trial, beyond the tenth that is let in
)

// Watch counts at RCPT what watched sources try, before the own lists refuse it, and lets one
// that is half open in by a tenth.
func Watch(o *external.Observer, own filter.Check) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		found, err := own.Check(ctx, m)
		on := func(f filter.Finding) bool { return f.Symbol == HalfOpen }
		if len(m.To) == 0 || slices.ContainsFunc(m.Seen, on) { // the transaction was let in
			return found, err
		}
		v := o.Seen(m.Client.IP, m.From)
		if !v.HalfOpen {
			return found, err
		}
		if mustReach(m.To[len(m.To)-1].Address) {
			return found, err
		}
		if v.Admit {
			return append(found, filter.Finding{Symbol: HalfOpen, Detail: "case " + v.Case}), err
		}
		return append(found, filter.Finding{Symbol: Wait, Detail: "case " + v.Case}), err
	})
}

// mustReach names the mailboxes by which who is blocked may ask why.
func mustReach(to string) bool {
	local, _, _ := strings.Cut(strings.ToLower(to), "@")
	return local == "postmaster" || local == "abuse"
}

// WatchSigned refuses, besides what the own lists do, what a blocked domain signed, whoever
// stands in its envelope.
func WatchSigned(o *external.Observer, own filter.Check, results blocklist.Results) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		found, err := own.Check(ctx, m)
		seen, _ := results(ctx, m) // that it could not tell is said by the step it belongs to
		done := map[string]bool{}
		for _, f := range seen {
			if f.Auth == nil || f.Auth.Method != "dkim" || f.Auth.Result != "pass" {
				continue
			}
			domain := f.Auth.Prop("header", "d")
			if done[domain] {
				continue
			}
			done[domain] = true
			id, refused := o.Signed(domain)
			for _, to := range m.To {
				if refused && !mustReach(to.Address) {
					found = append(found, filter.Finding{Symbol: blocklist.OwnBlock, Detail: "signed by " + domain + ", case " + id, For: to.Address})
				}
			}
		}
		return found, err
	})
}
