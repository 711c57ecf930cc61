package external

import (
	"cmp"
	"context"
	"strings"

	"postern/abuse/cases"
	"postern/abuse/complaint/inner"
	"postern/abuse/external/contact"
	"postern/abuse/external/wording"
	"postern/abuse/notice/letter"
)

// words is the text for people that a report begins with: what the letter of the desk says, and
// the facts below it, which no wording leaves out. A letter that cannot be written never keeps
// a report back.
func (d *Desk) words(ctx context.Context, c cases.Case, src Source, m Message, kind letter.Kind, language string) letter.Text {
	f := wording.Facts{
		Case: c.ID, Desk: d.Name, At: c.Source.Time, IP: c.Source.IP, Port: c.Source.Port, Domain: c.Source.Domain, Sender: src.Account, Incidents: src.Incidents,
	}
	for _, g := range src.Signs {
		if g.Ground.Good() {
			f.Ground = string(g.Ground)
			break
		}
	}
	h, _ := inner.Header(m.Raw)
	return wording.Write(ctx, d.Letters, d.Log, language, kind, f, letter.Vars{
		Ticket: c.ID, About: cmp.Or(src.Account, c.Source.Domain, c.Source.IP.Unmap().String()), Received: letter.When{Time: c.Opened.UTC()}, Hours: d.Hours, Desk: d.Name, Proof: cmp.Or(f.Ground, "-"),
		Measure: letter.Measure(language, string(c.State), 0), Subject: cmp.Or(strings.Join(strings.Fields(h.Decoded("Subject")), " "), "-"),
	})
}

// tellBody reports a source to the national body, in the form it asks for.
func (d *Desk) tellBody(ctx context.Context, n Notice, c cases.Case, m Message, src Source) error {
	if d.Body.Address == "" {
		return nil
	}
	n.To, n.Way, n.Form, n.Language = d.Body.Address, ToBody, d.Body.Form, d.Body.Language
	t := d.words(ctx, c, src, m, letter.National, d.Body.Language)
	if n.Form != "text" {
		n.Form = contact.ARF
		_, err := d.send(ctx, n, m, src, t.Body)
		return err
	}
	_, err := d.sendText(ctx, n, t.Subject, t.Body)
	return err
}
