package rulecalls

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"postern/cmd/postern/glue"
	"postern/cmd/postern/rulecalls/list"
	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/internal/control"
	"postern/internal/mime"
	"postern/internal/strict"
	"postern/quarantine"
	"postern/rules"
)

// Try asks what a held message would get.
type Try struct {
	Hold string `json:"hold"`
	File string `json:"file,omitempty"` // "" = with the rules as they are
	Text string `json:"text,omitempty"`
}

// Judged is a verdict.
type Judged struct {
	Action string       `json:"action"`
	Policy string       `json:"policy"`
	Score  filter.Score `json:"score"`
	Why    []Why        `json:"reasons"`
}

// Why is one line of a verdict's account.
type Why struct {
	Symbol   string       `json:"symbol"`
	Score    filter.Score `json:"score"`
	Describe string       `json:"describe"`
	Detail   string       `json:"detail,omitempty"`
	Mark     string       `json:"mark,omitempty"` // new, gone or other: against the rules in force
}

// Tried is what the message gets with the rules in force, and would get.
type Tried struct {
	Hold      string   `json:"hold"`
	Subject   string   `json:"subject"`
	Held      string   `json:"held"` // what it got when it came
	Now       Judged   `json:"now"`
	Then      Judged   `json:"then"`
	Flips     bool     `json:"flips"`
	Unchecked []string `json:"unchecked,omitempty"`
	As        []string `json:"as_it_came,omitempty"` // symbols taken from when it came: they depend on that moment
}

// again are the steps that look at the message again. What the others found depends on the
// moment: it is taken from when the message came.
func again() []string {
	return []string{steps.StepAuth, steps.StepLinks, steps.StepAttach, steps.StepClamAV, steps.StepPatterns}
}

func (d *Desk) try(ctx context.Context, p Try) (Tried, error) {
	now := d.Pipeline().Judge
	then, ok := now.(*rules.Set)
	if !ok {
		return Tried{}, errors.New("there are no rules")
	}
	current := then
	if p.File != "" {
		set, err := d.check.Set(p.File, p.Text, false)
		var wrong strict.Errors
		if errors.As(err, &wrong) && len(wrong) > 0 {
			return Tried{}, control.Because(control.Invalid, wrong[0])
		}
		if err != nil {
			return Tried{}, known(err)
		}
		offs, err := d.rules.Active(ctx)
		if err != nil {
			return Tried{}, err
		}
		then = set.Without(list.Names(offs))
	}
	h, m, done, err := d.message(ctx, p.Hold)
	if err != nil {
		return Tried{}, known(err)
	}
	defer done()
	report, came := d.found(ctx, h, m)
	out := Tried{Hold: h.ID, Subject: h.Subject, Held: h.Action, As: came}
	for _, f := range report.Failures {
		out.Unchecked = append(out.Unchecked, f.Step+": "+f.Reason)
	}
	out.Now, out.Then = judge(ctx, current, h, m, report), judge(ctx, then, h, m, report)
	mark(&out)
	return out, nil
}

// message is the held message as it came.
func (d *Desk) message(ctx context.Context, id string) (h quarantine.Hold, m *filter.Message, done func(), err error) {
	if h, err = d.Quarantine.Show(ctx, id); err != nil {
		return h, nil, nil, err
	}
	raw, err := d.Quarantine.Raw(ctx, id)
	if err != nil {
		return h, nil, nil, err
	}
	defer raw.Close()
	w := d.Spool.New()
	if _, err := io.Copy(w, raw); err != nil {
		return h, nil, nil, err
	}
	body, err := w.Finish()
	if err != nil {
		return h, nil, nil, err
	}
	m = glue.MessageOf(h, body)
	m.Parts = sync.OnceValues(func() (*mime.Tree, error) { return mime.Walk(body, h.Size, mime.DefaultLimits()) })
	return h, m, func() { _ = body.Close() }, nil
}

// found is what the checks find but the patterns, which belong to the rules.
func (d *Desk) found(ctx context.Context, h quarantine.Hold, m *filter.Message) (filter.Report, []string) {
	var came []string
	set, _ := d.Pipeline().Judge.(*rules.Set)
	for _, r := range h.Reasons {
		by := strings.Split(r.Step, ",")
		if r.Step == "" && set != nil {
			if s, ok := set.Symbol(r.Symbol); !ok || s.Kind != "check" { // the rules' own, made anew
				continue
			}
		}
		if !slices.ContainsFunc(by, func(s string) bool { return slices.Contains(again(), s) }) {
			m.Seen = append(m.Seen, filter.Finding{Symbol: r.Symbol, Detail: r.Detail})
			came = append(came, r.Symbol)
		}
	}
	p := *d.Pipeline()
	p.Steps = slices.DeleteFunc(slices.Clone(p.Steps), func(s filter.Step) bool {
		return s.Stage != filter.OnData || s.Name == steps.StepPatterns || !slices.Contains(again(), s.Name)
	})
	report := p.Run(ctx, filter.OnData, m)
	report.Findings = append(slices.Clone(m.Seen), report.Findings...)
	return report, came
}

// judge looks for the patterns of a set and judges by it.
func judge(ctx context.Context, set *rules.Set, h quarantine.Hold, m *filter.Message, found filter.Report) Judged {
	r := filter.Report{Findings: slices.Clone(found.Findings), Failures: slices.Clone(found.Failures)}
	one := filter.Pipeline{Judge: set, Steps: []filter.Step{{Name: steps.StepPatterns, Stage: filter.OnData, Check: set.Patterns(), OnError: filter.Accept}}}
	r.Join(one.Run(ctx, filter.OnData, m))
	to := *m
	to.To = slices.Clone(m.To)
	for i := range to.To {
		to.To[i].Policy = set.PolicyFor(to.To[i].Address)
		if m.Direction == filter.Outbound {
			to.To[i].Policy = set.AccountPolicy(h.Client.Account)
		}
	}
	var worst filter.Verdict
	for i, v := range filter.Verdicts(set, &to, r) {
		if i == 0 || v.Action > worst.Action {
			worst = v
		}
	}
	out := Judged{Action: worst.Action.String(), Policy: worst.Policy, Score: worst.Score, Why: []Why{}}
	for _, x := range worst.Reasons {
		out.Why = append(out.Why, Why{Symbol: x.Symbol, Score: x.Score, Describe: x.Describe, Detail: x.Detail})
	}
	return out
}

// mark shows which reasons differ.
func mark(t *Tried) {
	t.Flips = t.Now.Action != t.Then.Action
	was := map[string]filter.Score{}
	for _, r := range t.Now.Why {
		was[r.Symbol] = r.Score
	}
	is := map[string]bool{}
	for i, r := range t.Then.Why {
		is[r.Symbol] = true
		if score, ok := was[r.Symbol]; !ok {
			t.Then.Why[i].Mark = "new"
		} else if score != r.Score {
			t.Then.Why[i].Mark = "other"
		}
	}
	for i, r := range t.Now.Why {
		if !is[r.Symbol] {
			t.Now.Why[i].Mark = "gone"
		}
	}
}
