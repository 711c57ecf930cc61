// Package list shows the rules with what they did, and switches single ones off for a time.
package list

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/cmd/postern/rulecalls/check"
	"postern/filter"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/record"
	"postern/rules"
)

// Off is a rule that is switched off: looked for and shown, and counting for nothing.
type Off struct {
	Symbol string    `json:"symbol"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
	Note   string    `json:"note"`
}

// Rule is one symbol and what it did.
type Rule struct {
	Symbol   string   `json:"symbol"`
	Kind     string   `json:"kind"` // check, pattern or composite
	Describe string   `json:"describe"`
	Score    int64    `json:"score"` // hundredths
	Action   string   `json:"action,omitempty"`
	Worth    string   `json:"worth"`
	State    string   `json:"state"` // on, off, shadow: only shown, by the files, or quiet: a part of others, never shown, whose hits nobody counts
	Off      *Off     `json:"off,omitempty"`
	MayOff   bool     `json:"may_off"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Used     []string `json:"used,omitempty"` // composites that mention it
	Hits     int      `json:"hits"`
	Verdicts Verdicts `json:"verdicts"`
}

// Verdicts counts what became of the messages that had a symbol.
type Verdicts struct {
	Accept     int `json:"accept"`
	Tag        int `json:"tag"`
	Quarantine int `json:"quarantine"`
	Defer      int `json:"defer"`
	Reject     int `json:"reject"`
}

func (v *Verdicts) add(action string) {
	switch action {
	case filter.Tag.String():
		v.Tag++
	case filter.Quarantine.String():
		v.Quarantine++
	case filter.Defer.String():
		v.Defer++
	case filter.Reject.String():
		v.Reject++
	default:
		v.Accept++
	}
}

// Listed is all rules, with what the figures are of.
type Listed struct {
	Rules    []Rule    `json:"rules"`
	Messages int       `json:"messages"` // that the figures are of
	Since    time.Time `json:"since"`    // the oldest of them may be
	Whole    bool      `json:"whole"`    // all messages since then
	Revision string    `json:"revision"`
}

// TurnOff switches a rule off for a time.
type TurnOff struct {
	Symbol string `json:"symbol"`
	Hours  int    `json:"hours"`
	Note   string `json:"note"`
}

// TurnOn switches it on again.
type TurnOn struct {
	Symbol string `json:"symbol"`
	Note   string `json:"note,omitempty"`
}

// Bounds of what is switched off.
const (
	MaxOffHours = 30 * 24 // a rule that is wrong for longer is changed in its file
	maxOffs     = 200
	MaxNote     = 500 // octets of why something is done
)

// Parts are what the list works with. All are needed.
type Parts struct {
	Rules    func() *rules.Set // as the files say
	Dir      func() string     // of the operator's rules
	Entities entity.Store
	Traffic  record.Traffic
	Switch   func(off []string)
	Now      func() time.Time
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

// List is the calls.
type List struct {
	Parts
	hits hits

	mu   sync.Mutex
	offs []string // that were switched off when it last looked
}

// New makes the calls.
func New(p Parts) *List { return &List{Parts: p, hits: hits{traffic: p.Traffic, now: p.Now}} }

func (d *List) offTable() entity.Table[Off] {
	return entity.Table[Off]{Store: d.Entities, Kind: "rule-off", ID: func(o *Off) string { return o.Symbol }, Keys: func(o *Off) []entity.Key {
		return []entity.Key{{Index: "all", At: o.Until.UnixMilli()}}
	}}
}

// Active are the rules that are switched off.
func (d *List) Active(ctx context.Context) ([]Off, error) {
	out := []Off{}
	rows, _, err := d.offTable().Find(ctx, entity.Query{Index: "all", Limit: entity.MaxPage})
	for _, r := range rows {
		if r.Value.Until.After(d.Now()) {
			out = append(out, r.Value)
		}
	}
	slices.SortFunc(out, func(a, b Off) int { return strings.Compare(a.Symbol, b.Symbol) })
	return out, err
}

// Names are the symbols of them.
func Names(all []Off) (out []string) {
	for _, o := range all {
		out = append(out, o.Symbol)
	}
	return out
}

// Handle adds the calls.
func (d *List) Handle(s *control.Server) {
	control.Handle(s, "rules.list", func(ctx context.Context, _ struct{}) (Listed, error) { return d.list(ctx) })
	control.Handle(s, "rules.off", d.off)
	control.Handle(s, "rules.on", d.on)
}

func (d *List) list(ctx context.Context) (Listed, error) {
	offs, err := d.Active(ctx)
	if err != nil {
		return Listed{}, err
	}
	count, err := d.hits.get(ctx)
	if err != nil {
		return Listed{}, err
	}
	set := d.Rules()
	out := Listed{Rules: []Rule{}, Messages: count.messages, Since: count.since, Whole: count.whole, Revision: set.Without(Names(offs)).Revision()}
	for _, s := range set.Symbols() {
		out.Rules = append(out.Rules, d.rule(set, s, offs, count))
	}
	slices.SortStableFunc(out.Rules, func(a, b Rule) int { return cmp.Or(b.Hits-a.Hits, strings.Compare(a.Symbol, b.Symbol)) })
	return out, nil
}

func (d *List) rule(set *rules.Set, s rules.Symbol, offs []Off, count counted) Rule {
	r := Rule{Symbol: s.Name, Kind: string(s.Kind), Describe: s.Describe, Score: int64(s.Score), Worth: check.Worded(s), State: "on", MayOff: set.CanBeOff(s.Name), Used: set.UsedBy(s.Name), Line: s.Place.Line}
	if s.Action > 0 {
		r.Action = s.Action.String()
	}
	switch {
	case s.Quiet:
		r.State = "quiet"
	case s.Score == 0 && s.Action == 0 && r.MayOff:
		r.State = "shadow"
	}
	if i := slices.IndexFunc(offs, func(o Off) bool { return o.Symbol == s.Name }); i >= 0 {
		r.State, r.Off = "off", &offs[i]
	}
	r.File = s.Place.File
	if dir := d.Dir(); dir != "" && strings.HasPrefix(r.File, dir) {
		r.File = "rules" + strings.TrimPrefix(r.File, strings.TrimSuffix(dir, "/"))
	}
	if c := count.by[s.Name]; c != nil {
		r.Hits, r.Verdicts = c.Accept+c.Tag+c.Quarantine+c.Defer+c.Reject, *c
	}
	return r
}

func (d *List) off(ctx context.Context, p TurnOff) (Off, error) {
	set := d.Rules()
	switch sym, ok := set.Symbol(p.Symbol); {
	case !ok:
		return Off{}, control.Refuse(control.NotFound, "list.there-is-no-rule", "there is no rule %s", "symbol", p.Symbol)
	case !set.CanBeOff(sym.Name):
		return Off{}, control.Refuse(control.Conflict, "list.what-does-is-said-by-each-policy", "what %s does is said by each policy: change it there", "name", sym.Name)
	case p.Hours < 1 || p.Hours > MaxOffHours:
		return Off{}, control.Refuse(control.Invalid, "list.hours-1-to", "hours: 1 to %d", "most", MaxOffHours)
	case strings.TrimSpace(p.Note) == "" || len(p.Note) > MaxNote:
		return Off{}, control.Refuse(control.Invalid, "list.say-why-in-at-most-octets", "say why, in at most %d octets", "most", MaxNote)
	}
	switch all, err := d.Active(ctx); {
	case err != nil:
		return Off{}, err
	case len(all) >= maxOffs:
		return Off{}, control.Refuse(control.Full, "list.rules-are-off-already", "%d rules are off already", "n", len(all))
	}
	now := d.Now().UTC()
	o := Off{Symbol: p.Symbol, By: control.Actor(ctx), At: now, Until: now.Add(time.Duration(p.Hours) * time.Hour), Note: p.Note}
	_, err := d.offTable().Create(ctx, o)
	if errors.Is(err, entity.ErrExists) {
		_, err = d.offTable().Change(ctx, p.Symbol, func(old *Off) error { *old = o; return nil })
	}
	if err != nil {
		return Off{}, err
	}
	if err := d.Look(ctx); err != nil {
		return o, err
	}
	return o, d.Audit(ctx, o.By, "rule-off", p.Symbol, nil, o, p.Note)
}

func (d *List) on(ctx context.Context, p TurnOn) (string, error) {
	row, err := d.offTable().Get(ctx, p.Symbol)
	if errors.Is(err, entity.ErrNotFound) {
		return "", control.Refuse(control.NotFound, "list.is-not-switched-off", "%s is not switched off", "symbol", p.Symbol)
	}
	if err != nil {
		return "", err
	}
	if err := d.offTable().Remove(ctx, row); err != nil {
		return "", err
	}
	if err := d.Look(ctx); err != nil {
		return "", err
	}
	return p.Symbol, d.Audit(ctx, control.Actor(ctx), "rule-on", p.Symbol, row.Value, nil, p.Note)
}

// Look switches rules off and on as the records say, and forgets those whose time is over.
func (d *List) Look(ctx context.Context) error {
	rows, _, err := d.offTable().Find(ctx, entity.Query{Index: "all", Limit: entity.MaxPage})
	if err != nil {
		return err
	}
	var off []string
	for _, r := range rows {
		if r.Value.Until.After(d.Now()) {
			off = append(off, r.Value.Symbol)
			continue
		}
		switch err := d.offTable().Remove(ctx, r); {
		case errors.Is(err, entity.ErrConflict):
		case err != nil:
			return err
		default:
			if err := d.Audit(ctx, "postern", "rule-on", r.Value.Symbol, r.Value, nil, "its time is over"); err != nil {
				return err
			}
		}
	}
	slices.Sort(off)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(off, d.offs) {
		d.offs = off
		d.Switch(off)
	}
	return nil
}
