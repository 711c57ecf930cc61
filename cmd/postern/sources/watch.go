package sources

import (
	"context"
	"slices"
	"strings"

	"postern/abuse/external"
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
		to := m.To[len(m.To)-1].Address
		if local, _, _ := strings.Cut(strings.ToLower(to), "@"); local == "postmaster" || local == "abuse" { // who is blocked may ask why
			return found, err
		}
		if v.Admit {
			return append(found, filter.Finding{Symbol: HalfOpen, Detail: "case " + v.Case}), err
		}
		return append(found, filter.Finding{Symbol: Wait, Detail: "case " + v.Case}), err
	})
}
