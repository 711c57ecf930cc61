// Package tracecalls are the calls that tell what became of a message, by whatever one
// remembers of it.
package tracecalls

import (
	"context"
	"slices"
	"strings"
	"time"

	"postern/abuse/sent"
	"postern/internal/control"
	"postern/internal/people"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/quarantine"
	"postern/rules"
)

// Parts are what the calls look at.
type Parts struct {
	Now     func() time.Time
	Traffic record.Traffic
	Holds   interface {
		Get(ctx context.Context, id string) (quarantine.Hold, error)
	}
	Outbox interface {
		Get(ctx context.Context, id string) (outbox.Entry, error)
	}
	Sent  sent.Store
	Rules func() *rules.Set
	// Token returns the message that a trace token was made for.
	Token func(ctx context.Context, text string) (id string, ok bool)
	// Cases are the latest of an account; nil: none.
	Cases func(ctx context.Context, account string) ([]Case, error)
}

// Ask asks for messages: by fields, by a text, or by both.
type Ask struct {
	record.Trace

	Text   string   `json:"text,omitempty"`
	Within []string `json:"within,omitempty"` // domains: only mail to them, or sent from them
}

// Found is a page of messages, the newest first.
type Found struct {
	record.Page

	Read []Reading `json:"read,omitempty"` // how the text was understood
}

// Case is a case that may have to do with a message.
type Case struct {
	ID     string    `json:"id"`
	State  string    `json:"state"`
	Opened time.Time `json:"opened"`
}

// Bounds of a search.
const (
	MaxWithin = 20              // domains that one search looks at
	lookTime  = 4 * time.Second // a page that is not full by then goes on at Next
)

// Handle adds the calls.
func (p Parts) Handle(s *control.Server) {
	control.Handle(s, "trace", p.find)
	control.Handle(s, "trace.show", p.show)
}

func (p Parts) find(ctx context.Context, a Ask) (Found, error) {
	out := Found{Page: record.Page{Rows: []record.Row{}}}
	if text := strings.TrimSpace(a.Text); p.Token != nil && len(text) > 20 && len(text) <= MaxText {
		if id, ok := p.Token(ctx, text); ok {
			a.Text, a.ID = "", id
			out.Read = []Reading{{Text: text, Fields: []string{"token"}}}
		}
	}
	all, read, err := Read(a.Text, a.Trace, p.Now())
	if err != nil {
		return out, err
	}
	out.Read = append(out.Read, read...)
	if all, err = within(all, a.Within); err != nil {
		return out, err
	}
	out.Page, err = p.merge(ctx, all, a.Trace)
	return out, err
}

// within narrows searches to mail of some domains: to them, or sent from them.
func within(all []record.Trace, domains []string) (out []record.Trace, err error) {
	if len(domains) == 0 {
		return all, nil
	}
	for _, q := range all {
		if q.ID != "" {
			out = append(out, q) // one message: who asks leaves out what is not theirs
			continue
		}
		for _, d := range domains {
			d = "@" + strings.ToLower(strings.TrimPrefix(d, "@"))
			in, from := q, q
			if in.To == "" {
				in.To = d
			}
			if from.From == "" {
				from.From = d
			}
			if strings.HasSuffix(strings.ToLower(in.To), d) && in.Direction != "outbound" {
				in.Direction = "inbound"
				out = append(out, in)
			}
			if strings.HasSuffix(strings.ToLower(from.From), d) && from.Direction != "inbound" {
				from.Direction = "outbound"
				out = append(out, from)
			}
		}
		if len(out) > 2*MaxWithin {
			return nil, control.Refuse(control.Invalid, "trace.say-whose-mail-to-domain-or-from", "say whose mail: to:@domain, or from:@domain")
		}
	}
	return out, nil
}

// merge makes one page of what several searches find, each message once.
func (p Parts) merge(ctx context.Context, all []record.Trace, base record.Trace) (record.Page, error) {
	size, until := base.PageSize(), p.Now().Add(lookTime)
	rows, bound := map[string]record.Row{}, "" // nothing older than bound is known to be all there is
	for _, q := range all {
		q.Limit = size
		page, err := p.Traffic.Find(ctx, q)
		for err == nil && len(page.Rows) == 0 && page.Next != "" && p.Now().Before(until) { // a bounded look found none yet
			q.After = page.Next
			page, err = p.Traffic.Find(ctx, q)
		}
		if err != nil {
			return record.Page{Rows: []record.Row{}}, err
		}
		for _, r := range page.Rows {
			rows[r.ID] = r
		}
		bound = max(bound, page.Next)
	}
	out := record.Page{Rows: make([]record.Row, 0, len(rows))}
	for id, r := range rows {
		if id >= bound {
			out.Rows = append(out.Rows, r)
		}
	}
	slices.SortFunc(out.Rows, func(a, b record.Row) int { return strings.Compare(b.ID, a.ID) })
	out.Next = bound
	if len(out.Rows) > size {
		out.Rows = out.Rows[:size]
		out.Next = out.Rows[size-1].ID
	}
	return out, nil
}

// may reports whether who calls has a scope. Whoever has the machine has all of them.
func may(ctx context.Context, s people.Scope) bool {
	who, ok := people.From(ctx)
	return !ok || who.Can(s)
}
