// Package shadow knows which rules may take measures, and what the others would have done.
package shadow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"postern/abuse"
	"postern/abuse/signal"
	"postern/internal/entity"
	"postern/internal/said"
)

// The kinds of what is known of rules.
const (
	Kind    entity.Kind = "measure-rule"
	HitKind entity.Kind = "measure-hit"
)

// ErrNotInTime says that the shadow of a rule is not over.
var ErrNotInTime = said.New("measure.not-yet", "not yet")

// previewFor is how far back a preview looks.
const previewFor = 30 * 24 * time.Hour

// Rules are the rules of automation. All fields are needed.
type Rules struct {
	Store entity.Store
	For   time.Duration // how long a new rule runs in shadow
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Now   func() time.Time
}

func (d *Rules) rules() entity.Table[Rule] { return ruleTable(d.Store) }
func (d *Rules) hits() entity.Table[Hit]   { return hitTable(d.Store) }

// Rule is a rule that can ask for measures. One that is not live only leaves hits.
type Rule struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"` // first seen: its shadow began
	Live  bool      `json:"live,omitempty"`
	By    string    `json:"by,omitempty"`
	At    time.Time `json:"at,omitzero"`
}

// Hit is an account that a rule in shadow would have hit on a day.
type Hit struct {
	ID      string      `json:"id"`
	Rule    string      `json:"rule"`
	Account string      `json:"account"`
	Level   abuse.Level `json:"level"`
	At      time.Time   `json:"at"`
	Cleared bool        `json:"cleared,omitempty"` // a person found that there was no abuse
}

// Preview is what enabling a rule would have done.
type Preview struct {
	Rule    Rule      `json:"rule"`
	Days    int       `json:"days"`
	Hits    int       `json:"hits"`    // accounts
	Cleared int       `json:"cleared"` // of them later cleared
	Ready   time.Time `json:"ready"`   // it can be enabled from then on
}

// String says it in a sentence.
func (p Preview) String() string { return p.Said().English }

// Said implements said.Sayer.
func (p Preview) Said() said.Words {
	return said.Say("measure.would-have-hit", "in %d days it would have hit %d accounts, of them %d later cleared", "days", p.Days, "hits", p.Hits, "cleared", p.Cleared)
}

func ruleTable(s entity.Store) entity.Table[Rule] {
	return entity.Table[Rule]{Store: s, Kind: Kind, ID: func(r *Rule) string { return r.Name }, Keys: func(r *Rule) []entity.Key {
		return []entity.Key{{Index: "all", At: r.Since.UnixMilli()}}
	}}
}

func hitTable(s entity.Store) entity.Table[Hit] {
	return entity.Table[Hit]{Store: s, Kind: HitKind, ID: func(h *Hit) string { return h.ID }, Keys: func(h *Hit) []entity.Key {
		at := h.At.UnixMilli()
		return []entity.Key{{Index: "rule", Value: h.Rule, At: at}, {Index: "account", Value: h.Account, At: at}}
	}}
}

// Known returns the rules of signals; one that was never seen begins its shadow.
func (d *Rules) Known(ctx context.Context, all []signal.Signal) (map[string]Rule, error) {
	out := map[string]Rule{}
	for _, s := range all {
		if _, ok := out[s.Rule]; ok {
			continue
		}
		row, err := d.rules().Get(ctx, s.Rule)
		if errors.Is(err, entity.ErrNotFound) {
			row, err = d.rules().Create(ctx, Rule{Name: s.Rule, Since: d.Now().UTC()})
			if errors.Is(err, entity.ErrExists) {
				row, err = d.rules().Get(ctx, s.Rule)
			}
		}
		if err != nil {
			return nil, err
		}
		out[s.Rule] = row.Value
	}
	return out, nil
}

// Live are the rules that act, with when they were enabled.
func (d *Rules) Live(ctx context.Context) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	err := d.rules().Each(ctx, entity.Query{Index: "all"}, func(r entity.Row[Rule]) error {
		if r.Value.Live {
			out[r.Value.Name] = r.Value.At
		}
		return nil
	})
	return out, err
}

// Hit writes down what rules in shadow would have done, once a day for an account.
func (d *Rules) Hit(ctx context.Context, account string, all, live []signal.Signal, level abuse.Level) error {
	on := map[string]bool{}
	for _, s := range live {
		on[s.Rule] = true
	}
	now := d.Now().UTC()
	for _, s := range all {
		if on[s.Rule] || s.Weight <= 0 {
			continue
		}
		on[s.Rule] = true
		sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s", s.Rule, account, now.Format(time.DateOnly)))
		_, err := d.hits().Create(ctx, Hit{ID: hex.EncodeToString(sum[:12]), Rule: s.Rule, Account: account, Level: level, At: now})
		if err != nil && !errors.Is(err, entity.ErrExists) {
			return err
		}
	}
	return nil
}

// Cleared notes that a person found no abuse by an account in the last thirty days.
func (d *Rules) Cleared(ctx context.Context, account string) error {
	from := d.Now().Add(-previewFor)
	return d.hits().Each(ctx, entity.Query{Index: "account", Value: abuse.Name(account), From: from.UnixMilli(), To: 1 << 62}, func(r entity.Row[Hit]) error {
		_, err := d.hits().Change(ctx, r.Value.ID, func(h *Hit) error {
			if h.Cleared {
				return entity.ErrUnchanged
			}
			h.Cleared = true
			return nil
		})
		return err
	})
}

// Preview says what enabling a rule would have done in the last thirty days.
func (d *Rules) Preview(ctx context.Context, rule string) (Preview, error) {
	row, err := d.rules().Get(ctx, rule)
	if err != nil {
		return Preview{}, err
	}
	now := d.Now()
	p := Preview{Rule: row.Value, Days: int(min(now.Sub(row.Value.Since), previewFor) / (24 * time.Hour)), Ready: row.Value.Since.Add(d.For)}
	hits, cleared := map[string]bool{}, map[string]bool{}
	err = d.hits().Each(ctx, entity.Query{Index: "rule", Value: rule, From: now.Add(-previewFor).UnixMilli(), To: 1 << 62, Limit: 1000}, func(r entity.Row[Hit]) error {
		hits[r.Value.Account] = true
		if r.Value.Cleared {
			cleared[r.Value.Account] = true
		}
		return nil
	})
	p.Hits, p.Cleared = len(hits), len(cleared)
	return p, err
}

// List tells the rules that were ever seen, with what they would have done.
func (d *Rules) List(ctx context.Context) (out []Preview, err error) {
	var names []string
	err = d.rules().Each(ctx, entity.Query{Index: "all", Rising: true}, func(r entity.Row[Rule]) error {
		names = append(names, r.Value.Name)
		return nil
	})
	for _, n := range names {
		p, perr := d.Preview(ctx, n)
		if perr != nil {
			return out, perr
		}
		out = append(out, p)
	}
	return out, err
}

// Enable lets a rule take measures, when its shadow is over.
func (d *Rules) Enable(ctx context.Context, rule, actor string) (Preview, error) {
	p, err := d.Preview(ctx, rule)
	if err != nil {
		return p, err
	}
	if now := d.Now(); now.Before(p.Ready) {
		return p, said.Errorf("measure.is-in-shadow-until", "%w: %s is in shadow until %s; %s", "kind", ErrNotInTime, "rule", rule, "utc", p.Ready.UTC().Format(time.RFC3339), "p", p)
	}
	return d.turn(ctx, p, actor, true)
}

// Disable puts a rule back into shadow.
func (d *Rules) Disable(ctx context.Context, rule, actor string) (Preview, error) {
	p, err := d.Preview(ctx, rule)
	if err != nil {
		return p, err
	}
	return d.turn(ctx, p, actor, false)
}

func (d *Rules) turn(ctx context.Context, p Preview, actor string, live bool) (Preview, error) {
	row, err := d.rules().Change(ctx, p.Rule.Name, func(r *Rule) error {
		if r.Live == live {
			return entity.ErrUnchanged
		}
		r.Live, r.By, r.At = live, actor, d.Now().UTC()
		if !live {
			r.Since = r.At
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	p.Rule = row.Value
	action := "rule-disable"
	if live {
		action = "rule-enable"
	}
	return p, d.Audit(ctx, actor, action, p.Rule.Name, nil, live, p.String())
}
