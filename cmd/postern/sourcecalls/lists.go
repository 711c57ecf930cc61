package sourcecalls

import (
	"context"
	"time"

	"postern/abuse/cases"
	"postern/abuse/external/contact"
	"postern/abuse/external/published"
	"postern/abuse/listing"
	"postern/internal/control"
	"postern/internal/said"
)

// Contact is a contact to write down, to look for or to forget.
type Contact struct {
	ID      string `json:"id,omitempty"`
	About   string `json:"about,omitempty"` // an address, a network or a domain
	Address string `json:"address,omitempty"`
	Form    string `json:"form,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// Contacts is a page of them.
type Contacts struct {
	Contacts []contact.Record `json:"contacts"`
	Next     string           `json:"next,omitempty"`
}

func (p Parts) contactCalls(s *control.Server) {
	f := p.Desk.Contacts
	look(s, "contact.list", func(ctx context.Context, q Paging) (Contacts, error) {
		all, next, err := f.List(ctx, q.After, q.Limit)
		return Contacts{some(all), next}, err
	})
	look(s, "contact.find", func(ctx context.Context, q Contact) (contact.Result, error) { return p.Desk.Find(ctx, q.About) })
	act(s, "contact.learn", func(ctx context.Context, who cases.Actor, q Contact) (contact.Record, error) {
		r, err := f.Learn(ctx, who.Name, q.About, q.Address, q.Form)
		if err == nil {
			err = p.Desk.Audit(ctx, who.Name, "contact-learn", r.ID, nil, r, q.Reason)
		}
		return r, err
	})
	act(s, "contact.opt-out", func(ctx context.Context, who cases.Actor, q Contact) (contact.Record, error) {
		r, err := f.OptOut(ctx, who.Name, q.Address, q.Reason)
		if err == nil {
			err = p.Desk.Audit(ctx, who.Name, "contact-opt-out", r.ID, nil, r, q.Reason)
		}
		return r, err
	})
	act(s, "contact.forget", func(ctx context.Context, who cases.Actor, q Contact) (struct{}, error) {
		err := f.Forget(ctx, q.ID)
		if err == nil {
			err = p.Desk.Audit(ctx, who.Name, "contact-forget", q.ID, nil, nil, q.Reason)
		}
		return struct{}{}, err
	})
}

// Edition names an edition of a published list, or brings one.
type Edition struct {
	ID        string    `json:"id,omitempty"`
	List      string    `json:"list,omitempty"`
	File      []byte    `json:"file,omitempty"`
	Signature []byte    `json:"signature,omitempty"`
	Published time.Time `json:"published,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

// Editions is a page of them.
type Editions struct {
	Editions []published.Edition `json:"editions"`
	Next     string              `json:"next,omitempty"`
}

func (p Parts) publishedCalls(s *control.Server) {
	d := p.Desk.Published
	look(s, "published.list", func(ctx context.Context, q Paging) (Editions, error) {
		all, next, err := d.List(ctx, q.After, q.Limit)
		return Editions{some(all), next}, err
	})
	look(s, "published.show", func(ctx context.Context, q Edition) (published.Edition, error) { return d.Get(ctx, q.ID) })
	act(s, "published.import", func(ctx context.Context, who cases.Actor, q Edition) (published.Edition, error) {
		return d.Import(ctx, who, q.List, q.File, q.Signature, q.Published)
	})
	act(s, "published.apply", func(ctx context.Context, who cases.Actor, q Edition) (published.Edition, error) {
		return d.Apply(ctx, who, q.ID, q.Reason)
	})
	act(s, "published.drop", func(ctx context.Context, who cases.Actor, q Edition) (published.Edition, error) {
		return d.Drop(ctx, who, q.ID, q.Reason)
	})
}

// Listing names a listing of ours and what is done about it.
type Listing struct {
	ID    string `json:"id"`
	Cause string `json:"cause,omitempty"` // a case
	Text  string `json:"text,omitempty"`  // in place of the draft
}

// Listings is a page of them, with how the lists passed their last test.
type Listings struct {
	Listings []listing.Listing `json:"listings"`
	Tests    []listing.Health  `json:"tests"`
	Next     string            `json:"next,omitempty"`
}

// ListingShown is a listing and whether its removal may be asked for.
type ListingShown struct {
	Listing listing.Listing `json:"listing"`
	MayAsk  bool            `json:"may_ask"`
	WhyNot  string          `json:"why_not,omitempty"`
	Said    said.Words      `json:"said,omitzero"` // WhyNot by its code
}

func (p Parts) listing(ctx context.Context, id string) (ListingShown, error) {
	l, err := p.Desk.Listings.Get(ctx, id)
	if err != nil {
		return ListingShown{}, err
	}
	out := ListingShown{Listing: l, MayAsk: true}
	if err := p.Desk.Listings.MayAsk(ctx, l); err != nil {
		out.MayAsk = false
		said.Of(err).Put(&out.WhyNot, &out.Said)
	}
	return out, nil
}

func (p Parts) listings(ctx context.Context, q Paging) (out Listings, err error) {
	m := p.Desk.Listings
	all, next, err := m.List(ctx, q.Open, q.After, q.Limit)
	if err != nil {
		return out, err
	}
	tests, err := m.Health(ctx)
	return Listings{some(all), some(tests), next}, err
}

func (p Parts) listingCalls(s *control.Server) {
	m := p.Desk.Listings
	look(s, "listing.list", p.listings)
	look(s, "listing.show", func(ctx context.Context, q Listing) (ListingShown, error) { return p.listing(ctx, q.ID) })
	act(s, "listing.check", func(ctx context.Context, _ cases.Actor, q Paging) (Listings, error) {
		if err := p.Desk.CheckListings(ctx); err != nil {
			return Listings{}, err
		}
		return p.listings(ctx, q)
	})
	act(s, "listing.cause", func(ctx context.Context, who cases.Actor, q Listing) (ListingShown, error) {
		if _, err := m.Link(ctx, who, q.ID, q.Cause); err != nil {
			return ListingShown{}, err
		}
		return p.listing(ctx, q.ID)
	})
	act(s, "listing.send", func(ctx context.Context, who cases.Actor, q Listing) (ListingShown, error) {
		if _, err := m.Send(ctx, who, q.ID, q.Text); err != nil {
			return ListingShown{}, err
		}
		return p.listing(ctx, q.ID)
	})
	act(s, "listing.removal", func(ctx context.Context, who cases.Actor, q Listing) (ListingShown, error) {
		if _, err := m.Ask(ctx, who, q.ID); err != nil {
			return ListingShown{}, err
		}
		return p.listing(ctx, q.ID)
	})
}
