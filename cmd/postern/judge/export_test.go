package judge

import (
	"postern/cmd/postern/app"
	"postern/filter"
	"postern/filter/auth"
	"postern/rules"
)

// Found is what the checks find of a file by a set of rules, and the proposed set's verdict.
func Found(a *app.App, present, proposed *rules.Set, path string) (m *filter.Message, r filter.Report, now, then filter.Verdict, err error) {
	o, done, err := build(a, options{set: present})
	if err != nil {
		return nil, r, now, then, err
	}
	defer done()
	o.proposed = proposed
	raw, err := readMessage(path, nil)
	if err != nil {
		return nil, r, now, then, err
	}
	j, err := o.judge(a.Ctx, raw, Circumstances{recorded: auth.Recorded("", "", ""), Now: a.Now()})
	if err != nil {
		return nil, r, now, then, err
	}
	return j.message, j.report, j.verdict, o.again(a.Ctx, j), nil
}
