// Package feeds keeps the registered feedback loops: who gets an address of its own to report to,
// and whose signature must be on what comes there.
package feeds

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"postern/abuse/intake/shelf"
	"postern/internal/address"
	"postern/internal/entity"
	"postern/internal/said"
)

// Kind is that of the records here.
const Kind entity.Kind = "feed"

// Book is the feedback loops of an installation.
type Book struct {
	Home entity.Store
	Now  func() time.Time

	aliases atomic.Pointer[aliases]
}

// Observe is how long a new feed only observes (RFC 6449 appendix C.3): a threshold that meets
// a feed for the first time would end customers who had no issue.
const Observe = 14 * 24 * time.Hour

// Feed is a registered feedback loop.
type Feed struct {
	Name   string    `json:"name"`
	Alias  string    `json:"alias"`  // the address that was given to it, and to nobody else
	Domain string    `json:"domain"` // d= of its signature
	Since  time.Time `json:"since"`
	By     string    `json:"by"`
	Off    bool      `json:"off,omitempty"`

	Note      string    `json:"note,omitempty"` // why its trust was changed last
	ChangedBy string    `json:"changed_by,omitempty"`
	Changed   time.Time `json:"changed,omitzero"`
}

// Trust is how far the reports of a feed are believed.
type Trust string

// The trusts.
const (
	Believed  Trust = "believed" // they have a vote, once Observe is over
	Observed  Trust = "observed" // they have none for another Observe
	Unheeded  Trust = "unheeded" // they are a stranger's reports
	MaxReason       = 1000       // octets
)

// Trust is how far f is believed at a time.
func (f Feed) Trust(now time.Time) Trust {
	switch {
	case f.Off:
		return Unheeded
	case now.Before(f.Observing()):
		return Observed
	}
	return Believed
}

// SetTrust changes how far a feed is believed, for a reason. That a feed observes first cannot be
// cut short.
func (b *Book) SetTrust(ctx context.Context, who, name string, to Trust, why string) (Feed, error) {
	if why = strings.TrimSpace(why); why == "" || len(why) > MaxReason {
		return Feed{}, said.Errorf("feed.feed-a-reason-of-at-most-octets", "feed %.64s: a reason of at most %d octets is needed: %w", "name", name, "most", MaxReason, "kind", entity.ErrInvalid)
	}
	now := b.Now().UTC()
	row, err := table(b.Home).Change(ctx, name, func(f *Feed) error {
		switch to {
		case Believed:
			f.Off = false
		case Observed:
			f.Off, f.Since = false, now
		case Unheeded:
			f.Off = true
		default:
			return said.Errorf("feed.feed-the-trust-is-none-there-are", "feed %.64s: the trust %.20q is none; there are believed, observed and unheeded: %w", "name", name, "to", to, "kind", entity.ErrInvalid)
		}
		f.Note, f.ChangedBy, f.Changed = why, who, now
		return nil
	})
	b.Refresh(ctx)
	return row.Value, err
}

// Observing is until when the feed's reports have no vote.
func (f Feed) Observing() time.Time { return f.Since.Add(Observe) }

func table(s entity.Store) entity.Table[Feed] {
	return entity.Table[Feed]{Store: s, Kind: Kind, ID: func(f *Feed) string { return f.Name }, Keys: func(f *Feed) []entity.Key {
		l, dom := Base(f.Alias)
		return []entity.Key{{Index: "all", At: shelf.Milli(f.Since)}, {Index: "alias", Value: shelf.Value(l + "@" + dom), At: shelf.Milli(f.Since)}}
	}}
}

// Register adds a feedback loop. Its reports have no vote before Observe is over. The error
// says what is wrong with it, or is entity.ErrExists.
func (b *Book) Register(ctx context.Context, f Feed) (Feed, error) {
	f.Name, f.Alias, f.Domain = strings.ToLower(strings.TrimSpace(f.Name)), strings.ToLower(strings.TrimSpace(f.Alias)), strings.ToLower(strings.Trim(strings.TrimSpace(f.Domain), "."))
	f.Since = b.Now().UTC()
	l, dom := Base(f.Alias)
	switch {
	case f.Name == "" || len(f.Name) > 64 || strings.Trim(f.Name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "":
		return f, said.Errorf("feed.feed-a-name-has-1-to-64", "feed %.64q: a name has 1 to 64 letters, digits, dots and hyphens: %w", "name", f.Name, "kind", entity.ErrInvalid)
	case l == "" || dom == "" || l == "abuse" || l == "postmaster":
		return f, said.Errorf("feed.feed-alias-it-needs-an-address-of", "feed %s: alias %.100q: it needs an address of its own, not abuse@ or postmaster@: %w", "name", f.Name, "alias", f.Alias, "kind", entity.ErrInvalid)
	case !strings.Contains(f.Domain, ".") || strings.ContainsAny(f.Domain, "@ /"):
		return f, said.Errorf("feed.feed-the-d-of-its-signatures-is", "feed %s: %.100q: the d= of its signatures is a domain: %w", "name", f.Name, "domain", f.Domain, "kind", entity.ErrInvalid)
	}
	n, err := table(b.Home).Count(ctx, entity.Query{Index: "alias", Value: shelf.Value(l + "@" + dom)}, 1)
	if err != nil {
		return f, err
	}
	if n > 0 {
		return f, said.Errorf("feed.feed-alias-belongs-to-another-feed", "feed %s: alias %s belongs to another feed: %w", "name", f.Name, "alias", f.Alias, "kind", entity.ErrExists)
	}
	row, err := table(b.Home).Create(ctx, f)
	b.Refresh(ctx)
	return row.Value, err
}

// All are the registered feedback loops, newest first.
func (b *Book) All(ctx context.Context) (all []Feed, err error) {
	err = table(b.Home).Each(ctx, entity.Query{Index: "all", Limit: entity.MaxPage}, func(r entity.Row[Feed]) error {
		all = append(all, r.Value)
		return nil
	})
	return all, err
}

// Get is one of them.
func (b *Book) Get(ctx context.Context, name string) (Feed, error) {
	row, err := table(b.Home).Get(ctx, name)
	return row.Value, err
}

// End forgets a feed: its alias is no longer believed.
func (b *Book) End(ctx context.Context, name string) error {
	row, err := table(b.Home).Get(ctx, name)
	if err != nil {
		return err
	}
	err = table(b.Home).Remove(ctx, row)
	b.Refresh(ctx)
	return err
}

// Of is the feed at whose alias r came, signed by its domain; nil = none.
func (b *Book) Of(ctx context.Context, r shelf.Report) (*Feed, error) {
	if r.By != shelf.ByMail || len(r.Auth.DKIM) == 0 {
		return nil, nil
	}
	for _, to := range r.To {
		l, dom := Base(to)
		rows, _, err := table(b.Home).Find(ctx, entity.Query{Index: "alias", Value: shelf.Value(l + "@" + dom), Limit: 1})
		if err != nil && !errors.Is(err, entity.ErrNotFound) {
			return nil, err
		}
		for _, row := range rows {
			if f := row.Value; !f.Off && slices.Contains(r.Auth.DKIM, f.Domain) {
				return &f, nil
			}
		}
	}
	return nil, nil
}

// aliases are the addresses of feeds, as of a revision.
type aliases struct {
	revision uint64
	all      map[string]bool
}

// Alias reports whether an address was given to a feed: its mail is the desk's. A feed that
// was registered elsewhere counts within seconds.
func (b *Book) Alias(addr string) bool {
	known := b.aliases.Load()
	if known == nil {
		return false
	}
	l, dom := Base(addr)
	return known.all[l+"@"+dom]
}

// Refresh reads the aliases anew when a feed changed; what was known last counts meanwhile.
func (b *Book) Refresh(ctx context.Context) {
	known := b.aliases.Load()
	rev, err := b.Home.Revision(ctx, Kind)
	if err != nil || known != nil && known.revision == rev {
		return
	}
	all, err := b.All(ctx)
	if err != nil {
		return
	}
	next := &aliases{revision: rev, all: map[string]bool{}}
	for _, f := range all {
		l, dom := Base(f.Alias)
		next.all[l+"@"+dom] = true
	}
	b.aliases.Store(next)
}

// Base is an address without its tag, in one form.
func Base(addr string) (local, domain string) {
	at := strings.LastIndexByte(addr, '@')
	if at < 0 {
		return "", ""
	}
	local, _, _ = strings.Cut(strings.Trim(addr[:at], `"`), "+")
	return strings.ToLower(local), address.DomainOf(strings.ToLower(addr))
}
