// Package sourcecmd is the commands over sources elsewhere, published lists and listings of
// our own.
package sourcecmd

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"postern/abuse/external"
	"postern/abuse/external/contact"
	"postern/abuse/external/order"
	"postern/cmd/postern/app"
	"postern/cmd/postern/sourcecalls"
)

// Source are the commands over sources elsewhere.
type Source struct {
	List     listCmd     `cmd:"" help:"List sources, the youngest first."`
	Show     showCmd     `cmd:"" help:"Show one: grounds, block, whom we told."`
	Open     openCmd     `cmd:"" help:"Open the case of the source of a held message, or add the message to it."`
	Confirm  confirmCmd  `cmd:"" help:"Confirm a source: by a user's report or a trap, else by evidence that you looked at."`
	Complain complainCmd `cmd:"" help:"Tell who runs it, and the national body."`
	Preview  previewCmd  `cmd:"" help:"Tell what a block would have hit in the last days; nothing is blocked."`
	Block    blockCmd    `cmd:"" help:"Refuse what comes from there, on all nodes."`
	Lift     liftCmd     `cmd:"" help:"Let it in by a tenth for 48 hours; then it is free, unless abuse comes."`
	Contact  Contact     `cmd:"" help:"Whom we tell, and who wants no notices."`
}

// Contact are the commands over contacts.
type Contact struct {
	List   contactListCmd   `cmd:"" help:"List what is known of contacts."`
	Find   contactFindCmd   `cmd:"" help:"Tell who would hear of abuse from an address, and what was tried."`
	Learn  contactLearnCmd  `cmd:"" help:"Write down who speaks for an address, a network or a domain."`
	OptOut contactOptOutCmd `cmd:"" name:"opt-out" help:"Write no more to an address or a domain."`
	Forget contactForgetCmd `cmd:"" help:"Take a record away."`
}

type listCmd struct {
	State string `help:"Only in this state, as DETECTED, BLOCKED or HALF_OPEN."`
	Held  bool   `help:"Only those whose block is in force."`
	About string `help:"Only of this address or network, or with this in its domain or sender."`
	After string `help:"Go on behind this page."`
	Limit int    `default:"100" help:"How many."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists sources.
func (c *listCmd) Run(a *app.App) error {
	q := sourcecalls.Query{State: c.State, Held: c.Held, About: c.About, After: c.After, Limit: c.Limit}
	return app.Call(a, "source.list", q, c.JSON, func(p sourcecalls.Sources) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "CASE\tSTATE\tSOURCE\tINCIDENTS\tTOLD\tBLOCK\tUNTIL")
		for _, s := range p.Sources {
			block, until := "-", "-"
			if s.Block != nil && s.Held {
				block, until = s.Block.Value, s.Block.Until.Local().Format(time.DateOnly)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", s.Case, s.State, app.Clean(nameOf(s)), s.Incidents, s.Told, app.Clean(block), until)
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintf(a.Stdout, "more: --after %s\n", app.Clean(p.Next))
		}
	})
}

func nameOf(s external.Source) string {
	name := s.Domain
	if s.IP.IsValid() {
		name = strings.TrimSpace(s.IP.String() + " " + name)
	}
	return name
}

type showCmd struct {
	Case string `arg:"" help:"Its case."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a source.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "source.show", sourcecalls.Paging{ID: c.Case}, c.JSON, shown(a))
}

// shown prints a source.
func shown(a *app.App) func(sourcecalls.Shown) {
	return func(s sourcecalls.Shown) {
		line := func(name, format string, args ...any) {
			fmt.Fprintf(a.Stdout, "%-10s %s\n", name, app.Clean(fmt.Sprintf(format, args...)))
		}
		src := s.Case.Source
		line("case", "%s %s since %s", s.Case.ID, s.Case.State, s.Case.Since.Local().Format(time.DateTime))
		line("source", "%s port %d, HELO %s, d=%s, sender %s, seen %s", src.IP, src.Port, src.Helo, src.Domain, s.Source.Account, src.Time.Local().Format(time.DateTime))
		for _, g := range s.Source.Signs {
			line("ground", "%s %s by %s at %s", g.Ground, g.Ref, g.By, g.At.Local().Format(time.DateTime))
		}
		for _, v := range s.Case.Evidence {
			line("evidence", "%s %s", v.Sum, v.Name)
		}
		if b := s.Source.Block; b != nil {
			word := "not in force"
			if s.Source.Held {
				word = "in force"
			}
			line("block", "%s %s, %s until %s by %s, lifted by the rule %s: %s", b.Scope, b.Value, word, b.Until.Local().Format(time.DateTime), b.By, b.Rule, b.Why)
		}
		for _, n := range s.Notices {
			line("notice", "%s %s to %s (%s, %s) %s", n.At.Local().Format(time.DateTime), n.State, cmp.Or(n.To, "nobody"), n.Way, n.Form, n.Why)
		}
	}
}

type openCmd struct {
	Hold   string `arg:"" help:"ID of the held message."`
	Reason string `required:"" help:"Why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run opens the case.
func (c *openCmd) Run(a *app.App) error {
	return app.Call(a, "source.open", sourcecalls.Work{Hold: c.Hold, Reason: c.Reason}, c.JSON, shown(a))
}

type confirmCmd struct {
	Case     string `arg:"" help:"Its case."`
	Evidence string `help:"SHA-256 of the evidence of the case that you looked at."`
	Reason   string `required:"" help:"Why."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run confirms.
func (c *confirmCmd) Run(a *app.App) error {
	return app.Call(a, "source.confirm", sourcecalls.Work{ID: c.Case, Evidence: c.Evidence, Reason: c.Reason}, c.JSON, shown(a))
}

type complainCmd struct {
	Case string `arg:"" help:"Its case."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run tells the provider.
func (c *complainCmd) Run(a *app.App) error {
	return app.Call(a, "source.complain", sourcecalls.Work{ID: c.Case}, c.JSON, func(n external.Notice) {
		if n.State == external.Barred {
			fmt.Fprintf(a.Stdout, "nobody was told: %s\n", app.Clean(n.Why))
		} else {
			fmt.Fprintf(a.Stdout, "%s to %s (%s) as %s\n", n.State, app.Clean(n.To), n.Way, n.Form)
		}
		for _, t := range n.Tried {
			fmt.Fprintf(a.Stdout, "  tried %s\n", app.Clean(t))
		}
	})
}

type blockCmd struct {
	Case   string        `arg:"" help:"Its case; the source is confirmed."`
	Value  string        `arg:"" help:"Address, network (/16 at the widest, IPv6 /32), domain of a signature, or sender's address."`
	Scope  string        `help:"ip, net, domain or from; by its form if not given."`
	Rule   string        `default:"quiet" help:"What lifts it: quiet (by itself, when no more comes) or review (a person)."`
	Expire time.Duration `name:"for" default:"336h" help:"How long at most."`
	Reason string        `required:"" help:"Why."`
	Barred string        `help:"Why nobody was told before."`
	JSON   bool          `name:"json" help:"Print JSON."`
}

// Run blocks.
func (c *blockCmd) Run(a *app.App) error {
	b := order.Block{Scope: cmp.Or(c.Scope, scopeOf(c.Value)), Value: c.Value, Rule: c.Rule, Why: c.Reason, Until: a.Now().UTC().Add(c.Expire)}
	return app.Call(a, "source.block", sourcecalls.Work{ID: c.Case, Block: b, Barred: c.Barred}, c.JSON, shown(a))
}

// scopeOf is what a value looks like.
func scopeOf(value string) string {
	switch {
	case strings.Contains(value, "@"):
		return order.ByFrom
	case strings.Contains(value, "/"):
		return order.ByNet
	case strings.Contains(value, ":") || strings.Trim(value, "0123456789.") == "":
		return order.ByIP
	}
	return order.ByDomain
}

type liftCmd struct {
	Case   string `arg:"" help:"Its case."`
	Reason string `required:"" help:"The provider's word, or why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run opens it half.
func (c *liftCmd) Run(a *app.App) error {
	return app.Call(a, "source.lift", sourcecalls.Work{ID: c.Case, Reason: c.Reason}, c.JSON, shown(a))
}

type contactListCmd struct {
	After string `help:"Go on behind this page."`
	Limit int    `default:"100" help:"How many."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists contacts.
func (c *contactListCmd) Run(a *app.App) error {
	return app.Call(a, "contact.list", sourcecalls.Paging{After: c.After, Limit: c.Limit}, c.JSON, func(p sourcecalls.Contacts) {
		for _, r := range p.Contacts {
			printContact(a, r)
		}
		if p.Next != "" {
			fmt.Fprintf(a.Stdout, "more: --after %s\n", app.Clean(p.Next))
		}
	})
}

func printContact(a *app.App, r contact.Record) {
	if r.OptOut {
		fmt.Fprintf(a.Stdout, "%s  %s wants no notices (%s, %s) %s\n", r.ID, app.Clean(r.Address), app.Clean(r.By), r.At.Local().Format(time.DateOnly), app.Clean(r.Why))
		return
	}
	fmt.Fprintf(a.Stdout, "%s  %s speaks for %s (%s, %s, %s)\n", r.ID, app.Clean(r.Address), app.Clean(r.About), cmp.Or(r.Form, contact.ARF), app.Clean(r.By), r.At.Local().Format(time.DateOnly))
}

type contactFindCmd struct {
	About string `arg:"" help:"An address, or a domain of a signature."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run looks.
func (c *contactFindCmd) Run(a *app.App) error {
	return app.Call(a, "contact.find", sourcecalls.Contact{About: c.About}, c.JSON, func(r contact.Result) {
		for _, t := range r.Tried {
			fmt.Fprintf(a.Stdout, "tried %s\n", app.Clean(t))
		}
		fmt.Fprintf(a.Stdout, "%s by %s as %s\n", app.Clean(r.Contact.Address), r.Contact.Way, r.Contact.Form)
	})
}

type contactLearnCmd struct {
	About   string `arg:"" help:"Address, network or domain."`
	Address string `arg:"" help:"Who speaks for it."`
	Form    string `help:"arf (as if not given) or xarf."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run writes a contact down.
func (c *contactLearnCmd) Run(a *app.App) error {
	q := sourcecalls.Contact{About: c.About, Address: c.Address, Form: c.Form}
	return app.Call(a, "contact.learn", q, c.JSON, func(r contact.Record) { printContact(a, r) })
}

type contactOptOutCmd struct {
	Address string `arg:"" help:"Address or domain."`
	Reason  string `help:"Why."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run notes it.
func (c *contactOptOutCmd) Run(a *app.App) error {
	q := sourcecalls.Contact{Address: c.Address, Reason: c.Reason}
	return app.Call(a, "contact.opt-out", q, c.JSON, func(r contact.Record) { printContact(a, r) })
}

type contactForgetCmd struct {
	ID     string `arg:"" help:"The record, as the list shows it."`
	Reason string `help:"Why."`
}

// Run forgets.
func (c *contactForgetCmd) Run(a *app.App) error {
	q := sourcecalls.Contact{ID: c.ID, Reason: c.Reason}
	return app.Call(a, "contact.forget", q, false, func(struct{}) { fmt.Fprintf(a.Stdout, "%s is forgotten\n", c.ID) })
}
