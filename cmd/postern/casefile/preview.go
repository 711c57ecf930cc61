package casefile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/abuse/sent"
	"postern/cmd/postern/calls"
	"postern/internal/control"
)

// Preview is what a measure would do, and how it is undone.
type Preview struct {
	Target string    `json:"target"`
	Level  string    `json:"level"`
	Word   string    `json:"word"`
	Now    string    `json:"now"` // the level in force
	Two    bool      `json:"two"` // another person has to approve it
	Until  time.Time `json:"until,omitzero"`
	Review time.Time `json:"review,omitzero"`
	Sees   string    `json:"sees"` // by whoever uses the account
	Undo   string    `json:"undo"`

	Protected  bool     `json:"protected,omitempty"` // automation would only throttle it
	Messages   int      `json:"messages"`            // sent in the last day
	Recipients int      `json:"recipients"`
	Waiting    int      `json:"waiting"` // recipients whose mail waits in the outbox
	Held       int      `json:"held"`    // messages that a measure holds
	AtLeast    bool     `json:"at_least,omitempty"`
	Unknown    bool     `json:"unknown,omitempty"`  // the mail of a whole domain is not counted
	Accounts   int      `json:"accounts,omitempty"` // of a domain that were active
	Connectors []string `json:"connectors,omitempty"`
}

// Bounds of a look at an account's mail.
const (
	maxRows = 5000
	maxHeld = 1000
	waits   = 5 * 24 * time.Hour // how long the outbox tries
)

func (p Parts) preview(ctx context.Context, q calls.MeasureAsk) (Preview, error) {
	level, err := abuse.ParseLevel(q.Level)
	if err != nil {
		return Preview{}, control.Because(control.Invalid, err)
	}
	if q.Reason == "" {
		q.Reason = "-" // nothing is done: none is needed
	}
	r := measure.Request{Account: q.Account, Domain: q.Domain, Level: level, Reason: q.Reason, TTL: time.Duration(q.Hours * float64(time.Hour))}
	if q.Hours < 0 || q.Hours > 24*3650 {
		return Preview{}, control.Refuse(control.Invalid, "casefile.hours-from-0-to-ten-years", "hours: from 0 to ten years")
	}
	if err := p.Measures.Check(r); errors.Is(err, measure.ErrInvalid) {
		return Preview{}, control.Because(control.Invalid, err)
	} else if err != nil {
		return Preview{}, err
	}
	out := Preview{Target: r.Target(), Level: level.String(), Word: level.Word(), Two: r.Two(), Sees: sees(level), Undo: undo(level)}
	out.Now = p.Measures.Accounts.Force(out.Target).Effective().String()
	out.Until, out.Review = p.Measures.Terms(r)
	out.Protected = p.Measures.Protected != nil && p.Measures.Protected(out.Target)
	for _, c := range p.Measures.Connectors {
		if slices.Contains(c.Capabilities().Levels, level) && (r.Domain == "" || c.Capabilities().Domains) {
			out.Connectors = append(out.Connectors, c.Name())
		}
	}
	if r.Domain != "" {
		out.Unknown = true
		if p.Measures.Population != nil {
			out.Accounts = p.Measures.Population(strings.TrimPrefix(out.Target, "@"))
		}
	} else if err := p.mail(ctx, &out); err != nil {
		return out, err
	}
	if p.Measures.Held != nil {
		held, err := p.Measures.Held.Held(ctx, out.Target, maxHeld)
		if err != nil {
			return out, err
		}
		out.Held = len(held)
	}
	return out, nil
}

// mail counts what the account sends and what of it still waits.
func (p Parts) mail(ctx context.Context, out *Preview) error {
	now := p.Now()
	day := now.Add(-24 * time.Hour)
	for cursor, read := "", 0; ; {
		rows, next, err := p.Sent.ByAccount(ctx, out.Target, now.Add(-waits), now, cursor, sent.MaxPage)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.At.After(day) {
				out.Messages, out.Recipients = out.Messages+1, out.Recipients+len(r.Copies)
			}
			for _, c := range r.Copies {
				if c.State == sent.Waiting {
					out.Waiting++
				}
			}
		}
		if read += len(rows); next == "" {
			return nil
		}
		if read >= maxRows {
			out.AtLeast = true
			return nil
		}
		cursor = next
	}
}

// sees says what whoever uses the account will see.
func sees(l abuse.Level) string {
	switch l {
	case abuse.M0:
		return "Nothing. Mail goes out as before and is watched."
	case abuse.M1:
		return "Mail goes out more slowly: above the hourly numbers the server says to try again later."
	case abuse.M2:
		return "Sending seems to work as before. The mail is accepted and held here, and does not leave."
	case abuse.M3:
		return "Sending is refused with the number of the case. Reading and receiving go on."
	case abuse.M4:
		return "Sending is refused, the password no longer works and open sessions end. Mail is still received."
	case abuse.M5:
		return "Nobody can sign in: no sending, no reading. Mail is still received."
	case abuse.M6:
		return "No account of the domain can send or sign in."
	}
	return "The service ends for good."
}

// undo says how it is taken back.
func undo(l abuse.Level) string {
	switch l {
	case abuse.M2:
		return "End the measure: what was held is checked again and goes out at the speed of a throttled account. Nothing bounces."
	case abuse.M4:
		return "End the measure: sending works again. The old password does not come back: the owner sets a new one."
	case abuse.M7:
		return "It is meant for good. A lead can end the measure within the 90 days for which the data is kept."
	}
	return "End the measure: everything is as it was before."
}
