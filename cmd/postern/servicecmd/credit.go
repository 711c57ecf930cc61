package servicecmd

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"postern/abuse/service/credit"
	"postern/cmd/postern/app"
	"postern/cmd/postern/service"
)

type creditCmd struct {
	List    creditListCmd    `cmd:"" help:"Credits, those of the youngest month first."`
	Show    creditShowCmd    `cmd:"" help:"One credit, with what it rests on."`
	Approve creditApproveCmd `cmd:"" help:"Approve a draft; one that waives a fee waits for a second person."`
	Refuse  creditRefuseCmd  `cmd:"" help:"Refuse a draft."`
}

type creditListCmd struct {
	Month string       `arg:"" optional:"" help:"A month: 2026-06. Without one all."`
	State credit.State `help:"draft, approved, refused or withdrawn."`
	After string       `help:"Go on after this page."`
	Limit int          `default:"50" help:"How many."`
	JSON  bool         `name:"json" help:"Print JSON."`
}

// Run lists credits.
func (c *creditListCmd) Run(a *app.App) (err error) {
	q := service.CreditQuery{Month: c.Month, State: c.State, After: c.After, Limit: c.Limit}
	cerr := app.Call(a, "service.credits", q, c.JSON, func(p credit.Page) {
		if err = credits(a, p.Credits); p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
	return cmp.Or(cerr, err)
}

func credits(a *app.App, all []credit.Credit) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "CREDIT\tKIND\tVALUE\tUNIT\tPROMISE\tSTATE\tBY")
	for _, c := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, c.Kind, number(c.Value), c.Unit, bound(c.Result), stands(c), app.Clean(cmp.Or(c.Decided, "-")))
	}
	return w.Flush()
}

func bound(r credit.Result) string {
	if r.Limit == nil {
		return "-"
	}
	return r.Bound + " " + number(r.Limit)
}

// stands is the state with what else is to be known of it.
func stands(c credit.Credit) string {
	switch {
	case c.Contradicted != nil:
		return string(c.State) + ", contradicted"
	case c.Asked != nil && c.State == credit.Draft:
		return string(c.State) + ", waits for a second person"
	}
	return string(c.State)
}

type creditShowCmd struct {
	ID   string `arg:"" help:"ID of the credit."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a credit.
func (c *creditShowCmd) Run(a *app.App) error {
	return app.Call(a, "service.credit", service.CreditDecision{ID: c.ID}, c.JSON, func(c credit.Credit) { shown(a, c) })
}

func shown(a *app.App, c credit.Credit) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(a.Stdout, "%-14s %s\n", name+":", app.Clean(text))
		}
	}
	line("credit", c.ID)
	line("state", stands(c))
	line("kind", c.Kind+", clause "+c.Clause)
	line("figure", c.Figure+" in "+c.Month)
	line("formula", c.Formula)
	line("value", number(c.Value)+" "+c.Unit)
	line("promise", bound(c.Result)+" "+c.Unit)
	line("note", c.Note)
	line("left out", cmp.Or(strings.Join(c.Exclusions, ", "), "nothing"))
	line("drafted", c.At.Format(time.RFC3339))
	if c.Asked != nil {
		line("asked", c.Asked.By+" at "+c.Asked.At.Format(time.RFC3339)+": "+c.Asked.Why+" ("+c.Asked.Proposal+")")
	}
	if !c.When.IsZero() {
		line("decided", strings.TrimSpace(c.Decided+" at "+c.When.Format(time.RFC3339)+": "+c.Why))
	}
	if o := c.Contradicted; o != nil {
		line("contradicted", fmt.Sprintf("since %s the figure is %s, %s %s; left out: %s", o.At.Format(time.RFC3339), o.Verdict, number(o.Value), c.Unit, cmp.Or(strings.Join(o.Exclusions, ", "), "nothing")))
	}
}

func told(a *app.App) func(credit.Credit) {
	return func(c credit.Credit) {
		fmt.Fprintln(a.Stdout, c.ID, "is", stands(c))
		if c.Asked != nil && c.State == credit.Draft {
			fmt.Fprintln(a.Stdout, "another person approves it: postern approval approve", c.Asked.Proposal)
		}
	}
}

type creditApproveCmd struct {
	ID         string `arg:"" help:"ID of the credit."`
	Why        string `required:"" help:"Why."`
	BreakGlass string `help:"Why nobody else can approve; on the machine itself."`
	JSON       bool   `name:"json" help:"Print JSON."`
}

// Run approves, or asks for a second person.
func (c *creditApproveCmd) Run(a *app.App) error {
	return app.Call(a, "service.credit-approve", service.CreditDecision{ID: c.ID, Why: c.Why, BreakGlass: c.BreakGlass}, c.JSON, told(a))
}

type creditRefuseCmd struct {
	ID   string `arg:"" help:"ID of the credit."`
	Why  string `required:"" help:"Why."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run refuses.
func (c *creditRefuseCmd) Run(a *app.App) error {
	return app.Call(a, "service.credit-refuse", service.CreditDecision{ID: c.ID, Why: c.Why}, c.JSON, told(a))
}
