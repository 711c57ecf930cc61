package abusedesk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"postern/abuse"
	"postern/abuse/cases"
	"postern/abuse/guarantee"
	"postern/abuse/measure"
	"postern/abuse/signal"
	"postern/internal/said"
)

// probation limits who is back on a written guarantee, and sees when it is broken.
type probation struct {
	desk    *measure.Desk
	office  *guarantee.Office
	signals signal.Log
	full    func() (messages, recipients int) // an hour, of an account that nothing limits
	judged  func(ctx context.Context, account string) ([]signal.Signal, int, error)
	now     func() time.Time
}

func trialTarget(r guarantee.Ramp) (target, account, domain string) {
	if r.Scope == guarantee.Domain {
		return "@" + abuse.Name(r.Covers), "", abuse.Name(r.Covers)
	}
	return abuse.Name(r.Account), abuse.Name(r.Account), ""
}

// Begin implements guarantee.Trials: first the limits of the ramp, then the end of what the
// account was suspended by.
func (p *probation) Begin(ctx context.Context, r guarantee.Ramp) error {
	if err := p.limit(ctx, r); err != nil {
		return err
	}
	targets := []string{abuse.Name(r.Account)}
	if target, _, _ := trialTarget(r); target != targets[0] {
		targets = append(targets, target)
	}
	var errs []error
	for _, target := range targets {
		all, err := p.open(ctx, target)
		errs = append(errs, err)
		for _, m := range all {
			if m.Level >= abuse.M2 && m.At.Before(r.From) {
				_, err := p.desk.Undo(ctx, m.ID, cases.Machine().Name, said.Say("note.guarantee-approved", "guarantee %s was approved", "id", r.Pack), false)
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// End implements guarantee.Trials.
func (p *probation) End(ctx context.Context, r guarantee.Ramp, kept bool) error {
	why := said.Say("note.probation-broken", "the probation of %s was broken", "id", r.Pack)
	if kept {
		why = said.Say("note.probation-over", "the probation of %s is over", "id", r.Pack)
	}
	return p.lift(ctx, r, "", why)
}

func (p *probation) open(ctx context.Context, target string) ([]measure.Measure, error) {
	all, _, err := p.desk.List(ctx, target, true, "", 100)
	return slices.DeleteFunc(all, func(m measure.Measure) bool { return !m.State.InForce() }), err
}

// limit puts the step of the ramp in force that is due.
func (p *probation) limit(ctx context.Context, r guarantee.Ramp) error {
	hits, err := p.hits(ctx, r)
	if err != nil {
		return err
	}
	share := r.Share(p.now(), hits.last)
	if share >= 100 {
		return p.lift(ctx, r, "", said.Say("note.full-rate", "three clean days at a time: %s is at its full rate", "id", r.Pack))
	}
	id := fmt.Sprintf("trial-%s-%d-%d", r.Pack, share, hits.last.Unix()/3600)
	messages, recipients := p.full()
	_, account, domain := trialTarget(r)
	_, err = p.desk.Apply(ctx, measure.Request{
		ID: id, Account: account, Domain: domain, Level: abuse.M1, Actor: cases.Machine().Name, Case: r.Case, TTL: r.Until.Sub(p.now()),
		Said: said.Say("note.probation-rate", "probation after %s: %d %% of the normal rate", "id", r.Pack, "share", share), Messages: max(messages*share/100, 1), Recipients: max(recipients*share/100, 1),
	})
	if err != nil && !errors.Is(err, measure.ErrEnded) {
		return err
	}
	return p.lift(ctx, r, id, said.Say("note.next-step", "the next step of the probation"))
}

// lift ends the measures of a ramp but one.
func (p *probation) lift(ctx context.Context, r guarantee.Ramp, but string, why said.Words) error {
	target, _, _ := trialTarget(r)
	all, err := p.open(ctx, target)
	errs := []error{err}
	for _, m := range all {
		if prefix := "trial-" + r.Pack + "-"; len(m.ID) > len(prefix) && m.ID[:len(prefix)] == prefix && m.ID != but {
			_, err := p.desk.Undo(ctx, m.ID, cases.Machine().Name, why, false)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// hits are the votes and traps against an account since its probation began.
type hits struct {
	votes, traps []signal.Signal
	last         time.Time
}

func (p *probation) hits(ctx context.Context, r guarantee.Ramp) (h hits, err error) {
	all, err := p.signals.Of(ctx, abuse.Name(r.Account), 1000)
	for _, s := range all {
		if s.At.Before(r.From) {
			continue
		}
		switch {
		case s.Family == signal.Traps:
			h.traps = append(h.traps, s)
		case s.Family == signal.Complaints && s.Votes >= fullVote && s.Weight > 0 && !s.SentAt.Before(r.From): // against what it sent since
			h.votes = append(h.votes, s)
		default:
			continue
		}
		if s.At.After(h.last) {
			h.last = s.At
		}
	}
	return h, err
}

// fullVote is the vote of a copy that proves itself, in hundredths.
const fullVote = 100

// Tend moves the ramps on, and suspends again who breaks his word: a vote that proves itself and
// a hit of a trap, or whatever else has it suspended. The safety rules of measures hold for that
// as for any other.
func (p *probation) Tend(ctx context.Context) error {
	var errs []error
	for after := ""; ; {
		packs, next, err := p.office.List(ctx, guarantee.Search{State: guarantee.Approved, After: after, Limit: 200})
		errs = append(errs, err)
		for _, pack := range packs {
			errs = append(errs, p.tend(ctx, pack.Ramp()))
		}
		if after = next; next == "" || err != nil {
			return errors.Join(errs...)
		}
	}
}

func (p *probation) tend(ctx context.Context, r guarantee.Ramp) error {
	if !p.now().Before(r.Until) {
		return nil // the clock of the case ends it
	}
	h, err := p.hits(ctx, r)
	if err != nil {
		return err
	}
	account := abuse.Name(r.Account)
	if len(h.votes) > 0 && len(h.traps) > 0 {
		all, score, err := p.judged(ctx, account)
		if err != nil {
			return err
		}
		all = append(append(all, h.votes[0]), h.traps[0])
		if _, err := p.desk.Propose(ctx, measure.Proposal{Account: account, Signals: all, Case: r.Case, Score: score, Loud: true}); err != nil {
			return err
		}
	}
	open, err := p.open(ctx, account)
	if err != nil {
		return err
	}
	for _, m := range open {
		if m.Level >= abuse.M3 && !m.At.Before(r.From) && (m.Auto || m.Case == r.Case) {
			_, err := p.office.Break(ctx, cases.Machine(), r.Case, m.ID, int(m.Level), said.Say("note.guarantee-broken", "the guarantee was broken: %s", "why", m.Why()))
			return err
		}
	}
	return p.limit(ctx, r)
}
