package sources

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/external/wording"
	"postern/abuse/listing"
	"postern/internal/address"
	"postern/internal/config"
)

// monitor watches our own addresses and domains.
func (d *Desk) monitor(c *config.Config) *listing.Monitor {
	p := d.p
	m := &listing.Monitor{
		Home: p.Home, Cases: p.Cases, DNS: p.DNS, Subjects: d.subjects, Domain: c.Hostname, Draft: d.draft, Submit: d.tellBody, Suspect: d.suspect,
		Audit: p.Audit, Alarm: d.alarm, Now: p.Now, Log: p.Log,
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

// draft is what the national body is told of a listing of ours.
func (d *Desk) draft(c cases.Case, l listing.Listing) string {
	conf := d.p.Config.Load()
	return wording.Listing(conf.Abuse.External.Body.Language, wording.Listed{
		Case: c.ID, Desk: conf.Abuse.Answers.Name, Host: conf.Hostname, Subject: l.Subject, List: l.List, Codes: l.Codes, Text: l.Text, Since: l.Since,
	})
}

// tellBody sends a drafted notice to the national body.
func (d *Desk) tellBody(ctx context.Context, id, caseID, text string) error {
	c := d.p.Config.Load()
	body := c.Abuse.External.Body
	if body.Address == "" {
		return fmt.Errorf("%w: abuse.external.national_body names nobody", listing.ErrNobody)
	}
	from := d.p.Alias(caseID)
	now := d.p.Now().UTC()
	raw, err := wording.Text(from, body.Address, "<"+id+"@"+c.Hostname+">", body.Language, wording.ListingSubject(body.Language, caseID), text, now)
	if err != nil {
		return err
	}
	return d.p.Submit(ctx, id, now, from, body.Address, raw)
}

// suspectsOf is how long before a listing its cause may lie, and suspectsMost how many cases
// are looked at.
const (
	suspectsOf   = 14 * 24 * time.Hour
	suspectsMost = 1000
)

// suspect is the case of an account of ours that most speaks against at the time of a listing;
// of a domain that is listed, an account of its own.
func (d *Desk) suspect(ctx context.Context, subject string, since time.Time) string {
	all, _, err := d.p.Cases.Find(ctx, cases.Search{View: "all", Limit: suspectsMost})
	if err != nil {
		d.p.Log.Warn("the cause of a listing was not looked for", "subject", subject, "error", err)
		return ""
	}
	_, err = netip.ParseAddr(subject)
	byDomain := err != nil
	best, most := "", 0
	for _, c := range all {
		if c.Kind != cases.Local || c.Account == "" || c.Drill || c.MergedInto != "" || c.Opened.Before(since.Add(-suspectsOf)) {
			continue
		}
		if byDomain && address.DomainOf(c.Account) != subject {
			continue
		}
		if n := weight(c); n > most {
			best, most = c.ID, n
		}
	}
	return best
}

// weight is how much speaks against an account: that it was proved, what was done, votes.
func weight(c cases.Case) int {
	n := 1 + min(c.Votes, 9999)
	if def, _ := flow.Of(c.State); def.Proven {
		n += 100_000
	}
	if c.State == flow.NotOurs || c.State == flow.Rejected || c.NoAbuse {
		return 0
	}
	return n + 10_000*c.Level
}
