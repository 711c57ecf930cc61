package casecmd

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"postern/abuse/cases"
	"postern/abuse/guarantee"
	"postern/cmd/postern/app"
	"postern/cmd/postern/casecalls"
)

// Guarantee are the commands over written guarantees.
type Guarantee struct {
	List         packListCmd     `cmd:"" help:"List guarantees."`
	Show         packCmd         `cmd:"" help:"Show one, and what it lacks."`
	New          packNewCmd      `cmd:"" help:"Begin the pack of a suspended case."`
	Fill         packFillCmd     `cmd:"" help:"Write down what the letter says."`
	Upload       packUploadCmd   `cmd:"" help:"Hand in a paper: letter, suspension or licence."`
	Submit       packCmd         `cmd:"" help:"Hand a complete pack to a second person."`
	Approve      packDecideCmd   `cmd:"" help:"Take it: the account is on probation. Not by who handed it in."`
	Refuse       packDecideCmd   `cmd:"" help:"Turn it down: the account stays suspended."`
	Override     overrideCmd     `cmd:"" help:"Bring an account back without a guarantee; a lead, for a reason that is kept."`
	Purge        overrideCmd     `cmd:"" help:"Forget the data of an account, 90 days after it was locked."`
	Certificates certificatesCmd `cmd:"" help:"List what was purged."`
}

type packListCmd struct {
	State   string `help:"draft, waiting, approved, refused, broken or kept."`
	Case    string `help:"Of a case."`
	Account string `help:"Of an account."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run lists guarantees.
func (c *packListCmd) Run(a *app.App) error {
	q := guarantee.Search{State: guarantee.State(c.State), Case: c.Case, Account: c.Account, Limit: 200}
	return app.Call(a, "guarantee.list", q, c.JSON, func(p casecalls.Packs) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "GUARANTEE\tCASE\tACCOUNT\tSTATE\tBY\tAPPROVED BY\tUNTIL")
		for _, x := range p.Packs {
			until := "-"
			if !x.TrialUntil.IsZero() {
				until = x.TrialUntil.Local().Format(time.DateOnly)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, x.Case, app.Clean(x.Account), x.State, app.Clean(x.Proposer), app.Clean(x.Approver), until)
		}
		_ = w.Flush()
	})
}

// pack prints a guarantee.
func pack(a *app.App) func(guarantee.Pack) {
	return func(p guarantee.Pack) {
		fmt.Fprintf(a.Stdout, "%s of %s (%s) is %s\n", p.ID, p.Case, app.Clean(p.Account), p.State)
		for _, part := range guarantee.Parts() {
			if f, ok := p.Files[part]; ok {
				fmt.Fprintf(a.Stdout, "  %s: %s, %d octets, SHA-256 %s\n", part, app.Clean(f.Name), f.Size, f.Sum)
			}
		}
		if missing := p.Missing(); len(missing) > 0 {
			fmt.Fprintf(a.Stdout, "  missing: %s\n", strings.Join(missing, ", "))
		}
	}
}

// packCmd is a command that needs a guarantee alone: show, submit.
type packCmd struct {
	ID   string `arg:"" help:"The guarantee."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run makes the call that the command is named after.
func (c *packCmd) Run(a *app.App) error {
	return app.Call(a, "guarantee."+a.Verb(), casecalls.Pack{ID: c.ID}, c.JSON, pack(a))
}

// formFlags are what the letter says.
type formFlags struct {
	Company string    `help:"Who owns the mail domain."`
	Scope   string    `enum:"mailbox,domain," default:"" help:"mailbox or domain."`
	Covers  string    `help:"The address or the domain."`
	Signer  string    `help:"Who signed."`
	Contact string    `help:"Whom to write to."`
	Phone   string    `help:"Telephone number."`
	Date    time.Time `format:"2006-01-02" help:"Date on the letter."`
}

func (f formFlags) form() guarantee.Form {
	return guarantee.Form{Company: f.Company, Scope: guarantee.Scope(f.Scope), Covers: f.Covers, Signer: f.Signer, Contact: f.Contact, Phone: f.Phone, Date: f.Date}
}

type packNewCmd struct {
	Case      string `arg:"" help:"The suspended case."`
	formFlags `embed:""`
	JSON      bool `name:"json" help:"Print JSON."`
}

// Run begins a pack.
func (c *packNewCmd) Run(a *app.App) error {
	return app.Call(a, "guarantee.new", casecalls.Pack{Case: c.Case, Form: c.form()}, c.JSON, pack(a))
}

type packFillCmd struct {
	ID        string `arg:"" help:"The guarantee."`
	formFlags `embed:""`
	JSON      bool `name:"json" help:"Print JSON."`
}

// Run fills in the form; what is left out stays as it is.
func (c *packFillCmd) Run(a *app.App) error {
	var old guarantee.Pack
	if err := app.Call(a, "guarantee.show", casecalls.Pack{ID: c.ID}, false, func(p guarantee.Pack) { old = p }); err != nil {
		return err
	}
	f, o := c.form(), old.Form
	if f.Date.IsZero() {
		f.Date = o.Date
	}
	f = guarantee.Form{
		Company: cmp.Or(f.Company, o.Company), Scope: cmp.Or(f.Scope, o.Scope), Covers: cmp.Or(f.Covers, o.Covers), Signer: cmp.Or(f.Signer, o.Signer),
		Contact: cmp.Or(f.Contact, o.Contact), Phone: cmp.Or(f.Phone, o.Phone), Date: f.Date,
	}
	return app.Call(a, "guarantee.fill", casecalls.Pack{ID: c.ID, Form: f}, c.JSON, pack(a))
}

type packUploadCmd struct {
	ID   string `arg:"" help:"The guarantee."`
	Part string `arg:"" enum:"letter,suspension,licence" help:"letter, suspension or licence."`
	File string `arg:"" type:"path" help:"The paper."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run hands in a paper.
func (c *packUploadCmd) Run(a *app.App) error {
	text, err := readFile(c.File)
	if err != nil {
		return err
	}
	part := map[string]guarantee.Part{"letter": guarantee.Letter, "suspension": guarantee.Suspension, "licence": guarantee.Licence}[c.Part]
	return app.Call(a, "guarantee.upload", casecalls.Pack{ID: c.ID, Part: part, Name: filepath.Base(c.File), Bytes: text}, c.JSON, pack(a))
}

// packDecideCmd is approve or refuse.
type packDecideCmd struct {
	ID         string `arg:"" help:"The guarantee."`
	Reason     string `required:"" help:"Why."`
	BreakGlass string `name:"break-glass" placeholder:"WHY" help:"Of approve: nobody else can approve it, and why. It is written down and raises an alert."`
	JSON       bool   `name:"json" help:"Print JSON."`
}

// Run makes the call that the command is named after.
func (c *packDecideCmd) Run(a *app.App) error {
	return app.Call(a, "guarantee."+a.Verb(), casecalls.Pack{ID: c.ID, Reason: c.Reason, BreakGlass: c.BreakGlass}, c.JSON, pack(a))
}

// overrideCmd is override or purge.
type overrideCmd struct {
	Case   string `arg:"" help:"The case."`
	Reason string `required:"" help:"Why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run makes the call that the command is named after.
func (c *overrideCmd) Run(a *app.App) error {
	p := casecalls.Pack{Case: c.Case, Reason: c.Reason}
	if a.Verb() == "purge" {
		return app.Call(a, "guarantee.purge", p, c.JSON, func(x guarantee.Certificate) {
			fmt.Fprintf(a.Stdout, "%s: the data of %s is gone, SHA-256 of the certificate %s\n", x.ID, app.Clean(x.Account), x.Sum)
		})
	}
	return app.Call(a, "guarantee.override", p, c.JSON, func(x cases.Case) { done(a)(x) })
}

type certificatesCmd struct {
	Account string `help:"Of an account."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run lists certificates.
func (c *certificatesCmd) Run(a *app.App) error {
	return app.Call(a, "guarantee.certificates", casecalls.Account{Account: c.Account, Limit: 200}, c.JSON, func(p casecalls.Certificates) {
		for _, x := range p.Certificates {
			fmt.Fprintf(a.Stdout, "%s  %s  %s  by %s  %s\n", x.Purged.Local().Format(time.DateTime), x.ID, app.Clean(x.Account), app.Clean(x.By), x.Sum)
		}
	})
}
