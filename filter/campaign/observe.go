package campaign

import (
	"context"
	"slices"
	"strings"

	"postern/filter"
)

// Observer remembers what came, after the answer. All fields are needed but Condemned.
type Observer struct {
	Store Store

	// Condemned is told of a copy in which a virus was found, or whose sender is on the
	// operator's own block list, with what was found in it. It must not wait.
	Condemned func(c Copy, why string)
}

// Done implements filter.Observer. What is to come again is not remembered: it will be, then.
func (o *Observer) Done(ctx context.Context, m *filter.Message, out filter.Outcome) error {
	if m.Direction != filter.Inbound || m.Body == nil {
		return nil
	}
	state := stateOf(out.Fates)
	if state == "" {
		return nil
	}
	p, err := Print(m)
	if err != nil || p == 0 {
		return nil //nolint:nilerr // what cannot be read is not recognised
	}
	author := proved(m, out.Report.Findings)
	c := Copy{Print: p, ID: m.ID, At: m.Time.UTC(), From: m.From, IP: m.Client.IP.String(), Author: author, Source: source(m, author), Subject: clip(m.Subject(), maxSubject), State: state}
	for _, f := range out.Fates {
		switch {
		case state == Delivered && !got(f):
		case len(c.To) < MaxTo:
			c.To = append(c.To, f.Recipient)
		default:
			c.More++
		}
	}
	if why := condemned(out.Report.Findings); why != "" && o.Condemned != nil {
		o.Condemned(c, why)
	}
	return o.Store.Add(ctx, c)
}

// got reports whether a recipient has a copy, or will.
func got(f filter.Fate) bool {
	return f.State == filter.Delivered || f.State == filter.InOutbox
}

// stateOf is what became of the whole: what one recipient got is delivered. "" = nothing yet.
func stateOf(fates []filter.Fate) string {
	switch {
	case slices.ContainsFunc(fates, got):
		return Delivered
	case slices.ContainsFunc(fates, func(f filter.Fate) bool { return f.State == filter.Held }):
		return string(filter.Held)
	case slices.ContainsFunc(fates, func(f filter.Fate) bool { return f.State == filter.Rejected }):
		return string(filter.Rejected)
	}
	return ""
}

// condemned is what says for certain that a letter is bad: a virus, or the operator's own list.
func condemned(found []filter.Finding) string {
	for _, f := range found {
		if f.Symbol == "VIRUS" || f.Symbol == "OWN_BLOCK" {
			return strings.TrimSpace(f.Symbol + " " + f.Detail)
		}
	}
	return ""
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
