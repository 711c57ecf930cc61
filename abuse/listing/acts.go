package listing

import (
	"context"
	"errors"
	"strings"

	"postern/abuse/cases"
	"postern/internal/entity"
	"postern/internal/said"
)

// ErrCause means that what is behind a listing is not resolved: who asks for removal before
// that is listed again, and believed less the next time.
var ErrCause = said.New("listing.listing-the-cause-is-not-resolved", "listing: the cause is not resolved")

// Get returns a listing.
func (m *Monitor) Get(ctx context.Context, id string) (Listing, error) {
	row, err := m.table().Get(ctx, id)
	if errors.Is(err, entity.ErrNotFound) {
		err = ErrNotFound
	}
	return row.Value, err
}

// List returns a page of listings, the youngest first; open ones alone if so asked.
func (m *Monitor) List(ctx context.Context, open bool, after string, limit int) ([]Listing, string, error) {
	q := entity.Query{Index: "all", After: after, Limit: limit}
	if open {
		q.Index = "open"
	}
	rows, next, err := m.table().Find(ctx, q)
	out := make([]Listing, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, next, err
}

// Health tells how the lists passed their last test.
func (m *Monitor) Health(ctx context.Context) ([]Health, error) {
	rows, _, err := m.tests().Find(ctx, entity.Query{Index: "all", Limit: entity.MaxPage})
	out := make([]Health, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, err
}

// Link names the case that is the cause of a listing.
func (m *Monitor) Link(ctx context.Context, who cases.Actor, id, cause string) (Listing, error) {
	l, err := m.Get(ctx, id)
	if err != nil {
		return l, err
	}
	if cause == l.Case {
		return l, said.Errorf("listing.is-about-the-listing-itself-name-the", "%w: %s is about the listing itself; name the case about what is behind it", "kind", ErrCause, "cause", cause)
	}
	if _, err := m.Cases.Get(ctx, cause); err != nil {
		return l, err
	}
	row, err := m.table().Change(ctx, id, func(x *Listing) error { x.Cause, x.Named = cause, who.Name; return nil })
	if err != nil || l.Case == "" {
		return row.Value, err
	}
	_, err = m.Cases.Note(ctx, l.Case, cases.Event{Actor: who.Name, Action: "cause", Said: said.Say("note.cause", "the cause is %s", "cause", cause), Data: map[string]string{"cause": cause}})
	return row.Value, err
}

// Send sends the drafted notice to the national body; text, if any, takes its place.
func (m *Monitor) Send(ctx context.Context, who cases.Actor, id, text string) (Listing, error) {
	l, err := m.Get(ctx, id)
	if err != nil {
		return l, err
	}
	if strings.TrimSpace(text) == "" {
		text = l.Draft
	}
	if text == "" || len(text) > 64<<10 {
		return l, said.Errorf("listing.it-has-at-least-a-word-and", "%w: it has at least a word, and at most 64 KiB", "kind", ErrNotice)
	}
	if l.Case == "" {
		return l, said.Errorf("listing.is-not-held-to-be-listed-yet", "%w: %s is not held to be listed yet", "kind", ErrNotice, "subject", l.Subject)
	}
	if !l.Sent.IsZero() {
		return l, said.Errorf("listing.it-was-sent-already", "%w: it was sent already", "kind", ErrNotice)
	}
	if err := m.Submit(ctx, "listing-"+l.ID+"-"+l.First.Format("20060102150405"), l, text); err != nil {
		return l, err
	}
	row, err := m.table().Change(ctx, id, func(x *Listing) error { x.Draft, x.Sent = text, m.Now().UTC(); return nil })
	if err != nil {
		return l, err
	}
	if _, err := m.Cases.Note(ctx, l.Case, cases.Event{Actor: who.Name, Action: "listing-notice", Said: said.Say("note.body-told", "the national body was told")}); err != nil {
		return row.Value, err
	}
	return row.Value, m.Audit(ctx, who.Name, "listing-notice", l.ID, nil, map[string]string{"case": l.Case}, "")
}

// MayAsk says why removal cannot be asked for yet, or nil.
func (m *Monitor) MayAsk(ctx context.Context, l Listing) error {
	if !l.Open() {
		return said.Errorf("listing.is-not-on", "%w: %s is not on %s", "kind", ErrNotFound, "subject", l.Subject, "list", l.List)
	}
	if l.Cause == "" {
		return said.Errorf("listing.no-case-is-named-as-the-cause", "%w: no case is named as the cause", "kind", ErrCause)
	}
	ok, err := m.resolved(ctx, l.Cause)
	if err != nil {
		return err
	}
	if !ok {
		return said.Errorf("listing.is-still-worked-on", "%w: %s is still worked on", "kind", ErrCause, "cause", l.Cause)
	}
	return nil
}

// Ask notes that a person asked the list for removal, and tells how that is done there.
func (m *Monitor) Ask(ctx context.Context, who cases.Actor, id string) (Listing, error) {
	l, err := m.Get(ctx, id)
	if err == nil {
		err = m.MayAsk(ctx, l)
	}
	if err != nil {
		return l, err
	}
	row, err := m.table().Change(ctx, id, func(x *Listing) error {
		if !x.Asked.IsZero() {
			return entity.ErrUnchanged
		}
		x.Asked, x.AskedBy = m.Now().UTC(), who.Name
		return nil
	})
	if err != nil {
		return l, err
	}
	if _, err := m.Cases.Note(ctx, l.Case, cases.Event{Actor: who.Name, Action: "removal-asked", Said: said.Say("note.removal-asked", "removal from %s is asked for: %s", "list", l.List, "how", l.Removal)}); err != nil {
		return row.Value, err
	}
	return row.Value, m.Audit(ctx, who.Name, "listing-removal", l.ID, nil, map[string]string{"cause": l.Cause}, "")
}
