package measure

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"postern/abuse"
	"postern/abuse/signal"
	"postern/internal/said"
)

// Mode says what automation does.
type Mode string

// The modes.
const (
	ModeOff    Mode = "off"    // only people take measures
	ModeShadow Mode = "shadow" // rules say what they would do
	ModeOn     Mode = "on"     // rules that a person enabled act
)

// Proposal is what the signals about an account ask for.
type Proposal struct {
	Account string
	Signals []signal.Signal
	Case    string
	Score   int
	Loud    bool // it sends so much that holding alone is not enough
}

// Decision is what became of a proposal.
type Decision struct {
	Wanted  abuse.Level // by the signals of rules in force
	Shadow  abuse.Level // by all signals
	Measure Measure     // the one in force; ID "" = none
	New     bool        // it was taken now
	Why     said.Words  // why not more
}

// Wanted is the level that signals allow without a person: complaints or listings alone never
// more than a throttle; a hold or a suspension needs two families, one of which is our own
// seeing; M4 an anomaly of logins as well. M5 to M7 are never reached.
func Wanted(all []signal.Signal, loud, protected bool) (abuse.Level, said.Words) {
	families := signal.Kinds(all)
	if len(families) == 0 {
		return abuse.M0, said.Say("why.nothing", "nothing speaks against it")
	}
	two := len(families) >= 2 && slices.ContainsFunc(families, signal.Family.Own)
	level, why := abuse.M1, said.Say("why.one-family", "one family of signals alone")
	switch {
	case len(families) >= 2 && !two:
		why = said.Say("why.not-seen", "complaints and listings without anything we saw ourselves")
	case two && loud:
		level, why = abuse.M3, said.Words{}
	case two:
		level, why = abuse.M2, said.Words{}
	case families[0] == signal.Behaviour && weight(all) < 45, families[0] == signal.Listings:
		level, why = abuse.M0, said.Say("why.weak-family", "one family of signals alone, and a weak one")
	}
	if protected && level > abuse.M1 {
		return abuse.M1, said.Say("why.protected", "the account is protected")
	}
	return level, why
}

func weight(all []signal.Signal) (sum int) {
	for _, s := range all {
		sum += s.Weight
	}
	return sum
}

// Propose takes the measure that signals ask for, as far as all rules of safety allow.
func (d *Desk) Propose(ctx context.Context, p Proposal) (Decision, error) {
	p.Account = abuse.Name(p.Account)
	protected := d.Protected != nil && d.Protected(p.Account)
	live, err := d.live(ctx, p.Signals)
	if err != nil {
		return Decision{}, err
	}
	var out Decision
	out.Wanted, out.Why = Wanted(live, p.Loud, protected)
	out.Shadow, _ = Wanted(p.Signals, p.Loud, protected)
	if len(live) < len(p.Signals) && out.Shadow >= out.Wanted {
		if err := d.Rules.Hit(ctx, p.Account, p.Signals, live, out.Shadow); err != nil {
			return out, err
		}
	}
	if len(signal.Kinds(live)) == 0 {
		return out, nil
	}
	all, err := d.inForce(ctx, p.Account)
	if err != nil {
		return out, err
	}
	for _, m := range all {
		if m.Level >= out.Wanted {
			out.Measure, out.Why = m, said.Say("why.in-force", "it is in force")
			return out, nil
		}
	}
	if d.Switch != nil && d.Switch.Closed() {
		out.Why = said.Say("why.switched-off", "automation is switched off")
		return out, nil
	}
	if out.Wanted >= abuse.M2 {
		why, err := d.Breaker.Allow(ctx, p.Account, d.Accounts.DomainOf(p.Account))
		if err != nil || why.English != "" {
			out.Why = why
			return out, err
		}
	}
	out.Measure, err = d.put(ctx, d.request(p, live, out.Wanted), true)
	out.New = err == nil
	return out, err
}

// request is the measure for a proposal; its ID holds for a quarter of an hour, so that two
// nodes, or one that begins again, take one measure.
func (d *Desk) request(p Proposal, live []signal.Signal, level abuse.Level) Request {
	quarter := d.Now().UTC().Truncate(15 * time.Minute).Unix()
	sum := sha256.Sum256(fmt.Appendf(nil, "auto|%s|%d|%d", p.Account, level, quarter))
	r := Request{
		ID: "m-" + hex.EncodeToString(sum[:10]), Account: p.Account, Level: level, Actor: "postern", Case: p.Case, Score: p.Score,
		Families: signal.Kinds(live),
	}
	for _, s := range live {
		if s.Weight <= 0 || slices.Contains(r.Rules, s.Rule) {
			continue
		}
		r.Rules = append(r.Rules, s.Rule)
		if len(r.Said.English) < 700 {
			one := said.Say("seen.rule", "%s: %s", "rule", s.Rule, "what", s.Words()).Map(clip)
			if r.Said.English != "" {
				one = said.Join(r.Said, one)
			}
			r.Said = one
		}
	}
	return r
}

// live are the signals of rules that a person enabled.
func (d *Desk) live(ctx context.Context, all []signal.Signal) ([]signal.Signal, error) {
	if d.Config.Mode != ModeOn {
		if d.Config.Mode == ModeShadow {
			_, err := d.Rules.Known(ctx, all)
			return nil, err
		}
		return nil, nil
	}
	rules, err := d.Rules.Known(ctx, all)
	if err != nil {
		return nil, err
	}
	var out []signal.Signal
	for _, s := range all {
		if rules[s.Rule].Live {
			out = append(out, s)
		}
	}
	return out, nil
}
