package sources

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"postern/abuse/cases"
	"postern/abuse/external/wording"
	"postern/abuse/listing"
	"postern/abuse/listing/suspect"
	"postern/abuse/notice/letter"
	"postern/abuse/signal"
	"postern/internal/config"
	"postern/internal/said"
)

// monitor watches our own addresses and domains.
func (d *Desk) monitor(c *config.Config) *listing.Monitor {
	p := d.p
	m := &listing.Monitor{
		Home: p.Home, Cases: p.Cases, DNS: p.DNS, Subjects: d.subjects, Domain: c.Hostname, Draft: d.draft, Submit: d.tellBody,
		Audit: p.Audit, Alarm: d.alarm, Now: p.Now, Log: p.Log,
	}
	if p.Sent != nil {
		m.Suspect = suspect.Finder{Cases: p.Cases, Signals: signal.NewLog(p.Home), Sent: p.Sent}.Find
	}
	for _, l := range c.Abuse.Listings.Lists {
		m.Lists = append(m.Lists, listing.List{Name: l.Name, Zone: l.Zone, Domains: l.Of == "domains", Major: l.Major, Test: l.Test, NotTest: l.NotTest, Removal: l.Removal})
	}
	return m
}

// subjects are our own addresses and domains.
func (d *Desk) subjects() []string {
	c := d.p.Config.Load()
	out := slices.Concat(c.Abuse.Listings.Addresses, c.Abuse.Listings.Domains)
	for domain := range c.Routes {
		if !strings.HasPrefix(domain, "*.") {
			out = append(out, domain)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// letter is what the desk's letter says of a listing; nothing where none can be written, and
// then the program words the notice.
func (d *Desk) letter(ctx context.Context, caseID string, l listing.Listing) (t letter.Text) {
	if d.p.Letters == nil {
		return t
	}
	c := d.p.Config.Load().Abuse
	since := l.Since
	if since.IsZero() {
		since = l.First
	}
	t, err := d.p.Letters.Write(ctx, c.External.Body.Language, letter.Listing, letter.Vars{
		Ticket: caseID, About: l.Subject, Received: letter.When{Time: since.UTC()}, Hours: c.Answers.Hours, Desk: c.Answers.Name, Proof: l.List, Measure: "-", Subject: l.Subject,
	})
	if err != nil {
		d.p.Log.Warn("a notice about a listing is worded by the program: the letter cannot be used", "listing", l.ID, "err", err)
		return letter.Text{}
	}
	return t
}

// draft is what the national body is told of a listing of ours: the letter of the desk, and the
// facts below it.
func (d *Desk) draft(ctx context.Context, c cases.Case, l listing.Listing) string {
	conf := d.p.Config.Load()
	return wording.Listing(conf.Abuse.External.Body.Language, d.letter(ctx, c.ID, l).Body, wording.Listed{
		Case: c.ID, Desk: conf.Abuse.Answers.Name, Host: conf.Hostname, Subject: l.Subject, List: l.List, Codes: l.Codes, Text: l.Text, Since: l.Since,
	})
}

// tellBody sends a drafted notice to the national body.
func (d *Desk) tellBody(ctx context.Context, id string, l listing.Listing, text string) error {
	c := d.p.Config.Load()
	body := c.Abuse.External.Body
	if body.Address == "" {
		return said.Errorf("source.abuse-external-national-body-names-nobody", "%w: abuse.external.national_body names nobody", "kind", listing.ErrNobody)
	}
	from := d.p.Alias(l.Case)
	now := d.p.Now().UTC()
	raw, err := wording.Text(from, body.Address, "<"+id+"@"+c.Hostname+">", body.Language, cmp.Or(d.letter(ctx, l.Case, l).Subject, wording.ListingSubject(body.Language, l.Case)), text, now)
	if err != nil {
		return err
	}
	return d.p.Submit(ctx, id, now, from, body.Address, raw)
}
