// Package recipients tells people of the mail that is held for them, at the hours they want,
// and does for them what they ask for: with their own mail, and for themselves alone.
package recipients

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"postern/blocklist"
	"postern/cmd/postern/glue"
	"postern/internal/address"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/desk/links"
	"postern/internal/desk/mine"
	"postern/internal/desk/words"
	"postern/internal/entity"
	"postern/quarantine"
	"postern/rules"
)

// Parts are what a Desk works with. All are needed.
type Parts struct {
	Config     *atomic.Pointer[config.Config]
	Policy     func(name string) (rules.Policy, bool)
	Quarantine *quarantine.Quarantine
	Own        *blocklist.Own
	Entities   entity.Store
	Keys       links.Keys
	Submit     *glue.Submitter
	Now        func() time.Time
	Log        *slog.Logger
	Audit      func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Event      func(key, text string, over bool)
	// Alone runs f where no other node does the same just now.
	Alone func(ctx context.Context, job string, f func(ctx context.Context) error) error
}

// Desk is what recipients have of the gateway.
type Desk struct {
	Parts
	Digests, Enters, Visits *links.Sealer // of the links in letters, of those that sign in, and of sessions
	Used                    *links.Used

	book     *words.Book
	readers  entity.Table[Reader]
	progress entity.Table[progress]
	disowned entity.Table[disowned]
	asks     chan ask
	failing  time.Time // since when letters cannot be sent
}

// Reader is a recipient: what they want, and what they were told.
type Reader struct {
	Address  string    `json:"address"` // lower case
	Language string    `json:"language,omitempty"`
	Zone     string    `json:"zone,omitempty"`
	Hours    []int     `json:"hours,omitempty"`
	Off      bool      `json:"off,omitempty"`
	Seen     time.Time `json:"seen,omitzero"` // arrival of the newest message that a letter told of
	Due      time.Time `json:"due,omitzero"`  // when the next letter goes out
	Sending  *Sending  `json:"sending,omitempty"`
	Last     *Last     `json:"last,omitempty"`
}

// Sending is a letter that is being handed over: it is written down before, so that no crash
// makes two of one.
type Sending struct {
	Slot  time.Time `json:"slot"`
	At    time.Time `json:"at"`
	Holds []string  `json:"holds"`
	More  int       `json:"more,omitempty"`
	Upto  time.Time `json:"upto"`
	Entry string    `json:"entry"`           // of the outbox
	Ended string    `json:"ended,omitempty"` // delivered, or refused: it had left the outbox before this was noted
	Reply string    `json:"reply,omitempty"`
}

// Last is the last letter.
type Last struct {
	Slot  time.Time `json:"slot"`
	At    time.Time `json:"at"`
	Entry string    `json:"entry"`
	Holds int       `json:"holds"`
	State string    `json:"state"` // waiting, delivered, refused
	Reply string    `json:"reply,omitempty"`
}

// progress is how far arrivals were looked at.
type progress struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

// disowned is a message whose recipient says that it is not theirs.
type disowned struct {
	Hold    string    `json:"hold"`
	Address string    `json:"address"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"`
}

// New is the desk.
func New(p Parts) (*Desk, error) {
	book, err := words.Open()
	if err != nil {
		return nil, err
	}
	sealer := func(purpose string) *links.Sealer { return &links.Sealer{Keys: p.Keys, Purpose: purpose, Now: p.Now} }
	return &Desk{
		Parts: p, book: book, Used: links.NewUsed(p.Entities), asks: make(chan ask, asksWaiting),
		Digests: sealer("digest"), Enters: sealer("enter"), Visits: sealer("visit"),
		readers:  entity.Table[Reader]{Store: p.Entities, Kind: "recipient", ID: func(r *Reader) string { return id(r.Address) }, Keys: keysOf},
		progress: entity.Table[progress]{Store: p.Entities, Kind: "digest-progress", ID: func(m *progress) string { return m.ID }},
		disowned: entity.Table[disowned]{
			Store: p.Entities, Kind: "disowned", ID: func(m *disowned) string { return m.Hold },
			Keys: func(m *disowned) []entity.Key {
				return []entity.Key{{Index: "of", Value: id(m.Address), At: m.At.UnixMilli()}, {Index: "until", At: m.Expires.UnixMilli()}}
			},
		},
	}, nil
}

func keysOf(r *Reader) []entity.Key {
	keys := []entity.Key{{Index: "all", At: 1}}
	if !r.Due.IsZero() {
		keys = append(keys, entity.Key{Index: "due", At: r.Due.UnixMilli()})
	}
	if r.Last != nil && r.Last.State == waiting {
		keys = append(keys, entity.Key{Index: "waiting", At: r.Last.At.UnixMilli()})
	}
	return keys
}

// Canonical is an address as recipients are known by it.
func Canonical(addr string) string { return strings.ToLower(strings.TrimSpace(addr)) }

// id names a recipient in the store: addresses hold what no ID may.
func id(addr string) string {
	sum := sha256.Sum256([]byte(Canonical(addr)))
	return hex.EncodeToString(sum[:])
}

// reader is what is known of a recipient; without a record, nothing but the address.
func (d *Desk) reader(ctx context.Context, addr string) (Reader, error) {
	row, err := d.readers.Get(ctx, id(addr))
	if errors.Is(err, entity.ErrNotFound) {
		return Reader{Address: Canonical(addr)}, nil
	}
	return row.Value, err
}

// change changes the record of a recipient, which is made where there is none.
func (d *Desk) change(ctx context.Context, addr string, f func(*Reader) error) error {
	for {
		_, err := d.readers.Change(ctx, id(addr), f)
		if !errors.Is(err, entity.ErrNotFound) {
			return err
		}
		r := Reader{Address: Canonical(addr)}
		if err := f(&r); err != nil {
			if errors.Is(err, entity.ErrUnchanged) {
				return nil
			}
			return err
		}
		if _, err = d.readers.Create(ctx, r); !errors.Is(err, entity.ErrExists) {
			return err
		}
	}
}

// hosted reports whether mail to an address stays here.
func (d *Desk) hosted(addr string) bool {
	a, err := address.Parse(addr, true)
	if err != nil || a.Domain == "" {
		return false
	}
	_, ok := glue.RouteFor(d.Config.Load(), strings.ToLower(a.Domain))
	return ok
}

// theirs reports whether a held message is for an address, and one that recipients see.
func theirs(h *quarantine.Hold, addr string) bool {
	return h.Direction == "inbound" && h.Class == quarantine.ByVerdict && len(h.To) == 1 && Canonical(h.To[0]) == Canonical(addr)
}

// hold is somebody's message; of what is somebody else's it says what it says of nothing.
func (d *Desk) hold(ctx context.Context, of mine.Of) (quarantine.Hold, error) {
	h, err := d.Quarantine.Show(ctx, of.ID)
	none := control.Because(control.NotFound, quarantine.ErrNotFound)
	switch {
	case errors.Is(err, quarantine.ErrNotFound):
		return h, none
	case err != nil:
		return h, err
	case !theirs(&h, of.Address) || !h.State.Open():
		return h, none
	}
	_, err = d.disowned.Get(ctx, h.ID)
	switch {
	case err == nil:
		return h, none
	case errors.Is(err, entity.ErrNotFound):
		return h, nil
	}
	return h, err
}

// held calls f with what is held for an address since a time, newest first, until f says no.
func (d *Desk) held(ctx context.Context, addr string, since time.Time, after string, f func(quarantine.Hold, string) bool) error {
	not, err := d.notTheirs(ctx, addr)
	if err != nil {
		return err
	}
	q := quarantine.Query{To: Canonical(addr), Since: since, Class: quarantine.ByVerdict, Limit: quarantine.DefaultPage, After: after}
	for range heldPages {
		page, err := d.Quarantine.List(ctx, q)
		if err != nil {
			return err
		}
		for i, h := range page.Holds {
			next := page.Next
			if i < len(page.Holds)-1 {
				next = "more"
			}
			if theirs(&h, addr) && !slices.Contains(not, h.ID) && !f(h, next) {
				return nil
			}
		}
		if q.After = page.Next; page.Next == "" {
			return nil
		}
	}
	return nil
}

// heldPages bounds a look at what is held for one address.
const heldPages = 40

func (d *Desk) notTheirs(ctx context.Context, addr string) ([]string, error) {
	rows, _, err := d.disowned.Find(ctx, entity.Query{Index: "of", Value: id(addr), Limit: entity.MaxPage})
	var all []string
	for _, r := range rows {
		all = append(all, r.Value.Hold)
	}
	return all, err
}
