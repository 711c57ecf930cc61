package access

import (
	"context"
	"encoding/json"
	"slices"

	"postern/cmd/postern/tracecalls"
	"postern/internal/control"
	"postern/internal/people"
	"postern/internal/record"
)

// trace finds mail to the domains of the principal, and what was sent from them.
func (b bounded) trace(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	a, err := params[tracecalls.Ask](raw)
	if err != nil {
		return nil, err
	}
	if len(a.Within) == 0 {
		a.Within = p.Domains
	}
	if len(a.Within) == 0 || slices.ContainsFunc(a.Within, func(d string) bool { return !p.Covers(trimAt(d)) }) {
		return nil, control.Refuse(control.NotFound, "access.this-is-not-yours-to-see", "this is not yours to see")
	}
	var out tracecalls.Found
	if err := b.calls.Call(ctx, "trace", a, &out); err != nil {
		return nil, err
	}
	out.Rows = slices.DeleteFunc(out.Rows, func(r record.Row) bool { return !ours(p, r) })
	for i := range out.Rows {
		out.Rows[i] = trimmed(p, out.Rows[i])
	}
	return out, nil
}

// ours reports whether a message concerns the principal: it came to them, or they sent it.
func ours(p people.Principal, r record.Row) bool {
	if r.Direction == "outbound" {
		return sentBy(p, r)
	}
	return slices.ContainsFunc(r.To, func(f record.Fate) bool { return p.Covers(f.Address) })
}

func sentBy(p people.Principal, r record.Row) bool {
	if r.Account != "" {
		return p.Covers(r.Account)
	}
	return r.From != "" && p.Covers(r.From)
}

// trimmed is the row without recipients of others.
func trimmed(p people.Principal, r record.Row) record.Row {
	if r.Direction != "outbound" {
		r.To = slices.DeleteFunc(slices.Clone(r.To), func(f record.Fate) bool { return !p.Covers(f.Address) })
	}
	return r
}

func (b bounded) traced(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	q, err := params[tracecalls.One](raw)
	if err != nil {
		return nil, err
	}
	var t tracecalls.Told
	if err := b.calls.Call(ctx, "trace.show", q, &t); err != nil {
		return nil, err
	}
	if !ours(p, t.Row) {
		return nil, control.Refuse(control.NotFound, "access.nothing-is-known-of-this-message-or", "nothing is known of this message, or no longer")
	}
	own := map[string]bool{}
	t.Row = trimmed(p, t.Row)
	for _, f := range t.Row.To {
		own[f.Hold] = true
	}
	if t.Row.Direction != "outbound" {
		covers := func(to []string) []string {
			return slices.DeleteFunc(slices.Clone(to), func(a string) bool { return !p.Covers(a) })
		}
		t.Holds = slices.DeleteFunc(t.Holds, func(h tracecalls.Held) bool { return !own[h.ID] })
		for i := range t.Holds {
			t.Holds[i].To = covers(t.Holds[i].To)
		}
		t.Waiting = slices.DeleteFunc(t.Waiting, func(w tracecalls.Waiting) bool { return !own[w.ID] })
		for i := range t.Waiting {
			t.Waiting[i].To = covers(t.Waiting[i].To)
		}
	}
	return t, nil
}
