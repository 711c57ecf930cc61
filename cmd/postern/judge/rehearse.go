package judge

import (
	"context"
	"fmt"
	"slices"

	"postern/cmd/postern/app"
	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/rules"
)

// Rehearsal is mail in folders that two sets of rules judge.
type Rehearsal struct {
	Present, Proposed *rules.Set
	Folders           []Folder
	Use               string // configuration whose DNS, lists and scanner are used; "" = none of them
}

// Folder is one with message files, all of them of the label ham or spam, or of none.
type Folder struct{ Label, Dir string }

// Run judges every message whole, by what scan judges with, and returns them in order.
func (r Rehearsal) Run(a *app.App) ([]*Judged, error) {
	var files []*Judged
	for _, f := range r.Folders {
		more, err := listMail(f.Label, f.Dir)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	o, done, err := build(a, options{config: r.Use, dns: r.Use != "", set: r.Present})
	if err != nil {
		return nil, err
	}
	defer done()
	o.proposed = r.Proposed
	(&Eval{}).judgeAll(a, o, files, nil)
	for _, f := range files {
		if f.err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, f.err)
		}
	}
	return files, nil
}

// again judges by the proposed rules what was found, with their patterns in the place of those
// of the present ones.
func (o *Offline) again(ctx context.Context, j judged) filter.Verdict {
	r := filter.Report{Failures: without(j.report.Failures, func(f filter.Failure) string { return f.Step })}
	r.Findings = without(j.report.Findings, func(f filter.Finding) string { return f.Step })
	one := filter.Pipeline{Steps: slices.DeleteFunc(slices.Clone(o.pipeline.Steps), func(s filter.Step) bool { return s.Name != steps.StepPatterns })}
	for i := range one.Steps {
		one.Steps[i].Check = o.proposed.Patterns()
	}
	r.Join(one.Run(ctx, filter.OnData, j.message))
	m := *j.message
	m.To = slices.Clone(m.To)
	for i := range m.To {
		m.To[i].Policy = o.proposed.PolicyFor("") // nobody in particular
	}
	var worst filter.Verdict
	for i, v := range filter.Verdicts(o.proposed, &m, r) {
		if i == 0 || v.Action > worst.Action {
			worst = v
		}
	}
	return worst
}

// without leaves out what the patterns of rules said.
func without[T any](all []T, step func(T) string) []T {
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return step(x) == steps.StepPatterns })
}
