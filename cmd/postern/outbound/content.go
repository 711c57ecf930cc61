package outbound

import (
	"context"
	"slices"
	"strings"

	"postern/abuse"
	"postern/abuse/sent"
	"postern/filter"
)

// aside reports whether a symbol says nothing of what a message is: a measure, a rate, or a
// sender address that the account may not use.
func aside(symbol string) bool {
	return strings.HasPrefix(symbol, "ACCOUNT_") || strings.HasPrefix(symbol, "RATE_") || symbol == "SENDER_FOREIGN" || symbol == "FROM_FOREIGN"
}

// content is what our checks make of a message by itself. What a measure holds back is no worse
// for that, and a measure that fed on its own effect would never end.
func (d *Desk) content(m *filter.Message, r filter.Report, v filter.Verdict) filter.Verdict {
	if v.Action == filter.Accept || !slices.ContainsFunc(v.Reasons, func(one filter.Reason) bool { return aside(one.Symbol) }) {
		return v
	}
	var judge filter.Judge
	if d.Judge != nil {
		judge = d.Judge()
	}
	r.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f filter.Finding) bool { return aside(f.Symbol) })
	r.Failures = nil // a check that could not tell says nothing about the message
	if judge == nil || len(r.Findings) == 0 {
		v.Action = filter.Accept
		return v
	}
	return judge.Judge(m, r, v.Policy)
}

// kept writes a row for a message that was refused, put off or held whole for its content:
// nothing of it was handed over, and what the account sends shows all the same.
func (d *Desk) kept(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	if m.Account == "" || m.Parts == nil || len(o.Verdicts) == 0 || !slices.ContainsFunc(o.Fates, ours) || slices.ContainsFunc(o.Fates, func(f filter.Fate) bool { return !ours(f) }) {
		return nil
	}
	var top filter.Verdict
	for i, v := range o.Verdicts {
		if v = d.content(m, o.Report, v); i == 0 || v.Action > top.Action {
			top = v
		}
	}
	if top.Action <= filter.Accept || len(top.Reasons) == 0 {
		return nil
	}
	r := d.row(m)
	if slices.ContainsFunc(o.Fates, func(f filter.Fate) bool { return f.State == filter.Deferred }) {
		again, err := d.Store.ByMessageID(ctx, r.MessageID)
		if err != nil {
			return err
		}
		for _, one := range again {
			if one.Account == r.Account && one.From == r.From { // the same message, tried again
				return nil
			}
		}
	}
	if d.submission(m.Listener) {
		r.Login = abuse.Name(m.Account)
	}
	p := printOf(m)
	r.BodyHash, r.Fuzzy = p.hash, p.fuzzy
	for _, f := range o.Fates {
		c := d.copyOf(f)
		if c.State == sent.Failed && c.Reply == "" {
			c.Reply = o.Reply
		}
		r.Copies = append(r.Copies, c)
	}
	r.Score, r.Action, r.Symbols = top.Score, top.Action.String(), symbols(o.Report, top)
	return d.Store.Begin(ctx, r)
}

// ours reports whether we kept a copy back ourselves.
func ours(f filter.Fate) bool {
	return f.Backend == "" && (f.State == filter.Rejected || f.State == filter.Deferred || f.State == filter.Held)
}
