package filter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/dns"
)

// Pipeline is the visible list of steps and the judge behind them.
type Pipeline struct {
	Steps  []Step
	Judge  Judge
	Budget time.Duration // for all steps of one stage together; 0 = none
	Log    *slog.Logger  // where a panicking check leaves its stack; nil = nowhere

	// Lookups makes the DNS budget of a message that has none; nil = unbounded.
	Lookups func() *dns.Budget
}

// Run runs the steps of one stage side by side and joins their results in step order, so
// that the same mail always gets the same report. A step that errs, panics or runs past its
// time becomes a Failure. Run returns when every step has answered or its time is over; a
// step that ignores its context is left behind.
func (p *Pipeline) Run(ctx context.Context, stage Stage, m *Message) Report {
	if p.Budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.Budget)
		defer cancel()
	}
	if m.DNS == nil && p.Lookups != nil {
		m.DNS = p.Lookups()
	}
	if m.DNS != nil {
		ctx = dns.WithBudget(ctx, m.DNS)
	}
	var steps []Step
	for _, s := range p.Steps {
		if s.Stage == stage {
			steps = append(steps, s)
		}
	}
	reports := make([]Report, len(steps))
	var wg sync.WaitGroup
	for i, s := range steps {
		wg.Go(func() { reports[i] = p.runStep(ctx, s, m) })
	}
	wg.Wait()
	var all Report
	for _, r := range reports {
		all.Join(r)
	}
	return all
}

// runStep waits for one step, at most its time.
func (p *Pipeline) runStep(ctx context.Context, s Step, m *Message) Report {
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Timeout)
		defer cancel()
	}
	type result struct {
		found []Finding
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if v := recover(); v != nil {
				if p.Log != nil {
					p.Log.Error("check panicked", "step", s.Name, "message", m.ID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
				}
				r = result{err: &CouldNot{Words: "internal fault", Cause: fmt.Errorf("panic: %v", v)}}
			}
			done <- r
		}()
		r.found, r.err = s.Check.Check(ctx, m)
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		select { // an answer that came in the same instant still counts
		case r = <-done:
		default:
			r.err = ctx.Err()
		}
	}
	rep := Report{Findings: slices.Clone(r.found)}
	for i := range rep.Findings {
		rep.Findings[i].Step = s.Name
	}
	if r.err != nil {
		rep.Failures = []Failure{s.failure(r.err)}
	}
	return rep
}

// failure says in plain words why the step could not tell.
func (s Step) failure(err error) Failure {
	f := Failure{Step: s.Name, OnError: min(s.OnError, Defer), Err: err, Reason: "could not be done"}
	var plain PlainError
	switch {
	case errors.As(err, &plain):
		f.Reason = plain.Plain()
	case errors.Is(err, context.DeadlineExceeded):
		f.Reason = "timed out"
	case errors.Is(err, context.Canceled):
		f.Reason = "was cut short"
	}
	var could *CouldNot
	f.Standing = errors.As(err, &could) && could.Standing
	return f
}

// Verdicts judges a report for every recipient: one verdict per distinct policy and set of
// findings that apply, in the order of m.To. Recipients that share both share the verdict.
func Verdicts(j Judge, m *Message, r Report) []Verdict {
	out := make([]Verdict, len(m.To))
	made := map[string]Verdict{}
	for i, to := range m.To {
		sub, key := r.applying(to.Address)
		key = to.Policy + "\x00" + key
		v, ok := made[key]
		if !ok {
			v = j.Judge(m, sub, to.Policy)
			made[key] = v
		}
		out[i] = v
	}
	return out
}

// applying keeps the findings that concern the recipient, and a key of those that concern
// it alone.
func (r Report) applying(address string) (Report, string) {
	if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.For != "" }) {
		return r, ""
	}
	sub := Report{Failures: r.Failures}
	var key strings.Builder
	for _, f := range r.Findings {
		switch {
		case f.For == "":
		case strings.EqualFold(f.For, address):
			key.WriteString(f.Symbol + "\x01" + f.Detail + "\x01")
			f.For = address
		default:
			continue
		}
		sub.Findings = append(sub.Findings, f)
	}
	return sub, key.String()
}
