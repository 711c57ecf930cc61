package judge

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postern/cmd/postern/app"
	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/rules"
	"postern/rules/book"
)

type Scan struct {
	Files   []string `arg:"" name:"file" help:"Message files; - is standard input."`
	IP      string   `name:"ip" help:"Address the message came from; without it SPF is not checked."`
	Helo    string   `help:"Name given at HELO."`
	From    *string  `help:"MAIL FROM; without it the file's Return-Path counts."`
	To      []string `help:"RCPT TO; decides the policy."`
	JSON    bool     `name:"json" help:"Print JSON."`
	Offline bool     `help:"Ask no DNS server."`
	Learned bool     `help:"Judge by what was learned too: of the running server, or of the home that the configuration names."`
	Use     string   `name:"with-config" help:"Use this configuration's DNS, lists and scanner." type:"existingfile"`
}

type scanReason struct {
	Symbol   string  `json:"symbol"`
	Score    float64 `json:"score"`
	Describe string  `json:"describe"`
	Detail   string  `json:"detail"`
}

type scanUnchecked struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
}

type scanResult struct {
	Path      string          `json:"path"`
	ID        string          `json:"id"`
	Action    string          `json:"action"`
	Score     float64         `json:"score"`
	Policy    string          `json:"policy"`
	Reasons   []scanReason    `json:"reasons"`
	Unchecked []scanUnchecked `json:"unchecked"`
	Public    string          `json:"public"`
	Size      int64           `json:"size"`
	SHA256    string          `json:"sha256"`

	Strip      []string `json:"strip,omitempty"`      // parts to be taken out
	Greylisted bool     `json:"greylisted,omitempty"` // asked to come again as a first contact

	verdict filter.Verdict
	policy  rules.Policy
	acts    func(symbol string) filter.Action
}

// Run scans the files. It ends with a finding when any would be held or refused.
func (c *Scan) Run(a *app.App) error {
	env := Circumstances{helo: c.Helo, to: c.To, Now: a.Now()}
	if c.From != nil {
		env.from, env.fromSet = strings.Trim(*c.From, "<>"), true
	}
	if c.IP != "" {
		ip, err := netip.ParseAddr(c.IP)
		if err != nil {
			return app.Usagef("scan: --ip %q is no address", c.IP)
		}
		env.ip = ip.Unmap()
	}
	o, closeAll, err := build(a, options{config: c.Use, dns: !c.Offline, learned: c.Learned})
	if err != nil {
		return err
	}
	defer closeAll()
	return Files(a, o, c.Files, env, c.JSON)
}

// Files judges message files and prints the verdicts. It ends with a finding when any would
// be held or refused.
func Files(a *app.App, o *Offline, paths []string, env Circumstances, asJSON bool) error {
	var results []scanResult
	worst := filter.Accept
	has := func(step string) bool {
		return slices.ContainsFunc(o.pipeline.Steps, func(s filter.Step) bool { return s.Name == step })
	}
	unscanned := has(steps.StepAuth) && !has(steps.StepClamAV)
	for _, path := range paths {
		raw, err := readMessage(path, a.Stdin)
		if err != nil {
			return err
		}
		j, err := o.judge(a.Ctx, raw, env)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		worst = max(worst, scanWeight(j.verdict.Action))
		r := o.resultOf(path, j)
		if unscanned {
			r.Unchecked = append(r.Unchecked, scanUnchecked{steps.StepClamAV, "no scanner is configured"})
		}
		results = append(results, r)
	}
	if asJSON {
		if err := a.JSON(results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			r.print(a.Stdout)
		}
	}
	if worst >= filter.Quarantine {
		return &app.Exit{Code: app.Finding}
	}
	return nil
}

// scanWeight leaves a deferral out: it is no finding about the mail.
func scanWeight(a filter.Action) filter.Action {
	if a == filter.Defer {
		return filter.Accept
	}
	return a
}

func (o *Offline) resultOf(path string, j judged) scanResult {
	v := j.verdict
	policy, _ := o.set.Policy(v.Policy)
	r := scanResult{
		Path: path, ID: j.message.ID, Action: v.Action.String(), Score: v.Score.Points(), Policy: v.Policy,
		Public: v.Public, Size: j.message.Size, SHA256: j.message.SHA256,
		Reasons: []scanReason{}, Unchecked: []scanUnchecked{}, Strip: v.Strip, Greylisted: v.Greylisted,
		verdict: v, policy: policy, acts: o.acts,
	}
	for _, x := range v.Reasons {
		r.Reasons = append(r.Reasons, scanReason{x.Symbol, x.Score.Points(), x.Describe, x.Detail})
	}
	for _, f := range v.Failures {
		r.Unchecked = append(r.Unchecked, scanUnchecked{f.Step, f.Reason})
	}
	return r
}

// acts is the largest action that a symbol can lead to by itself.
func (o *Offline) acts(symbol string) filter.Action {
	if _, policys := book.PolicyDecides(symbol); policys {
		return filter.Reject
	}
	sym, _ := o.set.Symbol(symbol)
	return sym.Action
}
