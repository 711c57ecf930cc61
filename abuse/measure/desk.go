package measure

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"postern/abuse"
	"postern/abuse/measure/guard"
	"postern/abuse/measure/shadow"
	"postern/internal/entity"
	"postern/internal/said"
)

// Kind is the kind of measures.
const Kind entity.Kind = "measure"

// Config is what can be configured.
type Config struct {
	Throttle, Hold, Suspend time.Duration // TTL of M1 and M2, review of M3 and more
	Breaker                 guard.Limits
	Mode                    Mode          // "" = ModeOff
	Shadow                  time.Duration // how long a new rule runs in shadow; 0 = 14 days
	Messages                int           // what M1 leaves an hour: held mail goes out that fast; 0 = 20
	Retry                   time.Duration // connectors are tried again after this, then twice and so on up to ten minutes
}

// Parts are what a Desk works with. Store, Accounts, Audit and Now are needed.
type Parts struct {
	Store      entity.Store
	Accounts   *abuse.Accounts
	Connectors []Connector
	Config     Config
	Switch     *guard.Switch // nil: there is no kill switch
	// Protected says whom automation never does more to than throttle; nil: nobody.
	Protected func(account string) bool
	// Population counts the active accounts of a domain, or of all with "".
	Population func(domain string) int
	Held       Held // nil: nothing is held here
	// Note adds to a case; nil: nobody keeps cases.
	Note  func(ctx context.Context, caseID, action string, text said.Words) error
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Alert func(key, text string, over bool)
	Now   func() time.Time
}

// Desk takes and lifts measures.
type Desk struct {
	Parts
	table entity.Table[Measure]

	Breaker *guard.Breaker
	Rules   *shadow.Rules
}

// New makes a Desk.
func New(p Parts) *Desk {
	day := 24 * time.Hour
	c := &p.Config
	c.Throttle, c.Hold, c.Suspend = either(c.Throttle, day), either(c.Hold, 4*time.Hour), either(c.Suspend, time.Hour)
	c.Shadow = either(c.Shadow, 14*day)
	if c.Messages <= 0 {
		c.Messages = 20
	}
	c.Retry = either(c.Retry, 20*time.Second)
	if p.Alert == nil {
		p.Alert = func(string, string, bool) {}
	}
	return &Desk{Parts: p, table: entity.Table[Measure]{
		Store: p.Store, Kind: Kind, ID: func(m *Measure) string { return m.ID }, Keys: keys,
	},
		Breaker: &guard.Breaker{Store: p.Store, Limits: c.Breaker, Population: p.Population, Audit: p.Audit, Alert: p.Alert, Now: p.Now},
		Rules:   &shadow.Rules{Store: p.Store, For: c.Shadow, Audit: p.Audit, Now: p.Now},
	}
}

func either(d, other time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return other
}

func keys(m *Measure) []entity.Key {
	at := m.At.UnixMilli()
	out := []entity.Key{{Index: "at", At: at}, {Index: "target", Value: m.Target, At: at}}
	if m.State != Removed {
		out = append(out, entity.Key{Index: "open", At: at}, entity.Key{Index: "open-target", Value: m.Target, At: at})
	}
	if m.Level == abuse.M2 && m.State == Removed && m.Released >= 0 {
		out = append(out, entity.Key{Index: "releasing", At: at})
	}
	if m.Case != "" {
		out = append(out, entity.Key{Index: "case", Value: m.Case, At: at})
	}
	return out
}

// Apply takes the measure a person asks for. The same request again is the same measure.
func (d *Desk) Apply(ctx context.Context, r Request) (Measure, error) {
	if err := d.Check(r); err != nil {
		return Measure{}, err
	}
	if r.Actor == "" {
		return Measure{}, said.Errorf("measure.a-measure-has-an-author", "%w: a measure has an author", "kind", ErrInvalid)
	}
	if r.Level == abuse.M7 && (r.Approver == "" || r.Approver == r.Actor) {
		return Measure{}, said.Errorf("measure.m7-is-asked-for-by-one-and", "%w: M7 is asked for by one and approved by another", "kind", ErrSecond)
	}
	return d.put(ctx, r, false)
}

// Check says why a measure cannot be asked for, or nil.
func (d *Desk) Check(r Request) error {
	switch {
	case r.Target() == "" || r.Target() == "@" || r.Account != "" && r.Domain != "":
		return said.Errorf("measure.name-an-account-or-a-domain", "%w: name an account or a domain", "kind", ErrInvalid)
	case !r.Level.Valid():
		return said.Errorf("measure.there-is-no-level", "%w: there is no level %d", "kind", ErrInvalid, "level", r.Level)
	case r.Level == abuse.M6 && r.Domain == "":
		return said.Errorf("measure.m6-is-for-a-domain", "%w: M6 is for a domain", "kind", ErrInvalid)
	case strings.TrimSpace(r.Why().English) == "":
		return said.Errorf("measure.a-measure-has-a-reason", "%w: a measure has a reason", "kind", ErrInvalid)
	case len(r.Why().English) > 1000 || len(r.Target()) > 320:
		return said.Errorf("measure.at-most-1000-octets-of-reason-and", "%w: at most 1000 octets of reason and 320 of name", "kind", ErrInvalid)
	}
	return nil
}

// put writes the measure, has our listeners enforce it, and carries it to the connectors.
func (d *Desk) put(ctx context.Context, r Request, auto bool) (Measure, error) {
	now := d.Now().UTC()
	m := Measure{
		ID: r.ID, Target: r.Target(), Level: r.Level, State: PendingActivation, Actor: r.Actor, Auto: auto, Case: r.Case,
		Families: r.Families, Rules: r.Rules, Score: r.Score, Messages: r.Messages, Recipients: r.Recipients, At: now, Approver: r.Approver,
	}
	r.Why().Put(&m.Reason, &m.Said)
	d.terms(&m, r.TTL)
	base, err := d.base(ctx, m.Target)
	if err != nil {
		return m, err
	}
	m.Base = base
	for _, c := range d.Connectors {
		if Carries(c, m) {
			m.Connectors = append(m.Connectors, Carried{Name: c.Name(), Required: c.Capabilities().Required})
		}
	}
	row, fresh, err := d.create(ctx, m)
	if err != nil {
		return row.Value, err
	}
	if m = row.Value; fresh {
		if err := d.say(ctx, m, m.Actor, "measure-"+m.Level.Word(), nil, m, m.Why()); err != nil {
			return m, err
		}
	}
	if err := d.project(ctx, m.Target, m.Actor); err != nil {
		return row.Value, err
	}
	return d.carry(ctx, m.ID)
}

// terms set when it ends or is reviewed.
func (d *Desk) terms(m *Measure, ttl time.Duration) {
	switch {
	case ttl > 0:
		m.Until = m.At.Add(ttl)
	case ttl < 0 || !m.Auto: // what a person asked for stands until a person ends it
	case m.Level <= abuse.M1:
		m.Until = m.At.Add(d.Config.Throttle)
	case m.Level == abuse.M2:
		m.Until = m.At.Add(d.Config.Hold)
	}
	if m.Until.IsZero() && m.Level >= abuse.M2 {
		m.Review = m.At.Add(d.Config.Suspend)
	}
}

// Terms says when the measure that a person asks for would end by itself, or be reviewed.
func (d *Desk) Terms(r Request) (until, review time.Time) {
	m := Measure{Level: r.Level, At: d.Now().UTC()}
	d.terms(&m, r.TTL)
	return m.Until, m.Review
}

// base is the record to go back to when the last measure ends.
func (d *Desk) base(ctx context.Context, target string) (*abuse.Account, error) {
	all, err := d.inForce(ctx, target)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if m.Base != nil {
			return m.Base, nil
		}
	}
	acc, err := d.Accounts.Stored(ctx, target)
	if err != nil || acc.Measure != "" { // a projection whose measures are gone
		return nil, err
	}
	return &acc, nil
}

// inForce are the measures that our listeners enforce on a target, the one that rules first.
func (d *Desk) inForce(ctx context.Context, target string) ([]Measure, error) {
	var all []Measure
	err := d.table.Each(ctx, entity.Query{Index: "open-target", Value: target, Limit: 100}, func(r entity.Row[Measure]) error {
		if r.Value.State.InForce() {
			all = append(all, r.Value)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Measure) int {
		switch {
		case a.Level != b.Level:
			return int(b.Level) - int(a.Level)
		case a.Auto != b.Auto && b.Auto:
			return -1 // what a person asked for rules
		case a.Auto != b.Auto:
			return 1
		case !a.At.Equal(b.At):
			return b.At.Compare(a.At)
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, err
}

// project makes the account's record say what is in force: the highest measure, or what was
// before the first. It rests on the measures alone, so that doing it again does no harm.
func (d *Desk) project(ctx context.Context, target, actor string) error {
	all, err := d.inForce(ctx, target)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return d.restore(ctx, target, actor)
	}
	top := all[0]
	acc := abuse.Account{
		Name: target, State: abuse.Active, Level: top.Level, Reason: top.Reason, Said: top.Said, By: top.Actor, Until: top.Until, Case: top.Case, Measure: top.ID,
		Auto: top.Auto, Messages: top.Messages, Recipients: top.Recipients,
	}
	if acc.Until.IsZero() {
		acc.Until = top.Review
	}
	stored, err := d.Accounts.Stored(ctx, target)
	if err != nil {
		return err
	}
	if stored.Measure == "" && stored.Effective() > acc.Level { // suspended without a measure since, as with the store away
		return nil
	}
	if b := top.Base; b != nil && b.Effective() > acc.Level { // it was suspended without a measure
		return d.set(ctx, *b, actor)
	}
	for _, m := range all {
		if top.Auto && !m.Auto {
			acc.Human = max(acc.Human, m.Level)
		}
	}
	if acc.Level >= abuse.M3 {
		acc.State = abuse.Suspended
	}
	return d.set(ctx, acc, actor)
}

// restore writes the record of before the first measure that is open or was the last to end.
func (d *Desk) restore(ctx context.Context, target, actor string) error {
	acc, err := d.Accounts.Stored(ctx, target)
	if err != nil || acc.Measure == "" {
		return err
	}
	row, err := d.table.Get(ctx, acc.Measure)
	if err != nil && !errors.Is(err, entity.ErrNotFound) {
		return err
	}
	before := abuse.Account{Name: target, State: abuse.Active}
	if row.Value.Base != nil {
		before = *row.Value.Base
	}
	if end := row.Value.Ended; before.Version == 0 && end != nil { // there was no record: this one says who lifted it
		before.By, before.Reason, before.Said = end.Actor, end.Reason, end.Said
	}
	return d.set(ctx, before, actor)
}

func (d *Desk) set(ctx context.Context, acc abuse.Account, actor string) error {
	_, _, err := d.Accounts.Set(ctx, acc, actor)
	return err
}

// say writes to the audit and, where there is one, to the case.
func (d *Desk) say(ctx context.Context, m Measure, actor, action string, before, after any, note said.Words) error {
	if err := d.Audit(ctx, actor, action, m.Target+" "+m.ID, before, after, note.English); err != nil {
		return err
	}
	if d.Note == nil || m.Case == "" {
		return nil
	}
	return d.Note(ctx, m.Case, action, said.Say("note.measure", "%s on %s by %s: %s", "level", m.Level, "target", m.Target, "who", actor, "why", note))
}

// Undo lifts a measure: our listeners let go at once, connectors when they have proved it.
// What was before is restored exactly. cleared says that there was no abuse.
func (d *Desk) Undo(ctx context.Context, id, actor string, reason said.Words, cleared bool) (Measure, error) {
	row, err := d.table.Change(ctx, id, func(m *Measure) error {
		if !m.State.InForce() {
			return entity.ErrUnchanged
		}
		m.State, m.Retry, m.Tries = PendingRemoval, time.Time{}, 0
		m.Ended = &Ended{At: d.Now().UTC(), Actor: actor, Cleared: cleared}
		reason.Put(&m.Ended.Reason, &m.Ended.Said)
		return nil
	})
	if err != nil {
		return row.Value, err
	}
	m := row.Value
	if m.State == PendingRemoval && m.Ended != nil && m.Ended.Actor == actor && m.Ended.Reason == reason.English {
		if err := d.say(ctx, m, actor, "measure-undo", m.Level.String(), nil, reason); err != nil {
			return m, err
		}
	}
	if cleared {
		if err := d.Rules.Cleared(ctx, m.Target); err != nil {
			return m, err
		}
	}
	if err := d.project(ctx, m.Target, actor); err != nil {
		return m, err
	}
	return d.carry(ctx, id)
}

// UndoAll lifts everything in force on a target.
func (d *Desk) UndoAll(ctx context.Context, target, actor string, reason said.Words, cleared bool) ([]Measure, error) {
	all, err := d.inForce(ctx, target)
	for i, m := range all {
		if all[i], err = d.Undo(ctx, m.ID, actor, reason, cleared); err != nil {
			return all, err
		}
	}
	return all, err
}

// Reviewed puts the review of a measure off.
func (d *Desk) Reviewed(ctx context.Context, id, actor string, next time.Duration) (Measure, error) {
	row, err := d.table.Change(ctx, id, func(m *Measure) error {
		if !m.State.InForce() {
			return ErrEnded
		}
		m.Review = d.Now().UTC().Add(either(next, 7*24*time.Hour))
		return nil
	})
	if err != nil {
		return row.Value, err
	}
	d.Alert("measure-review:"+id, "", true)
	return row.Value, d.say(ctx, row.Value, actor, "measure-reviewed", nil, row.Value.Review, said.Words{})
}

// Get returns a measure.
func (d *Desk) Get(ctx context.Context, id string) (Measure, error) {
	row, err := d.table.Get(ctx, id)
	return row.Value, err
}

// List returns a page of measures, newest first: of a target or of all, open ones or all.
func (d *Desk) List(ctx context.Context, target string, open bool, after string, limit int) (out []Measure, next string, err error) {
	q := entity.Query{Index: "at", After: after, Limit: limit}
	switch {
	case target != "" && open:
		q.Index, q.Value = "open-target", abuse.Name(target)
	case target != "":
		q.Index, q.Value = "target", abuse.Name(target)
	case open:
		q.Index = "open"
	}
	rows, next, err := d.table.Find(ctx, q)
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, next, err
}
