// Package notice sends what the desk writes: acknowledgements, questions, results, letters to
// accounts. It has manners: no program is answered, no list, nobody who was not proved to have
// written; each letter goes once.
package notice

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"postern/abuse/cases"
	"postern/abuse/notice/letter"
	"postern/internal/entity"
	"postern/internal/said"
)

// Kind is the kind of the records.
const Kind entity.Kind = "notice"

// The states of a notice.
const (
	Queued = "queued" // written down, to be handed to the outbox
	Sent   = "sent"   // in the outbox, which delivers it
	Barred = "barred" // not sent, and why
	Failed = "failed" // bounced

	Drafted   = "draft"     // waits for a person
	Discarded = "discarded" // a draft that nobody sends
)

// AckEvery is how often a sender gets an acknowledgement at most.
const AckEvery = 24 * time.Hour

// Notice is one letter.
type Notice struct {
	ID        string      `json:"id"`
	Case      string      `json:"case"`
	Report    string      `json:"report,omitempty"` // what it answers
	Kind      letter.Kind `json:"kind"`
	To        string      `json:"to"`
	Language  string      `json:"language"`
	Subject   string      `json:"subject,omitempty"`
	Body      string      `json:"body,omitempty"`
	MessageID string      `json:"message_id,omitempty"`
	InReplyTo string      `json:"in_reply_to,omitempty"`
	State     string      `json:"state"`
	Why       string      `json:"why,omitempty"`
	Said      said.Words  `json:"said,omitzero"` // Why by its code; what a person or a server wrote has none
	By        string      `json:"by"`            // "" = nobody: a program
	Auto      string      `json:"auto,omitempty"`
	Tells     string      `json:"tells,omitempty"` // what a person's letter is to its case: answer, result
	Round     int         `json:"round,omitempty"` // how often the case was reopened before
	At        time.Time   `json:"at"`
	Sent      time.Time   `json:"sent,omitzero"`
	Again     int         `json:"again,omitempty"` // how often it was sent again
	AgainBy   string      `json:"again_by,omitempty"`
}

// Reason is why it stands as it does.
func (n Notice) Reason() said.Words { return said.Kept(n.Why, n.Said) }

func (n *Notice) stop(state string, why said.Words) { n.State = state; why.Put(&n.Why, &n.Said) }

// Key is what the letter is called in the outbox, as it went out last.
func (n Notice) Key() string {
	if n.Again == 0 {
		return n.ID
	}
	return fmt.Sprintf("%s-again-%d", n.ID, n.Again)
}

// Cases is the desk of the cases.
type Cases interface {
	Get(ctx context.Context, id string) (cases.Case, error)
	Reports(ctx context.Context, id, after string, limit int) ([]cases.Link, string, error)
	Link(ctx context.Context, report string) (cases.Link, error)
	Acknowledged(ctx context.Context, who cases.Actor, id, report string, note said.Words) (cases.Case, error)
	Answered(ctx context.Context, who cases.Actor, id, notice string) (cases.Case, error)
	Result(ctx context.Context, who cases.Actor, id, notice string, barred said.Words) (cases.Case, error)
}

// Letters are the words of the letters.
type Letters interface {
	// Write fills a letter in; its error is letter.ErrLetter where something is not known.
	Write(ctx context.Context, language string, kind letter.Kind, v letter.Vars) (letter.Text, error)
}

// Desk sends letters.
type Desk struct {
	Store   entity.Store
	Cases   Cases
	Book    Letters
	Aliases Aliases
	From    string // address of the desk
	Name    string // who signs
	Hours   string
	Zone    *time.Location
	Own     func(address string) bool // addresses of the desk
	// Party tells who handed in a report.
	Party func(ctx context.Context, report string) (Party, error)
	// Link is where the state of a case can be seen; nil or "" = nowhere.
	Link func(caseID string) string
	// Submit hands a message to the outbox, with the null sender. id and at are the same for the
	// same letter: it is delivered once.
	Submit func(ctx context.Context, id string, at time.Time, to string, message []byte) error
	Audit  func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Now    func() time.Time
	Log    *slog.Logger
}

func (d *Desk) table() entity.Table[Notice] {
	return entity.Table[Notice]{Store: d.Store, Kind: Kind, ID: func(n *Notice) string { return n.ID }, Keys: func(n *Notice) []entity.Key {
		at := n.At.UnixMilli()
		keys := []entity.Key{{Index: "all", At: at}, {Index: "case", Value: n.Case, At: at}, {Index: "state", Value: n.State, At: at}}
		if n.State != Barred && n.State != Drafted && n.State != Discarded {
			if n.Tells == tellsResult {
				keys = append(keys, entity.Key{Index: "told", Value: told(n.Case, n.To, n.Round), At: at})
			}
			keys = append(keys, entity.Key{Index: "to", Value: hashed(string(n.Kind), n.To), At: at})
		}
		if n.MessageID != "" {
			keys = append(keys, entity.Key{Index: "message", Value: n.MessageID, At: at})
		}
		return keys
	}}
}

func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// Errors of a Desk.
var (
	ErrBarred  = said.New("notice.this-is-not-sent", "this is not sent")
	ErrNoDraft = said.New("notice.this-is-no-draft-any-more", "this is no draft any more")
	ErrAgain   = said.New("notice.this-is-not-sent-again", "this is not sent again")
)

// gone reports whether a draft is not there, or is none any more.
func gone(err error) bool { return errors.Is(err, entity.ErrNotFound) || errors.Is(err, ErrNoDraft) }

func (d *Desk) messageID(id string) string { return fmt.Sprintf("<%s.%s>", id, d.From) }

// write keeps a letter and hands it on. A second time is the same letter.
func (d *Desk) write(ctx context.Context, n Notice, v letter.Vars) (Notice, error) {
	n.At = d.Now().UTC()
	if n.State != Barred {
		text, err := d.Book.Write(ctx, n.Language, n.Kind, v)
		if err != nil {
			return n, err
		}
		n.Subject, n.Body, n.State = text.Subject, text.Body, Queued
	}
	return d.keep(ctx, n)
}

func (d *Desk) keep(ctx context.Context, n Notice) (Notice, error) {
	if n.State == Queued {
		n.MessageID = d.messageID(n.ID)
	}
	row, err := d.table().Create(ctx, n)
	if errors.Is(err, entity.ErrExists) {
		if row, err = d.table().Get(ctx, n.ID); err == nil {
			n = row.Value
		}
	}
	if err != nil || n.State != Queued {
		return n, err
	}
	return d.hand(ctx, n)
}

// hand gives a queued letter to the outbox. Its case hears before what a person's letter is to
// it: until then it stays queued.
func (d *Desk) hand(ctx context.Context, n Notice) (Notice, error) {
	if err := d.tell(ctx, n); err != nil {
		return n, err
	}
	m := outgoing{from: d.From, replyTo: d.Aliases.For(n.Case), to: n.To, id: n.MessageID, inReplyTo: n.InReplyTo, language: n.Language, automatic: n.Auto, at: n.At.In(d.Zone), text: letter.Text{Subject: n.Subject, Body: n.Body}}
	b, err := m.bytes()
	if err != nil {
		return n, err
	}
	if err := d.Submit(ctx, n.Key(), n.At, n.To, b); err != nil {
		return n, err
	}
	row, err := d.table().Change(ctx, n.ID, func(n *Notice) error {
		if n.State != Queued {
			return entity.ErrUnchanged
		}
		n.State, n.Sent = Sent, d.Now().UTC()
		return nil
	})
	if err != nil {
		return n, err
	}
	actor := n.By
	if actor == "" {
		actor = cases.Machine().Name
	}
	return row.Value, d.Audit(ctx, actor, "notice", n.Case, nil, map[string]string{"notice": n.ID, "kind": string(n.Kind), "to": n.To}, "")
}

// Tend hands on what was written and did not reach the outbox.
func (d *Desk) Tend(ctx context.Context) error {
	var waiting []Notice
	err := d.table().Each(ctx, entity.Query{Index: "state", Value: Queued, Rising: true, Limit: 100}, func(r entity.Row[Notice]) error {
		waiting = append(waiting, r.Value)
		return nil
	})
	errs := []error{err}
	for _, n := range waiting {
		_, err := d.hand(ctx, n)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Bounced notes that a letter came back, and reports whether it was one of ours. messageID is
// with angle brackets.
func (d *Desk) Bounced(ctx context.Context, messageID, why string) (bool, error) {
	rows, _, err := d.table().Find(ctx, entity.Query{Index: "message", Value: messageID, Limit: 1})
	if err != nil || len(rows) == 0 {
		return false, err
	}
	_, err = d.table().Change(ctx, rows[0].Value.ID, func(n *Notice) error {
		if n.State == Failed {
			return entity.ErrUnchanged
		}
		n.stop(Failed, said.Typed(why[:min(len(why), 300)]))
		return nil
	})
	return true, err
}

// List returns a page of letters, the youngest first: of a case, in a state, or all with "".
func (d *Desk) List(ctx context.Context, caseID, state, after string, limit int) ([]Notice, string, error) {
	q := entity.Query{Index: "all", After: after, Limit: limit}
	switch {
	case caseID != "":
		q.Index, q.Value = "case", caseID
	case state != "":
		q.Index, q.Value = "state", state
	}
	rows, next, err := d.table().Find(ctx, q)
	out := make([]Notice, 0, len(rows))
	for _, r := range rows {
		if state == "" || r.Value.State == state {
			out = append(out, r.Value)
		}
	}
	return out, next, err
}
