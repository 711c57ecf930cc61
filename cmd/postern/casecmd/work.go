package casecmd

import (
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/cmd/postern/app"
	"postern/cmd/postern/casecalls"
)

type openCmd struct {
	Account  string `help:"An account of ours."`
	IP       string `name:"ip" help:"A source elsewhere."`
	Domain   string `help:"A source elsewhere, by d=."`
	Priority int    `help:"1 to 4."`
	Drill    bool   `help:"A fire drill: counted nowhere."`
	Reason   string `required:"" help:"Why."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run opens a case.
func (c *openCmd) Run(a *app.App) error {
	o := cases.Opening{Kind: cases.Local, Account: c.Account, Priority: c.Priority, Drill: c.Drill, Reason: c.Reason}
	if c.Account == "" {
		o.Kind, o.Source.Domain = cases.External, c.Domain
		if c.IP != "" {
			ip, err := netip.ParseAddr(c.IP)
			if err != nil {
				return app.Usagef("--ip: %v", err)
			}
			o.Source.IP = ip
		}
	}
	return app.Call(a, "case.open", o, c.JSON, done(a))
}

type stateCmd struct {
	ID       string   `arg:"" help:"The case."`
	To       string   `arg:"" help:"The state; case show says which ones are possible."`
	Reason   string   `required:"" help:"Why."`
	Measure  string   `help:"ID of the measure that was applied."`
	Level    int      `help:"Its level, 0 to 7."`
	Families []string `help:"Signal families, A to E."`
	Notice   string   `help:"ID of the notice that was sent."`
	Barred   string   `help:"Why no notice is sent."`
	NoAbuse  bool     `help:"Nothing was wrong: counted as a wrong suspension."`
	Override string   `help:"Why a lead goes past the rule."`
	JSON     bool     `name:"json" help:"Print JSON."`
}

// Run moves a case.
func (c *stateCmd) Run(a *app.App) error {
	return app.Call(a, "case.state", casecalls.Move{ID: c.ID, Request: cases.Request{
		To: flow.State(strings.ToUpper(c.To)), Reason: c.Reason, Measure: c.Measure, Level: c.Level, Families: c.Families,
		Notice: c.Notice, Barred: c.Barred, NoAbuse: c.NoAbuse, Override: c.Override,
	}}, c.JSON, done(a))
}

type assignCmd struct {
	ID    string `arg:"" help:"The case."`
	Owner string `arg:"" optional:"" help:"Who has it from now on; nobody when left out."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run assigns a case.
func (c *assignCmd) Run(a *app.App) error {
	return app.Call(a, "case.assign", casecalls.Work{ID: c.ID, Owner: c.Owner}, c.JSON, done(a))
}

type categoryCmd struct {
	ID         string   `arg:"" help:"The case."`
	Categories []string `arg:"" optional:"" help:"S1 unsolicited, S2 cannot be refused, S3 hidden sender or title, S4 false source or route, S5 virus or crime; none when left out."`
	JSON       bool     `name:"json" help:"Print JSON."`
}

// Run sets categories.
func (c *categoryCmd) Run(a *app.App) error {
	w := casecalls.Work{ID: c.ID}
	for _, s := range c.Categories {
		w.Categories = append(w.Categories, cases.Category(strings.ToUpper(s)))
	}
	return app.Call(a, "case.category", w, c.JSON, done(a))
}

type priorityCmd struct {
	ID       string `arg:"" help:"The case."`
	Priority string `arg:"" enum:"U1,U2,U3,U4,u1,u2,u3,u4" help:"U1 to U4."`
	Reason   string `required:"" help:"Why."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run sets the priority.
func (c *priorityCmd) Run(a *app.App) error {
	return app.Call(a, "case.priority", casecalls.Work{ID: c.ID, Priority: int(c.Priority[1] - '0'), Reason: c.Reason}, c.JSON, done(a))
}

// reasonCmd is a command that needs a case and words: comment, unmerge, reopen, hold, unhold.
type reasonCmd struct {
	ID     string `arg:"" help:"The case."`
	Reason string `arg:"" help:"The words."`
	Appeal string `help:"Of reopen: the appeal it follows."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run makes the call that the command is named after.
func (c *reasonCmd) Run(a *app.App) error {
	w, verb := casecalls.Work{ID: c.ID, Reason: c.Reason, Appeal: c.Appeal}, a.Verb()
	switch verb {
	case "hold", "unhold":
		w.On, verb = verb == "hold", "hold"
	}
	return app.Call(a, "case."+verb, w, c.JSON, done(a))
}

type sourceCmd struct {
	ID     string    `arg:"" help:"The case."`
	IP     string    `name:"ip" help:"Address and port, 203.0.113.7:51514."`
	Domain string    `help:"d= of a signature that passed."`
	Helo   string    `help:"What it called itself."`
	At     time.Time `required:"" help:"When, 2026-06-08T10:00:00Z."`
	Reason string    `required:"" help:"How it is known."`
	JSON   bool      `name:"json" help:"Print JSON."`
}

// Run sets the source.
func (c *sourceCmd) Run(a *app.App) error {
	s := cases.Source{Domain: c.Domain, Helo: c.Helo, Time: c.At}
	if c.IP != "" {
		at, err := netip.ParseAddrPort(c.IP)
		if err != nil {
			return app.Usagef("--ip needs address and port: %v", err)
		}
		s.IP, s.Port = at.Addr(), at.Port()
	}
	return app.Call(a, "case.source", casecalls.Work{ID: c.ID, Source: &s, Reason: c.Reason}, c.JSON, done(a))
}

type evidenceCmd struct {
	ID   string `arg:"" help:"The case."`
	File string `arg:"" optional:"" type:"path" help:"The file."`
	Held string `help:"A held message, instead of a file."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run adds evidence.
func (c *evidenceCmd) Run(a *app.App) error {
	switch {
	case (c.File == "") == (c.Held == ""):
		return app.Usagef("name a file or --held and a held message")
	case c.Held != "":
		return app.Call(a, "case.evidence", casecalls.Work{ID: c.ID, Name: c.Held + ".eml", Held: c.Held}, c.JSON, done(a))
	}
	text, err := readFile(c.File)
	if err != nil {
		return err
	}
	return app.Call(a, "case.evidence", casecalls.Work{ID: c.ID, Name: filepath.Base(c.File), Bytes: text}, c.JSON, done(a))
}

type mergeCmd struct {
	ID     string `arg:"" help:"A case."`
	Other  string `arg:"" help:"Another one."`
	Reason string `required:"" help:"Why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run merges.
func (c *mergeCmd) Run(a *app.App) error {
	return app.Call(a, "case.merge", casecalls.Work{ID: c.ID, Other: c.Other, Reason: c.Reason}, c.JSON, done(a))
}

// resultCmd notes a result or an answer.
type resultCmd struct {
	ID     string `arg:"" help:"The case."`
	Notice string `help:"ID of the notice."`
	Barred string `help:"Of result: why none is sent."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run makes the call that the command is named after.
func (c *resultCmd) Run(a *app.App) error {
	return app.Call(a, "case."+a.Verb(), casecalls.Work{ID: c.ID, Notice: c.Notice, Barred: c.Barred}, c.JSON, done(a))
}

type endCmd struct {
	ID     string `arg:"" help:"The case."`
	Reason string `required:"" help:"Why."`
	Order  string `help:"A written order, where there are no two strikes."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run proposes an end.
func (c *endCmd) Run(a *app.App) error {
	return app.Call(a, "case.end", casecalls.Work{ID: c.ID, Reason: c.Reason, Order: c.Order}, c.JSON, done(a))
}
