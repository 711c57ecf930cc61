package published

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/external/order"
	"postern/internal/entity"
	"postern/internal/said"
)

// States of an Edition.
const (
	Previewed = "previewed" // read and tried, not in force
	Applied   = "applied"
	Replaced  = "replaced" // by a later one
	Dropped   = "dropped"  // a person refused it
)

// Edition is one publication of a list.
type Edition struct {
	ID        string       `json:"id"`
	List      string       `json:"list"`
	Sum       string       `json:"sha256"`  // of the file, class evidence
	Entries   string       `json:"entries"` // what is taken of it, one a line, class evidence
	Count     int          `json:"count"`
	Signed    bool         `json:"signed"`
	Published time.Time    `json:"published"`
	Imported  time.Time    `json:"imported"`
	Applied   time.Time    `json:"applied,omitzero"`
	Due       time.Time    `json:"due"` // one business day after publication
	Calendar  string       `json:"calendar,omitempty"`
	Late      bool         `json:"late,omitempty"`
	State     string       `json:"state"`
	Added     []string     `json:"added,omitempty"`   // the first of them
	Removed   []string     `json:"removed,omitempty"` // the same
	Adds      int          `json:"adds"`
	Removes   int          `json:"removes"`
	Refused   []Refusal    `json:"refused,omitempty"`
	Refusals  int          `json:"refusals"`
	Trial     Simulation   `json:"simulation"`
	Person    []string     `json:"needs_person,omitempty"` // why a person has to agree
	Said      []said.Words `json:"said,omitempty"`         // the same by their codes
	By        string       `json:"by"`
	AgreedBy  string       `json:"agreed_by,omitempty"`
	Why       string       `json:"why,omitempty"`
	Because   said.Words   `json:"because,omitzero"` // Why by its code, where no person gave it
	Told      bool         `json:"told,omitempty"`   // that it is late
}

// Simulation is what the entries would have done to accepted mail.
type Simulation struct {
	Days  int      `json:"days"`
	Mails int      `json:"mails"`
	Hits  int      `json:"hits"`
	Ham   int      `json:"ham"`
	Wrong int      `json:"ham_hits"`
	Some  []string `json:"examples,omitempty"` // addresses of ham that was hit
}

// Lists is where the entries take effect: on all nodes when Apply returns, or within seconds.
// It may be called again for what is done already. Entries that others wrote are left alone.
type Lists interface {
	Apply(ctx context.Context, list string, add, remove []order.Block) error
}

// Desk takes lists in.
type Desk struct {
	Home      entity.Home
	Lists     Lists
	Protected func() order.Protected
	Keys      map[string]ed25519.PublicKey // by list; who has one must be signed
	// Accepted calls f for each mail that was accepted since a time.
	Accepted func(ctx context.Context, since time.Time, f func(ip netip.Addr, ham bool) error) error
	Calendar func() *calendar.Calendar
	Lasts    time.Duration // how long an entry holds; 0 = 90 days
	Alarm    func(ctx context.Context, key, text string, over bool)
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Now      func() time.Time
}

// Bounds by which a person has to agree.
const (
	days      = 7
	hamPart   = 1000 // one in so many
	shownMost = 100
)

func (d *Desk) table() entity.Table[Edition] {
	return entity.Table[Edition]{Store: d.Home, Kind: "published-list", ID: func(e *Edition) string { return e.ID }, Keys: func(e *Edition) []entity.Key {
		return []entity.Key{{Index: "all", At: e.Imported.UnixMilli()}, {Index: "list", Value: e.List, At: e.Published.UnixMilli()}, {Index: "state", Value: e.State, At: e.Published.UnixMilli()}}
	}}
}

// Import reads a file, compares it with what is in force, and tries it. Nothing takes effect.
// published is when it was published, zero if the file says so itself.
func (d *Desk) Import(ctx context.Context, who cases.Actor, list string, file, signature []byte, published time.Time) (Edition, error) {
	now := d.Now().UTC()
	if list == "" || len(list) > 60 || strings.ContainsFunc(list, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Edition{}, said.Errorf("published.the-name-has-to-be-a-word", "%w: the name %.60q has to be a word of ASCII", "kind", ErrFile, "list", list)
	}
	key, signed := d.Keys[list]
	if signed && !ed25519.Verify(key, file, signature) {
		return Edition{}, said.Errorf("published.its-signature-is-not-that-of", "%w: its signature is not that of %s", "kind", ErrFile, "list", list)
	}
	c, err := read(file, d.Protected(), now)
	if err != nil {
		return Edition{}, err
	}
	if published.IsZero() {
		published = c.declared
	}
	if published.IsZero() || published.After(now) {
		return Edition{}, said.Errorf("published.when-was-it-published-it-says-nothing", "%w: when was it published? It says nothing, or a time to come", "kind", ErrFile)
	}
	due, err := d.Calendar().Days(published, 1)
	if err != nil {
		return Edition{}, err
	}
	sum := sha256.Sum256(append([]byte(list+"\n"), file...))
	e := Edition{
		ID: "list-" + hex.EncodeToString(sum[:12]) + fmt.Sprintf("-%x", published.Unix()), List: list, Count: len(c.entries), Signed: signed, Published: published.UTC(), Imported: now,
		Due: due.At.UTC(), Calendar: due.Calendar, State: Previewed, Refused: c.refused, Refusals: c.left, By: who.Name,
	}
	if err := d.compare(ctx, &e, c.entries); err != nil {
		return e, err
	}
	if e.Trial, err = d.simulate(ctx, c.entries, now); err != nil {
		return e, err
	}
	if e.Trial.Wrong*hamPart > e.Trial.Ham {
		e.ask(said.Say("published.would-hit", "it would have hit %d of %d good mails of the last %d days", "wrong", e.Trial.Wrong, "ham", e.Trial.Ham, "days", days))
	}
	if err := d.keep(ctx, &e, file, c.entries); err != nil {
		return e, err
	}
	return e, d.Audit(ctx, who.Name, "list-import", e.ID, nil, map[string]any{"list": list, "sha256": e.Sum, "adds": e.Adds, "removes": e.Removes, "refused": e.Refusals}, "")
}

func (d *Desk) keep(ctx context.Context, e *Edition, file []byte, entries []string) (err error) {
	if e.Sum, _, err = d.Home.PutBlob(ctx, entity.Evidence, bytes.NewReader(file)); err != nil {
		return err
	}
	if e.Entries, _, err = d.Home.PutBlob(ctx, entity.Evidence, strings.NewReader(strings.Join(entries, "\n"))); err != nil {
		return err
	}
	if _, err = d.table().Create(ctx, *e); errors.Is(err, entity.ErrExists) {
		return said.Errorf("published.this-edition-was-imported-before", "%w: this edition was imported before: %s", "kind", ErrFile, "id", e.ID)
	}
	return err
}

// inForce is the edition of a list that is in force, or nil.
func (d *Desk) inForce(ctx context.Context, list string) (*Edition, error) {
	var out *Edition
	err := d.table().Each(ctx, entity.Query{Index: "list", Value: list}, func(r entity.Row[Edition]) error {
		if r.Value.State == Applied && out == nil {
			out = &r.Value
		}
		return nil
	})
	return out, err
}

// compare fills in what changes, as against the edition in force.
func (d *Desk) compare(ctx context.Context, e *Edition, entries []string) error {
	old, err := d.inForce(ctx, e.List)
	if err != nil {
		return err
	}
	var before []string
	if old != nil {
		if !e.Published.After(old.Published) {
			return said.Errorf("published.it-was-published-at-the-one-in", "%w: it was published at %s, the one in force at %s", "kind", ErrFile, "published", e.Published.Format(time.RFC3339), "published2", old.Published.Format(time.RFC3339))
		}
		if before, err = d.entries(ctx, old); err != nil {
			return err
		}
	}
	added, removed := missing(entries, before), missing(before, entries)
	e.Adds, e.Removes = len(added), len(removed)
	e.Added, e.Removed = added[:min(len(added), shownMost)], removed[:min(len(removed), shownMost)]
	if len(before) > 0 && len(entries)*2 < len(before) {
		e.ask(said.Say("published.shrinks", "it shrinks from %d to %d entries", "before", len(before), "n", len(entries)))
	}
	return nil
}

// missing are those of a, both sorted, that are not in b.
func missing(a, b []string) []string {
	var out []string
	for _, v := range a {
		if _, there := slices.BinarySearch(b, v); !there {
			out = append(out, v)
		}
	}
	return out
}

func (d *Desk) entries(ctx context.Context, e *Edition) ([]string, error) {
	r, err := d.Home.Blob(ctx, entity.Evidence, e.Entries)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, MaxFile+MaxLines))
	if err != nil || len(text) == 0 {
		return nil, err
	}
	return strings.Split(string(text), "\n"), nil
}

func (d *Desk) simulate(ctx context.Context, entries []string, now time.Time) (Simulation, error) {
	out, m := Simulation{Days: days}, newMatcher(entries)
	err := d.Accepted(ctx, now.AddDate(0, 0, -days), func(ip netip.Addr, ham bool) error {
		out.Mails++
		hit := m.has(ip)
		if hit {
			out.Hits++
		}
		if ham {
			out.Ham++
			if hit {
				if out.Wrong++; len(out.Some) < 10 && !slices.Contains(out.Some, ip.String()) {
					out.Some = append(out.Some, ip.String())
				}
			}
		}
		return nil
	})
	return out, err
}

// ErrPerson means that a person has to agree first.
var ErrPerson = said.New("published.a-person-has-to-agree", "a person has to agree")

// Apply puts an edition into force. Where it needs a person, who agrees says why.
func (d *Desk) Apply(ctx context.Context, who cases.Actor, id, why string) (Edition, error) {
	row, err := d.table().Get(ctx, id)
	if err != nil {
		return row.Value, err
	}
	e := row.Value
	switch {
	case e.State == Applied:
		return e, nil
	case e.State != Previewed:
		return e, said.Errorf("published.it-is", "%w: it is %s", "kind", ErrFile, "state", e.State)
	}
	entries, err := d.entries(ctx, &e)
	if err != nil {
		return e, err
	}
	if err := d.compare(ctx, &e, entries); err != nil { // another one may be in force by now
		return e, err
	}
	if len(e.Person) > 0 && (who.Role == flow.System || strings.TrimSpace(why) == "") {
		return e, said.Errorf("published.and-to-say-why", "%w, and to say why: %s", "kind", ErrPerson, "person", said.Join(e.wants()...))
	}
	old, err := d.inForce(ctx, e.List)
	if err != nil {
		return e, err
	}
	if err := d.effect(ctx, who, &e, old, entries); err != nil {
		return e, err
	}
	if old != nil {
		if _, err := d.table().Change(ctx, old.ID, func(x *Edition) error { x.State = Replaced; return nil }); err != nil {
			return e, err
		}
	}
	if row, err = d.table().Change(ctx, id, func(x *Edition) error {
		x.State, x.Applied, x.AgreedBy, x.Why = Applied, d.Now().UTC(), who.Name, why
		x.Late = x.Applied.After(x.Due)
		return nil
	}); err != nil {
		return e, err
	}
	if e.Told {
		d.Alarm(ctx, "list-"+id, "the list "+e.List+" is in force", true)
	}
	return row.Value, d.Audit(ctx, who.Name, "list-apply", id, nil, map[string]any{"list": e.List, "published": e.Published, "due": e.Due}, why)
}

// effect writes all entries, those that were there too: their time begins anew.
func (d *Desk) effect(ctx context.Context, who cases.Actor, e, old *Edition, entries []string) error {
	now := d.Now().UTC()
	lasts := d.Lasts
	if lasts <= 0 {
		lasts = 90 * 24 * time.Hour
	}
	var add, remove []order.Block
	for _, v := range entries {
		b := blockOf(v, e.List, now, now.Add(lasts), who.Name)
		if b.Check(d.Protected(), now) == nil { // what is protected may have changed
			add = append(add, b)
		}
	}
	if old != nil {
		before, err := d.entries(ctx, old)
		if err != nil {
			return err
		}
		for _, v := range missing(before, entries) {
			remove = append(remove, blockOf(v, e.List, now, now.Add(lasts), who.Name))
		}
	}
	return d.Lists.Apply(ctx, e.List, add, remove)
}

// Drop refuses an edition for good.
func (d *Desk) Drop(ctx context.Context, who cases.Actor, id, why string) (Edition, error) {
	return d.drop(ctx, who, id, said.Typed(why))
}

func (d *Desk) drop(ctx context.Context, who cases.Actor, id string, why said.Words) (Edition, error) {
	row, err := d.table().Change(ctx, id, func(e *Edition) error {
		if e.State != Previewed {
			return said.Errorf("published.it-is", "%w: it is %s", "kind", ErrFile, "state", e.State)
		}
		e.State, e.AgreedBy = Dropped, who.Name
		why.Put(&e.Why, &e.Because)
		return nil
	})
	if err != nil {
		return row.Value, err
	}
	return row.Value, d.Audit(ctx, who.Name, "list-drop", id, nil, nil, why.English)
}

// Tick puts editions into force that need no person, and raises an alarm for those that wait
// beyond their time.
func (d *Desk) Tick(ctx context.Context) error {
	var waiting []Edition
	err := d.table().Each(ctx, entity.Query{Index: "state", Value: Previewed, Rising: true}, func(r entity.Row[Edition]) error {
		waiting = append(waiting, r.Value)
		return nil
	})
	errs := []error{err}
	for _, e := range waiting {
		if len(e.Person) == 0 {
			_, err := d.Apply(ctx, cases.Machine(), e.ID, "")
			if errors.Is(err, ErrFile) { // a later one took its place
				_, err = d.drop(ctx, cases.Machine(), e.ID, said.Of(err))
			}
			if !errors.Is(err, ErrPerson) {
				errs = append(errs, err)
				continue
			}
		}
		if e.Told || d.Now().Before(e.Due) {
			continue
		}
		d.Alarm(ctx, "list-"+e.ID, fmt.Sprintf("the list %s, published %s, waits for a person beyond one business day: %s", e.List, e.Published.Format(time.RFC3339), strings.Join(e.Person, "; ")), false)
		_, err := d.table().Change(ctx, e.ID, func(x *Edition) error { x.Told = true; return nil })
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Get returns an edition.
func (d *Desk) Get(ctx context.Context, id string) (Edition, error) {
	row, err := d.table().Get(ctx, id)
	return row.Value, err
}

// List returns a page of editions, the youngest first.
func (d *Desk) List(ctx context.Context, after string, limit int) ([]Edition, string, error) {
	rows, next, err := d.table().Find(ctx, entity.Query{Index: "all", After: after, Limit: limit})
	out := make([]Edition, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, next, err
}
