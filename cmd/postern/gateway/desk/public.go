package desk

import (
	"context"
	"net/http"

	"postern/cmd/postern/access"
	"postern/cmd/postern/access/looks"
	"postern/cmd/postern/recipients"
	"postern/internal/control"
	"postern/internal/desk/form"
	"postern/internal/desk/mine"
	"postern/internal/desk/page"
	"postern/internal/desk/public"
	"postern/internal/desk/refused"
	"postern/internal/desk/words"
	"postern/rules"
)

// buildRecipients makes what recipients have of their held mail.
func (d *Desk) buildRecipients() (err error) {
	p := d.p
	book, err := words.Open()
	if err != nil {
		return err
	}
	if d.kit, err = page.New(page.Options{Words: book, Now: p.Now, Log: p.Log}, public.Pages, mine.Pages, form.Pages, refused.Pages); err != nil {
		return err
	}
	d.Recipients, err = recipients.New(recipients.Parts{
		Config: p.Config, Policy: func(name string) (rules.Policy, bool) { return p.Rules.Load().Policy(name) }, Quarantine: p.Held.Quarantine, Own: p.Sources.Own, Entities: p.Entities, Keys: p.Ring, Submit: p.Submit,
		Now: p.Now, Log: p.Log, Audit: p.Audit, Event: p.Event, Alone: p.Alone,
	})
	if err != nil {
		return err
	}
	return d.buildAppeals()
}

// Public is the pages for everybody, over the calls.
func (d *Desk) Public(calls *control.Server) http.Handler {
	c, p, kit := d.p.Config.Load(), d.p, d.kit
	r := d.Recipients
	pages := (&access.Access{Calls: calls, Now: p.Now, Log: p.Log}).Pages()
	rooms := []public.Room{
		&mine.Room{
			Kit: kit, Calls: pages, Digests: r.Digests, Enters: r.Enters, Visits: r.Visits, Used: r.Used, As: recipients.As, Ask: r.Ask,
			Refused: func(ctx context.Context, address, what string) {
				p.Looks.Note(ctx, looks.Look{Actor: "recipient " + address, Kind: "own mail", Object: what[:min(len(what), 64)], Note: "it is not there, or not theirs"})
			},
			Secure: c.Public.Secure(), Now: p.Now, Log: p.Log,
		},
		d.refusals(kit),
		&form.Room{Kit: kit, Keep: d.Form, Now: p.Now, Log: p.Log},
	}
	return public.New(public.Options{Kit: kit, Rooms: rooms, Secure: c.Public.Secure(), Proxies: c.Public.Networks(), Now: p.Now})
}
