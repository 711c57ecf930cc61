package tracecalls

import (
	"context"
	"errors"
	"time"

	"postern/abuse/sent"
	"postern/filter"
	"postern/internal/control"
	"postern/internal/people"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/quarantine"
)

// One names a message: by our ID, or by that of a hold.
type One struct {
	ID string `json:"id"`
}

// Told is all that is known of one message.
type Told struct {
	Row     record.Row `json:"row"`
	Reasons []Reason   `json:"reasons"`
	Holds   []Held     `json:"holds"`
	Waiting []Waiting  `json:"waiting"`
	Sent    *sent.Row  `json:"sent,omitempty"` // its row in the send log
	Cases   []Case     `json:"cases"`
}

// Reason is a symbol that was found, with what it added to the score.
type Reason struct {
	Symbol   string       `json:"symbol"`
	Weight   filter.Score `json:"weight"`             // hundredths
	Describe string       `json:"describe,omitempty"` // by the rules of now
}

// Held is what became of a copy that was held.
type Held struct {
	ID      string           `json:"id"`
	To      []string         `json:"to"`
	State   quarantine.State `json:"state"`
	At      time.Time        `json:"at"`
	Expires time.Time        `json:"expires"`
	Ended   time.Time        `json:"ended,omitzero"`
	By      string           `json:"by,omitempty"`
	Reply   string           `json:"reply,omitempty"`
	Gone    bool             `json:"gone,omitempty"` // its record was forgotten
}

// Waiting is a copy that is still owed.
type Waiting struct {
	ID       string    `json:"id"`
	To       []string  `json:"to"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"`
	Expires  time.Time `json:"expires"`
	Reply    string    `json:"reply,omitempty"`
}

// maxCopies bounds the copies of a message that are looked up.
const maxCopies = 100

func (p Parts) show(ctx context.Context, q One) (Told, error) {
	out := Told{Reasons: []Reason{}, Holds: []Held{}, Waiting: []Waiting{}, Cases: []Case{}}
	if q.ID == "" {
		return out, control.Refuse(control.Invalid, "trace.which-message", "which message?")
	}
	page, err := p.Traffic.Find(ctx, record.Trace{ID: q.ID, Limit: 1})
	for err == nil && len(page.Rows) == 0 && page.Next != "" {
		page, err = p.Traffic.Find(ctx, record.Trace{ID: q.ID, Limit: 1, After: page.Next})
	}
	switch {
	case err != nil:
		return out, err
	case len(page.Rows) == 0:
		return out, control.Refuse(control.NotFound, "trace.nothing-is-known-of-this-message-or", "nothing is known of this message, or no longer")
	}
	out.Row = page.Rows[0]
	out.Reasons = p.reasons(out.Row)
	if err := p.copies(ctx, &out); err != nil {
		return out, err
	}
	if out.Row.Direction == filter.Outbound.String() && p.Sent != nil {
		row, err := p.Sent.BySerial(ctx, out.Row.ID)
		if err == nil {
			out.Sent = &row
		} else if !errors.Is(err, sent.ErrNotFound) {
			return out, err
		}
	}
	if out.Row.Account != "" && p.Cases != nil && may(ctx, people.CasesRead) {
		all, err := p.Cases(ctx, out.Row.Account)
		if err != nil {
			return out, err
		}
		out.Cases = append(out.Cases, all...)
	}
	return out, nil
}

// reasons are the symbols of a row with what the rules say of them now.
func (p Parts) reasons(r record.Row) []Reason {
	out := make([]Reason, 0, len(r.Symbols))
	for i, name := range r.Symbols {
		one := Reason{Symbol: name}
		if i < len(r.Weights) {
			one.Weight = filter.Score(r.Weights[i])
		}
		if p.Rules != nil {
			if sym, ok := p.Rules().Symbol(name); ok {
				one.Describe = sym.Describe
			}
		}
		out = append(out, one)
	}
	return out
}

// copies looks up the holds and outbox entries of a row, each once.
func (p Parts) copies(ctx context.Context, out *Told) error {
	seen := map[string]bool{}
	for _, f := range out.Row.To {
		if f.Hold == "" || seen[f.Hold] || len(seen) >= maxCopies {
			continue
		}
		seen[f.Hold] = true
		if f.State == string(filter.InOutbox) {
			e, err := p.Outbox.Get(ctx, f.Hold)
			if errors.Is(err, outbox.ErrNotFound) {
				continue // it is not owed any more
			}
			if err != nil {
				return err
			}
			w := Waiting{ID: e.ID, Attempts: e.Attempts, Next: e.Next, Expires: e.Expires, Reply: e.LastReply}
			for _, to := range e.To {
				w.To = append(w.To, to.Address)
			}
			out.Waiting = append(out.Waiting, w)
			continue
		}
		h, err := p.Holds.Get(ctx, f.Hold)
		switch {
		case errors.Is(err, quarantine.ErrNotFound):
			out.Holds = append(out.Holds, Held{ID: f.Hold, To: []string{f.Address}, Gone: true})
			continue
		case err != nil:
			return err
		}
		one := Held{ID: h.ID, To: h.To, State: h.State, At: h.At, Expires: h.Expires}
		if h.Release != nil {
			one.By = h.Release.By
		}
		if h.Ended != nil {
			one.Ended, one.By, one.Reply = h.Ended.At, h.Ended.By, h.Ended.Reply
		}
		out.Holds = append(out.Holds, one)
	}
	return nil
}
