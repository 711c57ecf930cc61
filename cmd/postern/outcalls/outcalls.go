// Package outcalls are the named calls about all that the desk has sent to people: letters to
// reporters and accounts, reports to those who run sources elsewhere, and to the national body.
package outcalls

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"postern/abuse/cases"
	"postern/abuse/external"
	"postern/abuse/external/told"
	"postern/abuse/notice"
	"postern/cmd/postern/casecalls"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/said"
)

// Sorts of what goes out.
const (
	Letter = "letter" // to a reporter or an account
	Report = "report" // to who runs a source
	Body   = "body"   // to the national body
)

// States of what went out, as people see them.
const (
	Waiting   = "waiting"   // in the outbox, or on its way there
	Delivered = "delivered" // the next server has taken it
	Bounced   = "bounced"
	Barred    = "barred" // not sent, and why
)

// Sent is one thing that went out, or why it did not.
type Sent struct {
	ID       string     `json:"id"`
	Sort     string     `json:"sort"`
	Kind     string     `json:"kind"` // of a letter; the form of a report
	Case     string     `json:"case"`
	To       string     `json:"to,omitempty"`
	Way      string     `json:"way,omitempty"` // how the contact was found
	Language string     `json:"language,omitempty"`
	Subject  string     `json:"subject,omitempty"`
	State    string     `json:"state"`
	Why      string     `json:"why,omitempty"`
	Said     said.Words `json:"said,omitzero"` // Why by its code
	By       string     `json:"by,omitempty"`  // "" = a program
	At       time.Time  `json:"at"`
	Again    int        `json:"again,omitempty"`
	AgainBy  string     `json:"again_by,omitempty"`

	Resend bool       `json:"may_resend,omitempty"`
	WhyNot string     `json:"why_not,omitempty"`
	Not    said.Words `json:"not,omitzero"` // WhyNot by its code
}

// Message is one with its text.
type Message struct {
	Sent
	Text string `json:"text,omitempty"` // as people read a letter; a report as it went out
	Cut  bool   `json:"cut,omitempty"`  // there is more of it
}

// textMost bounds a text that is shown, in octets.
const textMost = 256 << 10

// Query asks for what went out; what is empty does not bound.
type Query struct {
	Sort  string `json:"sort,omitempty"`  // letter, report, body
	State string `json:"state,omitempty"` // waiting, delivered, bounced, barred
	Case  string `json:"case,omitempty"`
	To    string `json:"to,omitempty"` // a part of the address
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Page is a part of it, the youngest first.
type Page struct {
	Sent []Sent `json:"sent"`
	Next string `json:"next,omitempty"`
}

// Work names one, and why it is sent again.
type Work struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
}

// Parts are what the calls work with.
type Parts struct {
	Home    entity.Home
	Letters *notice.Desk // nil: none are written here
	Reports *external.Desk
	// Waits reports whether what went out under a key at about a time is still in the outbox.
	Waits func(ctx context.Context, key string, at time.Time) (bool, error)
	Now   func() time.Time
}

// Handle adds the calls to s.
func (p Parts) Handle(s *control.Server) {
	control.Handle(s, "notice.out", func(ctx context.Context, q Query) (Page, error) {
		out, err := p.list(ctx, q)
		return out, refused(err)
	})
	control.Handle(s, "notice.message", func(ctx context.Context, w Work) (Message, error) {
		out, err := p.message(ctx, w.ID)
		return out, refused(err)
	})
	control.Handle(s, "notice.resend", func(ctx context.Context, w Work) (Message, error) {
		who, err := casecalls.Caller(ctx)
		if err != nil {
			return Message{}, err
		}
		if strings.TrimSpace(w.Reason) == "" {
			return Message{}, control.Refuse(control.Invalid, "out.a-reason-is-needed", "a reason is needed")
		}
		if err := p.resend(ctx, who, w); err != nil {
			return Message{}, refused(err)
		}
		out, err := p.message(ctx, w.ID)
		return out, refused(err)
	})
}

func refused(err error) error {
	for of, kind := range map[error]control.Kind{
		entity.ErrInvalid: control.Invalid, entity.ErrNotFound: control.NotFound, notice.ErrAgain: control.Conflict, told.ErrAgain: control.Conflict,
	} {
		if errors.Is(err, of) {
			return control.Because(kind, err)
		}
	}
	return casecalls.Known(err)
}

// report is whether an ID is that of a report: those begin alike.
func report(id string) bool { return strings.HasPrefix(id, told.Prefix) }

// message finds one with its text.
func (p Parts) message(ctx context.Context, id string) (out Message, err error) {
	if !report(id) {
		if p.Letters == nil {
			return out, entity.ErrNotFound
		}
		n, err := p.Letters.Get(ctx, id)
		if err != nil {
			return out, err
		}
		out.Sent, err = p.ofLetter(ctx, n)
		out.Text, out.Cut = cut(n.Body)
		return out, err
	}
	row, err := told.Table(p.Home).Get(ctx, id)
	if err != nil {
		return out, err
	}
	if out.Sent, err = p.ofReport(ctx, row.Value); err != nil || row.Value.Sum == "" {
		return out, err
	}
	r, err := p.Home.Blob(ctx, entity.Evidence, row.Value.Sum)
	if errors.Is(err, entity.ErrNotFound) {
		return out, nil // the evidence of the case is gone
	}
	if err != nil {
		return out, err
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	out.Text, out.Cut = cut(string(raw))
	return out, err
}

func cut(text string) (string, bool) {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	if len(text) <= textMost {
		return text, false
	}
	n := textMost
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n], true
}

func (p Parts) resend(ctx context.Context, who cases.Actor, w Work) error {
	if report(w.ID) {
		_, err := p.Reports.Resend(ctx, who, w.ID, w.Reason)
		return err
	}
	if p.Letters == nil {
		return entity.ErrNotFound
	}
	_, err := p.Letters.Resend(ctx, who, w.ID, w.Reason)
	return err
}
