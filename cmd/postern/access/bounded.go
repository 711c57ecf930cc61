package access

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"postern/abuse"
	"postern/cmd/postern/access/within"
	"postern/cmd/postern/calls"
	"postern/internal/control"
	"postern/internal/people"
	"postern/quarantine"
	"postern/quarantine/search"
)

// bounded makes calls for somebody who sees what concerns their own domains or addresses
// alone. Calls that do not stand in its table are not theirs.
type bounded struct {
	calls control.Caller
	now   func() time.Time
}

type boundedCall = within.Call

func (b bounded) table() map[string]boundedCall {
	all := map[string]boundedCall{
		"quarantine.list":    b.list,
		"quarantine.show":    b.show,
		"quarantine.raw":     b.raw,
		"quarantine.view":    b.view,
		"quarantine.release": b.act("quarantine.release"),
		"quarantine.delete":  b.act("quarantine.delete"),
		"view.list":          b.whole("view.list"),
		"view.save":          b.whole("view.save"),
		"view.remove":        b.whole("view.remove"),
		"trace":              b.trace,
		"trace.show":         b.traced,
		"complaint.take":     b.whole("complaint.take"), // its reporter is who calls
		"account.list":       b.accounts,
		"account.show":       b.account("account.show"),
		"account.suspend":    b.account("account.suspend"),
		"account.restore":    b.account("account.restore"),
	}
	maps.Copy(all, within.Calls(b.calls))
	return b.recipients(all)
}

// params reads the parameters of a call as strictly as the call itself does.
func params[P any](raw json.RawMessage) (p P, err error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return p, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return p, control.Because(control.Invalid, err)
	}
	return p, nil
}

// list asks for the recipient alone who is covered: of several, the caller names one.
func (b bounded) list(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	s, err := params[calls.Search](raw)
	if err != nil {
		return nil, err
	}
	q, err := search.Parse(s.Text, b.now())
	if err != nil {
		return nil, control.Because(control.Invalid, err)
	}
	if q.To == "" {
		whose := slices.Clone(p.Addresses)
		for _, d := range p.Domains {
			whose = append(whose, "@"+d)
		}
		if len(whose) != 1 {
			return nil, control.Refuse(control.Invalid, "access.say-whose-mail-one-of-to", "say whose mail, one of to:%v", "whose", whose)
		}
		q.To = whose[0]
		s.Text += " to:" + q.To
	}
	if !p.Covers(trimAt(q.To)) {
		return nil, control.Refuse(control.NotFound, "access.to-is-not-yours-to-see", "to:%s is not yours to see", "to", q.To)
	}
	var page quarantine.Page
	if err := b.calls.Call(ctx, "quarantine.list", s, &page); err != nil {
		return nil, err
	}
	page.Holds = slices.DeleteFunc(page.Holds, func(h quarantine.Hold) bool { return h.Class == quarantine.Evidence || h.Direction != "inbound" })
	for i := range page.Holds {
		page.Holds[i] = own(p, page.Holds[i])
	}
	return page, nil
}

func trimAt(s string) string {
	if s != "" && s[0] == '@' {
		return s[1:]
	}
	return s
}

// own is the hold without recipients who are not the principal's.
func own(p people.Principal, h quarantine.Hold) quarantine.Hold {
	h.To = slices.DeleteFunc(slices.Clone(h.To), func(to string) bool { return !p.Covers(to) })
	return h
}

// hold is a hold that the principal may see; of others it says what it says of none.
func (b bounded) hold(ctx context.Context, p people.Principal, id string) (quarantine.Hold, error) {
	var h quarantine.Hold
	if err := b.calls.Call(ctx, "quarantine.show", calls.ID{ID: id}, &h); err != nil {
		return h, err
	}
	if h.Class == quarantine.Evidence || h.Direction != "inbound" || len(own(p, h).To) == 0 {
		return h, control.Because(control.NotFound, quarantine.ErrNotFound)
	}
	return h, nil
}

func (b bounded) show(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	id, err := params[calls.ID](raw)
	if err != nil {
		return nil, err
	}
	h, err := b.hold(ctx, p, id.ID)
	if err != nil {
		return nil, err
	}
	return own(p, h), nil
}

// clean is a hold that the principal may read: what a virus was found in is for the abuse desk.
func (b bounded) clean(ctx context.Context, p people.Principal, id string) error {
	h, err := b.hold(ctx, p, id)
	if err == nil && h.Infected() {
		err = control.Refuse(control.Conflict, "access.a-virus-was-found-in-it-ask", "a virus was found in it: ask the postmaster")
	}
	return err
}

func (b bounded) raw(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	ask, err := params[calls.Piece](raw)
	if err != nil {
		return nil, err
	}
	if err := b.clean(ctx, p, ask.ID); err != nil {
		return nil, err
	}
	var out calls.Raw
	if err := b.calls.Call(ctx, "quarantine.raw", ask, &out); err != nil {
		return nil, err
	}
	out.Hold = own(p, out.Hold)
	return out, nil
}

func (b bounded) view(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	id, err := params[calls.ID](raw)
	if err != nil {
		return nil, err
	}
	if err := b.clean(ctx, p, id.ID); err != nil {
		return nil, err
	}
	var out calls.Seen
	if err := b.calls.Call(ctx, "quarantine.view", id, &out); err != nil {
		return nil, err
	}
	out.Hold = own(p, out.Hold)
	return out, nil
}

// act changes a hold all of whose recipients are the principal's.
func (b bounded) act(name string) boundedCall {
	return func(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
		id, err := params[calls.ID](raw)
		if err != nil {
			return nil, err
		}
		h, err := b.hold(ctx, p, id.ID)
		if err != nil {
			return nil, err
		}
		if len(own(p, h).To) != len(h.To) || h.Class != quarantine.ByVerdict {
			return nil, control.Refuse(control.Conflict, "access.also-concerns-others-ask-the-postmaster", "%s also concerns others: ask the postmaster", "id", h.ID)
		}
		var out quarantine.Hold
		err = b.calls.Call(ctx, name, id, &out)
		return out, err
	}
}

// whole makes a call that shows nothing of others.
func (b bounded) whole(name string) boundedCall {
	return func(ctx context.Context, _ people.Principal, raw json.RawMessage) (any, error) {
		var out json.RawMessage
		err := b.calls.Call(ctx, name, raw, &out)
		return out, err
	}
}

func (b bounded) accounts(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	if _, err := params[struct{}](raw); err != nil {
		return nil, err
	}
	var all []abuse.Account
	if err := b.calls.Call(ctx, "account.list", struct{}{}, &all); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(a abuse.Account) bool { return !p.Covers(a.Name) }), nil
}

func (b bounded) account(name string) boundedCall {
	return func(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
		c, err := params[calls.AccountChange](raw)
		if err != nil {
			return nil, err
		}
		if !p.Covers(c.Name) {
			return nil, control.Because(control.NotFound, abuse.ErrNotFound)
		}
		var out json.RawMessage
		err = b.calls.Call(ctx, name, c, &out)
		return out, err
	}
}
