package outbound

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/mail"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/abuse/complaint/dsn"
	"postern/abuse/proof/token"
	"postern/abuse/sent"
	"postern/filter"
	"postern/filter/bounce"
	"postern/internal/mime"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func addrPort(c filter.Client) netip.AddrPort { return netip.AddrPortFrom(c.IP.Unmap(), c.Port) }

// young is how long before the send log begins a message may have been sent whose report is
// still under way: as long as servers try.
const young = 5 * 24 * time.Hour

// match is what a delivery report is about.
type match struct {
	report dsn.Report
	answer bounce.Answer
	row    sent.Row // of mail of ours, where the log still has it
	words  string
}

// About implements bounce.Sent.
func (d *Desk) About(ctx context.Context, m *filter.Message) (bounce.Answer, string, error) {
	found, err := d.match(ctx, m)
	return found.answer, found.words, err
}

// Complete implements bounce.Sent: it notes the code that came back for each recipient that
// the message had.
func (d *Desk) Complete(ctx context.Context, m *filter.Message) error {
	found, err := d.match(ctx, m)
	if err != nil || found.row.Serial == "" {
		return err
	}
	var copies []sent.Copy
	for _, one := range found.report.Recipients {
		code := failed(one)
		to := recipient(found.row, one)
		if code != "" && to != "" {
			copies = append(copies, sent.Copy{Recipient: to, Bounced: code, At: d.Now()})
		}
	}
	if len(copies) == 0 {
		return nil
	}
	return ifThere(d.Store.Settle(ctx, found.row.Serial, copies))
}

// failed is the enhanced code of a failure, "" where there was none.
func failed(r dsn.Recipient) string {
	switch {
	case r.Action != "" && r.Action != "failed", strings.HasPrefix(r.Status, "2."), strings.HasPrefix(r.Status, "4.") && r.Action == "":
		return ""
	case r.Status == "":
		return "5.0.0"
	}
	return r.Status
}

// recipient is the copy of a row that a report names; a message to one went to that one, under
// whatever name its server knows him.
func recipient(r sent.Row, named dsn.Recipient) string {
	for _, c := range r.Copies {
		if strings.EqualFold(c.Recipient, named.Final) || strings.EqualFold(c.Recipient, named.Original) {
			return c.Recipient
		}
	}
	if len(r.Copies) == 1 {
		return r.Copies[0].Recipient
	}
	return ""
}

// match reads a delivery report and looks for what it is about: by the token in what was
// returned, which nobody else can make, else by its Message-ID, if the sender and a recipient
// fit as well.
func (d *Desk) match(ctx context.Context, m *filter.Message) (out match, err error) {
	tree, err := m.Parts()
	if err != nil {
		return out, nil //nolint:nilerr // what cannot be read is no report
	}
	report, ok := dsn.Read(tree)
	if !ok || len(report.Original) == 0 {
		return out, nil
	}
	out.report = report
	head, err := mime.Walk(bytes.NewReader(report.Original), int64(len(report.Original)), mime.DefaultLimits())
	if err != nil {
		return out, nil //nolint:nilerr // the same
	}
	get := head.Root.Header.Get
	for _, name := range []string{d.Config.Load().Headers.Trace, "CFBL-Feedback-ID"} {
		if t, err := d.ring.Find(get(name)); err == nil {
			out.answer = bounce.Ours
			out.row, err = d.Store.BySerial(ctx, t.Serial)
			return out, ifThere(err)
		}
	}
	id := strings.Trim(get("Message-ID"), "<> \t\r\n")
	if id == "" {
		return out, nil
	}
	rows, err := d.Store.ByMessageID(ctx, id)
	if err != nil {
		return out, err
	}
	for _, r := range rows {
		if fits(r, m, report) {
			out.answer, out.row = bounce.Ours, r
			return out, nil
		}
	}
	told, err := d.told(ctx, get("Date"))
	if told && err == nil {
		out.answer, out.words = bounce.Foreign, "the send log has no message "+clip(id)
	}
	return out, err
}

// fits reports whether a row is what a report to m's recipients can be about.
func fits(r sent.Row, m *filter.Message, report dsn.Report) bool {
	back := slices.ContainsFunc(m.To, func(to filter.Recipient) bool { return strings.EqualFold(to.Address, r.From) })
	if !back {
		return false
	}
	return len(report.Recipients) == 0 || slices.ContainsFunc(report.Recipients, func(one dsn.Recipient) bool { return recipient(r, one) != "" })
}

// told reports whether the log goes back far enough to know a message of this date: mail that
// left before it began is unknown to it and may still come back.
func (d *Desk) told(ctx context.Context, date string) (bool, error) {
	begun := d.begun.Load()
	if begun == nil {
		rows, _, err := d.Store.Since(ctx, "", 1)
		if err != nil && !errors.Is(err, sent.ErrNotFound) {
			return false, err
		}
		if len(rows) == 0 {
			return false, nil // nothing was ever sent through here
		}
		begun = &rows[0].At
		d.begun.Store(begun)
	}
	if at, err := mail.ParseDate(date); err == nil && at.Before(d.Now().Add(time.Hour)) {
		return at.After(*begun) || d.Now().Sub(at) > 2*young, nil
	}
	return d.Now().Sub(*begun) > young, nil
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 100)], "?") }

// Token is what a trace token says, with the row of the message it was made for.
type Token struct {
	Serial    string    `json:"serial"`
	Minute    time.Time `json:"minute"`
	Key       string    `json:"key"`
	Submitted bool      `json:"submitted"` // the account had logged in here
	Account   string    `json:"account,omitempty"`
	Row       *sent.Row `json:"row,omitempty"`     // nil: the log has it no longer
	Problem   string    `json:"problem,omitempty"` // what does not fit
}

// Tell opens a token and finds its message.
func (d *Desk) Tell(ctx context.Context, text string) (Token, error) {
	t, err := d.ring.Find(text)
	if err != nil {
		if _, direct := d.ring.Open(text); direct != nil {
			err = direct
		}
		return Token{}, err
	}
	out := Token{Serial: t.Serial, Minute: t.Minute, Key: t.Key, Submitted: t.Flags&token.Submitted != 0}
	row, err := d.Store.BySerial(ctx, t.Serial)
	if errors.Is(err, sent.ErrNotFound) {
		out.Problem = "the send log has no such message any more"
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Account, out.Row = row.Account, &row
	if !d.ring.Names(t, row.Account) {
		out.Account, out.Problem = "", "the token was made for another account than the send log says"
	}
	return out, nil
}
