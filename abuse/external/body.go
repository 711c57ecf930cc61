package external

import (
	"context"

	"postern/abuse/cases"
	"postern/abuse/external/contact"
	"postern/abuse/external/wording"
)

// words is the text for people that a report begins with.
func (d *Desk) words(c cases.Case, src Source, language string) string {
	f := wording.Facts{
		Case: c.ID, Desk: d.Name, At: c.Source.Time, IP: c.Source.IP, Port: c.Source.Port, Domain: c.Source.Domain, Sender: src.Account, Incidents: src.Incidents,
	}
	for _, g := range src.Signs {
		if g.Ground.Good() {
			f.Ground = string(g.Ground)
			break
		}
	}
	return wording.Report(language, f)
}

// tellBody reports a source to the national body, in the form it asks for.
func (d *Desk) tellBody(ctx context.Context, n Notice, c cases.Case, m Message, src Source) error {
	if d.Body.Address == "" {
		return nil
	}
	n.To, n.Way, n.Form, n.Language = d.Body.Address, ToBody, d.Body.Form, d.Body.Language
	if n.Form != "text" {
		n.Form = contact.ARF
		_, err := d.send(ctx, n, m, src, d.words(c, src, d.Body.Language))
		return err
	}
	_, err := d.sendText(ctx, n, wording.Subject(d.Body.Language, c.ID), d.words(c, src, d.Body.Language))
	return err
}
