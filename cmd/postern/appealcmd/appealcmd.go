// Package appealcmd is the command line over what senders wrote whose mail was refused.
package appealcmd

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"postern/abuse/appeal"
	"postern/cmd/postern/app"
	"postern/cmd/postern/appeals"
)

// Appeal are the commands.
type Appeal struct {
	List   listCmd   `cmd:"" help:"List appeals: those that wait, unless another state is named."`
	Show   showCmd   `cmd:"" help:"Show one, by the reference of the refusal."`
	Why    whyCmd    `cmd:"" help:"Tell what a sender may know of a refusal."`
	Take   takeCmd   `cmd:"" help:"Note one that came by telephone or letter."`
	Answer answerCmd `cmd:"" help:"Answer one without granting or refusing it."`
	Grant  grantCmd  `cmd:"" help:"Grant one. It lets nothing through by itself: see blocklist add --allow."`
	Refuse refuseCmd `cmd:"" help:"Refuse one."`
	Reopen reopenCmd `cmd:"" help:"Open one again that was decided."`
}

type listCmd struct {
	State string `enum:"open,answered,granted,refused,all" default:"open" help:"open, answered, granted, refused or all."`
	Limit int    `default:"50" help:"Appeals at most."`
	After string `help:"Where the list before ended."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists appeals.
func (c *listCmd) Run(a *app.App) error {
	q := appeal.Query{State: appeal.State(c.State), Limit: c.Limit, After: c.After}
	if c.State == "all" {
		q.State = ""
	}
	return app.Call(a, "appeal.list", q, c.JSON, func(p appeal.Page) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "REFERENCE\tCAME\tSTATE\tCAUSE\tSENDER\tTEXT")
		for _, x := range p.Appeals {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", x.Refusal.Reference, x.At.Local().Format(time.DateTime), x.State, app.Clean(x.Refusal.Cause), app.Clean(x.From), short(x.Text))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
}

// short is the beginning of a text in one line.
func short(s string) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > 60 {
		r = append(r[:59], '…')
	}
	return app.Clean(string(r))
}

type showCmd struct {
	Reference string `arg:"" help:"The reference."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Run shows an appeal.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "appeal.show", appeals.Of{Reference: c.Reference}, c.JSON, func(x appeal.Appeal) { print(a, x) })
}

func print(a *app.App, x appeal.Appeal) {
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	for _, f := range [][2]string{
		{"reference", x.Refusal.Reference}, {"state", string(x.State)}, {"came", x.At.Local().Format(time.DateTime)}, {"written from", x.Network}, {"answer to", x.Email},
		{"sender", x.From}, {"client", x.Client}, {"cause", x.Refusal.Cause}, {"refused with", x.Refusal.Reply}, {"decided by", x.By}, {"note", x.Note}, {"answer", x.Answer},
	} {
		if f[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", f[0], app.Clean(f[1]))
		}
	}
	_ = w.Flush()
	fmt.Fprintln(a.Stdout)
	for line := range strings.Lines(x.Text) {
		fmt.Fprintln(a.Stdout, app.Clean(strings.TrimSuffix(line, "\n")))
	}
}

type whyCmd struct {
	Reference string `arg:"" help:"The reference."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Run tells of a refusal.
func (c *whyCmd) Run(a *app.App) error {
	return app.Call(a, "refusal.show", appeals.Of{Reference: c.Reference}, c.JSON, func(r appeal.Refusal) {
		fmt.Fprintf(a.Stdout, "%s: refused at %s (%s): %s\n", r.Reference, r.At.Local().Format(time.DateTime), app.Clean(r.Cause), app.Clean(r.Reply))
	})
}

type takeCmd struct {
	Reference string `arg:"" help:"The reference."`
	Text      string `required:"" help:"What the sender says."`
	Email     string `help:"Where to answer."`
	Language  string `default:"en" help:"Language of the answer: en, zh-CN, ru or el."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Run notes an appeal.
func (c *takeCmd) Run(a *app.App) error {
	q := appeals.Add{Reference: c.Reference, Text: c.Text, Email: c.Email, Language: c.Language}
	return app.Call(a, "appeal.take", q, c.JSON, func(x appeal.Appeal) { fmt.Fprintln(a.Stdout, x.Refusal.Reference, x.State) })
}

type decision struct {
	Reference string `arg:"" help:"The reference."`
	Note      string `help:"For the desk alone."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// reply is a decision that the sender may read words of.
type reply struct {
	decision
	Answer string `help:"What the sender reads, on the page of the reference and by mail if there is an address."`
}

func (d decision) send(a *app.App, state appeal.State, answer string) error {
	q := appeal.Decision{Reference: d.Reference, State: state, Answer: answer, Note: d.Note}
	return app.Call(a, "appeal.decide", q, d.JSON, func(x appeal.Appeal) { fmt.Fprintln(a.Stdout, x.Refusal.Reference, x.State) })
}

type answerCmd struct {
	decision
	Answer string `required:"" help:"What the sender reads, on the page of the reference and by mail if there is an address."`
}

// Run answers.
func (c *answerCmd) Run(a *app.App) error { return c.send(a, appeal.Answered, c.Answer) }

type grantCmd struct{ reply }

// Run grants.
func (c *grantCmd) Run(a *app.App) error { return c.send(a, appeal.Granted, c.Answer) }

type refuseCmd struct{ reply }

// Run refuses.
func (c *refuseCmd) Run(a *app.App) error { return c.send(a, appeal.Refused, c.Answer) }

type reopenCmd struct{ decision }

// Run opens again.
func (c *reopenCmd) Run(a *app.App) error { return c.send(a, appeal.Open, "") }
