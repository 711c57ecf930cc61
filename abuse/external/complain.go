package external

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/complaint/arf"
	"postern/abuse/complaint/inner"
	"postern/abuse/complaint/xarf"
	"postern/abuse/external/contact"
	"postern/abuse/external/wording"
	"postern/internal/address"
	"postern/internal/entity"
)

// States of a Notice.
const (
	Queued = "queued"
	Sent   = "sent"
	Barred = "barred"
	Failed = "failed"
)

// ToBody is the Way of a Notice to the national body.
const ToBody = "body"

// Notice is one report that went out, or the reason why it did not.
type Notice struct {
	ID        string    `json:"id"`
	Case      string    `json:"case"`
	To        string    `json:"to,omitempty"`
	Way       string    `json:"way,omitempty"` // how the contact was found; or ToBody
	Form      string    `json:"form,omitempty"`
	Language  string    `json:"language,omitempty"`
	Incident  int       `json:"incident"`
	State     string    `json:"state"`
	Why       string    `json:"why,omitempty"`
	Tried     []string  `json:"tried,omitempty"`
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	Sum       string    `json:"sha256,omitempty"` // of the message, class evidence
	MessageID string    `json:"message_id,omitempty"`
}

func (d *Desk) notices() entity.Table[Notice] {
	return entity.Table[Notice]{Store: d.Home, Kind: "external-notice", ID: func(n *Notice) string { return n.ID }, Keys: func(n *Notice) []entity.Key {
		at := n.At.UnixMilli()
		keys := []entity.Key{{Index: "case", Value: n.Case, At: at}, {Index: "state", Value: n.State, At: at}}
		if n.MessageID != "" {
			keys = append(keys, entity.Key{Index: "message", Value: n.MessageID, At: at})
		}
		return keys
	}}
}

// Notices returns a page of the reports of a case, the youngest first.
func (d *Desk) Notices(ctx context.Context, id, after string, limit int) ([]Notice, string, error) {
	rows, next, err := d.notices().Find(ctx, entity.Query{Index: "case", Value: id, After: after, Limit: limit})
	out := make([]Notice, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, next, err
}

// due is the last incident up to n of which a provider is told: each of the first ten, each
// tenth to a hundred, each hundredth to a thousand (RFC 6650 section 7.5).
func due(n int) int {
	step := 1
	for n > step*10 {
		step *= 10
	}
	return n - n%step
}

// Complain tells the provider of a source, and the national body. A Notice that is Barred
// says why nobody was told; the error is ErrGround where nothing but our filters speaks
// against the source.
func (d *Desk) Complain(ctx context.Context, who cases.Actor, id string) (Notice, error) {
	c, err := d.external(ctx, id)
	if err != nil {
		return Notice{}, err
	}
	src, err := d.upsert(ctx, c, func(*Source) error { return entity.ErrUnchanged })
	if err == nil {
		err = src.grounded("complained of")
	}
	if err != nil {
		return Notice{}, err
	}
	if def, _ := flow.Of(c.State); !def.Proven {
		return Notice{}, fmt.Errorf("%w: %s is %s; a source is confirmed first", ErrGround, id, c.State)
	}
	incident := due(src.Incidents)
	n := Notice{Case: id, Incident: incident, By: who.Name, At: d.Now().UTC()}
	if src.Told >= incident {
		n.State, n.Why = Barred, fmt.Sprintf("the provider was told of incident %d of %d; the next time is due later (RFC 6650 section 7.5)", src.Told, src.Incidents)
		return n, nil
	}
	m, err := d.Message(ctx, c)
	if errors.Is(err, ErrMessage) {
		n.State, n.Why = Barred, "no message of it is kept"
		return d.done(ctx, who, c, n, src)
	}
	if err != nil {
		return n, err
	}
	if err := d.tellBody(ctx, n, c, m, src); err != nil {
		return n, err
	}
	h, _ := inner.Header(m.Raw)
	found, err := d.Contacts.Find(ctx, contact.Source{IP: m.IP, Domain: m.Domain, CFBL: h.Get("CFBL-Address"), Signed: m.Signed})
	n.Tried = found.Tried
	switch {
	case errors.Is(err, contact.ErrNone):
		n.State, n.Why = Barred, "no contact was found"
		return d.done(ctx, who, c, n, src)
	case err != nil:
		return n, err
	}
	n.To, n.Way, n.Form, n.Language = found.Contact.Address, string(found.Contact.Way), found.Contact.Form, "en"
	if n, err = d.send(ctx, n, m, src, d.words(c, src, "en")); err != nil {
		return n, err
	}
	return d.done(ctx, who, c, n, src)
}

// done notes in source and case that the provider was told, or why not.
func (d *Desk) done(ctx context.Context, who cases.Actor, c cases.Case, n Notice, src Source) (Notice, error) {
	if n.State == Barred {
		n.ID = identify(c.ID, fmt.Sprint(n.Incident), "barred", n.Why)
		if _, err := d.notices().Create(ctx, n); err != nil && !errors.Is(err, entity.ErrExists) {
			return n, err
		}
	} else if _, err := d.sources().Change(ctx, c.ID, func(s *Source) error { s.Told = max(s.Told, n.Incident); return nil }); err != nil {
		return n, err
	}
	text := "told " + n.To
	if n.State == Barred {
		text = "nobody was told: " + n.Why
	}
	_, err := d.Cases.Note(ctx, c.ID, cases.Event{Actor: who.Name, Action: "complain", Text: text, Data: map[string]string{"notice": n.ID, "state": n.State, "way": n.Way, "incidents": fmt.Sprint(src.Incidents)}})
	if err != nil || c.State != flow.Confirmed {
		return n, err
	}
	r := cases.Request{To: flow.Notified, Reason: text, Notice: n.ID}
	if n.State == Barred {
		r.Notice, r.Barred = "", n.Why
	}
	_, err = d.Cases.Move(ctx, who, c.ID, r)
	return n, err
}

// lastBar is why the provider was not told, as far as that was tried.
func (d *Desk) lastBar(ctx context.Context, id string) string {
	all, _, err := d.Notices(ctx, id, "", 1)
	if err == nil && len(all) == 1 && all[0].State == Barred {
		return all[0].Why
	}
	return "the block could not wait"
}

// send writes a report down and hands it to the outbox. The same incident goes to the same
// address once.
func (d *Desk) send(ctx context.Context, n Notice, m Message, src Source, words string) (Notice, error) {
	n.ID = identify(n.Case, fmt.Sprint(n.Incident), n.To)
	n.MessageID = "<" + n.ID + "@" + d.Host + ">"
	raw, err := d.report(&n, m, src, words)
	if err != nil {
		return n, err
	}
	return d.queue(ctx, n, raw)
}

func (d *Desk) sendText(ctx context.Context, n Notice, subject, body string) (Notice, error) {
	n.ID = identify(n.Case, fmt.Sprint(n.Incident), n.To)
	n.MessageID = "<" + n.ID + "@" + d.Host + ">"
	raw, err := wording.Text(d.Alias(n.Case), n.To, n.MessageID, n.Language, subject, body, n.At)
	if err != nil {
		return n, err
	}
	return d.queue(ctx, n, raw)
}

func (d *Desk) queue(ctx context.Context, n Notice, raw []byte) (_ Notice, err error) {
	if n.Sum, _, err = d.Home.PutBlob(ctx, entity.Evidence, bytes.NewReader(raw)); err != nil {
		return n, err
	}
	n.State = Queued
	row, err := d.notices().Create(ctx, n)
	if errors.Is(err, entity.ErrExists) {
		row, err = d.notices().Get(ctx, n.ID)
	}
	if err != nil || row.Value.State != Queued {
		return row.Value, err
	}
	return d.hand(ctx, row.Value)
}

func (d *Desk) hand(ctx context.Context, n Notice) (Notice, error) {
	r, err := d.Home.Blob(ctx, entity.Evidence, n.Sum)
	if err != nil {
		return n, err
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		return n, err
	}
	if err := d.Submit(ctx, n.ID, n.At, d.Alias(n.Case), n.To, raw); err != nil {
		return n, err
	}
	row, err := d.notices().Change(ctx, n.ID, func(n *Notice) error { n.State = Sent; return nil })
	if err != nil {
		return n, err
	}
	return row.Value, d.Audit(ctx, n.By, "source-notice", n.Case, nil, map[string]string{"notice": n.ID, "to": n.To, "form": n.Form}, "")
}

// tendNotices hands on what did not reach the outbox.
func (d *Desk) tendNotices(ctx context.Context) error {
	rows, _, err := d.notices().Find(ctx, entity.Query{Index: "state", Value: Queued, Rising: true, Limit: 100})
	errs := []error{err}
	for _, r := range rows {
		_, err := d.hand(ctx, r.Value)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Bounced notes that a report came back, and reports whether it was one of ours.
func (d *Desk) Bounced(ctx context.Context, messageID, why string) (bool, error) {
	rows, _, err := d.notices().Find(ctx, entity.Query{Index: "message", Value: messageID, Limit: 1})
	if err != nil || len(rows) == 0 {
		return false, err
	}
	_, err = d.notices().Change(ctx, rows[0].Value.ID, func(n *Notice) error { n.State, n.Why = Failed, why[:min(len(why), 300)]; return nil })
	return true, err
}

// report writes the message. XARF needs what not every message has: then it is ARF.
func (d *Desk) report(n *Notice, m Message, src Source, words string) ([]byte, error) {
	from := d.Alias(n.Case)
	incidents := max(src.Incidents-src.Told, 1)
	h, _ := inner.Header(m.Raw)
	if n.Form == contact.XARF {
		us := xarf.Party{Org: d.Name, Contact: from, Domain: address.DomainOf(from)}
		out, err := xarf.WriteMail(xarf.Mail{
			From: from, To: n.To, MessageID: n.MessageID, Date: n.At, Subject: "Abuse report " + n.Case, Words: words, Language: n.Language, UserAgent: d.Agent,
			Document: xarf.Document{
				ID: uuid(n.ID), Time: m.Arrival, Reporter: us, Source: m.IP.Unmap().String(), Port: m.Port, EvidenceSource: src.evidenceSource(), MailFrom: m.MailFrom,
				Subject: h.Decoded("Subject"), MessageID: strings.TrimSpace(h.Get("Message-ID")), UserAgent: d.Agent, Count: len(m.RcptTo),
				Evidence: []xarf.Evidence{{Type: "message/rfc822", Data: m.Raw}},
			},
		})
		if err == nil {
			return out, nil
		}
		n.Form, n.Why = contact.ARF, err.Error()
	}
	var domains []string
	if m.Domain != "" {
		domains = []string{m.Domain}
	}
	return arf.Write(arf.Notice{
		From: from, To: n.To, Date: n.At, MessageID: n.MessageID, Words: words, Language: n.Language, UserAgent: d.Agent, MTA: d.Host,
		MailFrom: m.MailFrom, Arrival: m.Arrival, SourceIP: m.IP, SourcePort: m.Port, Domains: domains, AuthResult: m.AuthResult,
		Incidents: incidents, Original: m.Raw, RcptTo: m.RcptTo, Redact: d.Redact, Mask: d.Redact != nil,
	})
}

func (s *Source) evidenceSource() string {
	for _, g := range s.Signs {
		if g.Ground == Trap {
			return "spamtrap"
		}
	}
	return "user_complaint"
}

func identify(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return "x-" + hex.EncodeToString(h.Sum(nil))[:32]
}

// uuid is a report's name in the form that XARF asks for.
func uuid(id string) string {
	x := sha256.Sum256([]byte("xarf " + id))
	x[6], x[8] = x[6]&0x0f|0x80, x[8]&0x3f|0x80 // version 8: made of a hash
	s := hex.EncodeToString(x[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
