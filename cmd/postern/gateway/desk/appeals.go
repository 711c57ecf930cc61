package desk

import (
	"postern/cmd/postern/appeals"
	"postern/cmd/postern/recipients"
	"postern/internal/desk/links"
	"postern/internal/desk/page"
	"postern/internal/desk/refused"
)

// buildAppeals makes what senders have whose mail was refused.
func (d *Desk) buildAppeals() (err error) {
	p := d.p
	d.Appeals, err = appeals.New(appeals.Parts{
		Entities: p.Entities, Traffic: p.Sources.Traffic, Letter: p.Submit.Letter, Now: p.Now, Log: p.Log, Audit: p.Audit, Event: p.Event,
		Describe: func(symbol string) string { s, _ := p.Rules.Load().Symbol(symbol); return s.Describe },
		Page:     func(path string) string { return p.Config.Load().Public.At(path) },
		From:     func() string { return recipients.From(p.Config.Load()) },
	})
	return err
}

// refusals is their pages.
func (d *Desk) refusals(kit *page.Kit) *refused.Room {
	p := d.p
	return &refused.Room{
		Kit: kit, Look: d.Appeals.Shown, Keep: d.Appeals.Ask, Now: p.Now, Log: p.Log,
		Forms: &links.Sealer{Keys: p.Ring, Purpose: "appeal", Now: p.Now},
	}
}
