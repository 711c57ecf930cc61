package sources

import (
	"context"
	"net/netip"
	"strings"

	"postern/abuse/cases"
	"postern/abuse/external/contact"
	"postern/internal/address"
)

// Case returns a case.
func (d *Desk) Case(ctx context.Context, id string) (cases.Case, error) {
	return d.p.Cases.Get(ctx, id)
}

// Audit writes down what a person did.
func (d *Desk) Audit(ctx context.Context, actor, action, object string, before, after any, note string) error {
	return d.p.Audit(ctx, actor, action, object, before, after, note)
}

// Find tells who would hear of abuse from an address or of a signing domain.
func (d *Desk) Find(ctx context.Context, about string) (contact.Result, error) {
	var s contact.Source
	if ip, err := netip.ParseAddr(about); err == nil {
		s.IP = ip
	} else if s.Domain = strings.ToLower(about); !address.ValidDomain(s.Domain) {
		return contact.Result{}, contact.ErrInvalid
	}
	return d.Contacts.Find(ctx, s)
}

// CheckListings asks the lists about us now, whenever they were asked before.
func (d *Desk) CheckListings(ctx context.Context) error {
	return d.p.Alone(ctx, "listing check", d.Listings.Tick)
}
