package external

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/complaint/inner"
	"postern/abuse/external/contact"
	"postern/abuse/external/told"
	"postern/abuse/external/wording"
	"postern/abuse/external/writing"
	"postern/abuse/notice/letter"
	"postern/internal/entity"
	"postern/internal/said"
)

// States of a Notice.
const (
	Queued = told.Queued
	Sent   = told.Sent
	Barred = told.Barred
	Failed = told.Failed
)

// ToBody is the Way of a Notice to the national body.
const ToBody = told.ToBody

// Notice is one report that went out, or the reason why it did not.
type Notice = told.Notice

func (d *Desk) notices() entity.Table[Notice] { return told.Table(d.Home) }

// Notices returns a page of the reports of a case, the youngest first.
func (d *Desk) Notices(ctx context.Context, id, after string, limit int) ([]Notice, string, error) {
	rows, next, err := d.notices().Find(ctx, entity.Query{Index: "case", Value: id, After: after, Limit: limit})
	out := make([]Notice, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, next, err
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
		return Notice{}, said.Errorf("external.is-a-source-is-confirmed-first", "%w: %s is %s; a source is confirmed first", "kind", ErrGround, "id", id, "state", c.State)
	}
	incident := told.Due(src.Incidents)
	n := Notice{Case: id, Incident: incident, By: who.Name, At: d.Now().UTC()}
	if src.Told >= incident {
		n.Bar(said.Say("barred.told-already", "the provider was told of incident %d of %d; the next time is due later (RFC 6650 section 7.5)", "told", src.Told, "incidents", src.Incidents))
		return n, nil
	}
	m, err := d.Message(ctx, c)
	if errors.Is(err, ErrMessage) {
		n.Bar(said.Say("barred.no-message", "no message of it is kept"))
		return d.done(ctx, who, c, n, src)
	}
	if err != nil {
		return n, err
	}
	if err := d.tellBody(ctx, n, c, m, src); err != nil {
		return n, err
	}
	h, _ := inner.Header(m.Raw)
	found, err := d.Contacts.Find(ctx, contact.Source{IP: m.IP, Domain: m.Domain, CFBL: h.Get("CFBL-Address"), Signed: m.Signed, XARF: d.writer(id, src).Document(n, m).Fits()})
	n.Tried = found.Tried
	switch {
	case errors.Is(err, contact.ErrNone):
		n.Bar(said.Say("barred.no-contact", "no contact was found"))
		return d.done(ctx, who, c, n, src)
	case err != nil:
		return n, err
	}
	n.To, n.Way, n.Form, n.Region, n.Language = found.Contact.Address, string(found.Contact.Way), found.Contact.Form, found.Contact.Region, "en"
	if n, err = d.send(ctx, n, m, src, d.words(ctx, c, src, m, letter.Complaint, "en").Body); err != nil {
		return n, err
	}
	return d.done(ctx, who, c, n, src)
}

// done notes in source and case that the provider was told, or why not.
func (d *Desk) done(ctx context.Context, who cases.Actor, c cases.Case, n Notice, src Source) (Notice, error) {
	if n.State == Barred {
		n.ID = told.Name(c.ID, fmt.Sprint(n.Incident), "barred", n.Why)
		if _, err := d.notices().Create(ctx, n); err != nil && !errors.Is(err, entity.ErrExists) {
			return n, err
		}
	} else if _, err := d.sources().Change(ctx, c.ID, func(s *Source) error { s.Told = max(s.Told, n.Incident); return nil }); err != nil {
		return n, err
	}
	text := said.Say("note.told", "told %s", "to", n.To)
	switch n.State {
	case Barred:
		text = said.Say("note.nobody-told", "nobody was told: %s", "why", n.Reason())
	case Queued:
		text = said.Say("note.report-on-its-way", "a report is on its way to %s", "to", n.To)
	}
	_, err := d.Cases.Note(ctx, c.ID, cases.Event{Actor: who.Name, Action: "complain", Said: text, Data: map[string]string{"notice": n.ID, "state": n.State, "way": n.Way, "incidents": fmt.Sprint(src.Incidents)}})
	if err != nil || c.State != flow.Confirmed {
		return n, err
	}
	r := cases.Request{To: flow.Notified, Said: text, Notice: n.ID}
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
	n.ID = told.Name(n.Case, fmt.Sprint(n.Incident), n.To)
	n.MessageID = "<" + n.ID + "@" + d.Host + ">"
	raw, err := d.writer(n.Case, src).Write(&n, m, words)
	if err != nil {
		return n, err
	}
	return d.queue(ctx, n, raw)
}

func (d *Desk) sendText(ctx context.Context, n Notice, subject, body string) (Notice, error) {
	n.ID = told.Name(n.Case, fmt.Sprint(n.Incident), n.To)
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
	if n.Called() { // another brings it
		return n, nil
	}
	r, err := d.Home.Blob(ctx, entity.Evidence, n.Sum)
	if err != nil {
		return n, err
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		return n, err
	}
	key, at := n.Entry()
	if err := d.Submit(ctx, key, at, d.Alias(n.Case), n.To, raw); err != nil {
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
	var all []Notice
	err := d.notices().Each(ctx, entity.Query{Index: "state", Value: Queued, Rising: true, Limit: 100}, func(r entity.Row[Notice]) error {
		if r.Value.Called() {
			return nil
		}
		if all = append(all, r.Value); len(all) >= 100 {
			return errFull
		}
		return nil
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	errs := []error{err}
	for _, n := range all {
		_, err := d.hand(ctx, n)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Resend hands a report that came back to the outbox once more, after its contact was
// looked up among those who want no notices.
func (d *Desk) Resend(ctx context.Context, who cases.Actor, id, why string) (Notice, error) {
	row, err := d.notices().Get(ctx, id)
	if err == nil {
		err = row.Value.MayResend(d.Now())
	}
	if err != nil {
		return row.Value, err
	}
	switch out, err := d.Contacts.OptedOut(ctx, row.Value.To); {
	case err != nil:
		return row.Value, err
	case out:
		return row.Value, said.Errorf("external.wants-no-notices", "%w: %s wants no notices", "kind", told.ErrAgain, "to", row.Value.To)
	}
	if row, err = d.notices().Change(ctx, id, func(n *Notice) error { return n.Resend(who.Name, d.Now()) }); err != nil {
		return row.Value, err
	}
	if err := d.Audit(ctx, who.Name, "source-notice-again", row.Value.Case, nil, map[string]string{"notice": id, "to": row.Value.To}, why); err != nil {
		return row.Value, err
	}
	return d.hand(ctx, row.Value)
}

// Bounced notes that a report came back, and reports whether it was one of ours.
func (d *Desk) Bounced(ctx context.Context, messageID, why string) (bool, error) {
	return told.Bounced(ctx, d.Home, messageID, why)
}

// writer is how this desk writes reports.
func (d *Desk) writer(id string, src Source) writing.Writer {
	return writing.Writer{From: d.Alias(id), Name: d.Name, Host: d.Host, Agent: d.Agent, Redact: d.Redact, Trial: d.Trial, Evidence: src.evidenceSource(), Incidents: max(src.Incidents-src.Told, 1)}
}

func (s *Source) evidenceSource() string {
	for _, g := range s.Signs {
		if g.Ground == Trap {
			return "spamtrap"
		}
	}
	return "user_complaint"
}
