package peoplecmd

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/access"
	"postern/cmd/postern/app"
	"postern/internal/people/factor"
)

type inviteCmd struct {
	Name string `arg:"" help:"The user."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run makes a one-time link.
func (c *inviteCmd) Run(a *app.App) error {
	return app.Call(a, "user.invite", access.Name{Name: c.Name}, c.JSON, func(l access.Link) {
		where := l.URL
		if where == "" {
			where = l.Path + "\n(below the address of the desk; with desk.url set it is shown whole)"
		}
		fmt.Fprintf(a.Stdout, "%s\n\nWith this link %s sets a password, once, until %s.\n", where, l.User, l.Expires.Local().Format(time.DateTime))
	})
}

// totpCmd are the commands over second factors.
type totpCmd struct {
	Show  totpShowCmd  `cmd:"" help:"Tell whether a user gives codes of an authenticator."`
	Reset totpResetCmd `cmd:"" help:"Take a user's second factor away, for a lost phone."`
}

type totpShowCmd struct{ inviteCmd }

// Run tells whether there is a second factor.
func (c *totpShowCmd) Run(a *app.App) error {
	return app.Call(a, "user.factor", access.Name{Name: c.Name}, c.JSON, func(s factor.State) {
		if !s.On {
			fmt.Fprintf(a.Stdout, "%s gives the password alone\n", c.Name)
			return
		}
		fmt.Fprintf(a.Stdout, "%s gives codes since %s; %d recovery codes are left\n", c.Name, s.Since.Local().Format(time.DateOnly), s.Left)
	})
}

type totpResetCmd struct {
	Name string `arg:"" help:"The user."`
	Note string `help:"Why; it is audited."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run takes a second factor away.
func (c *totpResetCmd) Run(a *app.App) error {
	return app.Call(a, "user.factor-reset", access.FactorReset{Name: c.Name, Note: c.Note}, c.JSON, func(factor.State) {
		fmt.Fprintf(a.Stdout, "%s was signed out everywhere, and gives the password alone until a new second factor is set up\n", c.Name)
	})
}

type sessionsCmd struct{ inviteCmd }

// Run lists where a user is signed in.
func (c *sessionsCmd) Run(a *app.App) error {
	return app.Call(a, "user.sessions", access.Name{Name: c.Name}, c.JSON, func(all []access.SignedIn) { printSessions(a.Stdout, all) })
}

func printSessions(out io.Writer, all []access.SignedIn) {
	if len(all) == 0 {
		fmt.Fprintln(out, "signed in nowhere")
		return
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSIGNED IN\tLAST SEEN\tFROM\tBROWSER")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.ID, s.Began.Local().Format(time.DateTime), s.Seen.Local().Format(time.DateTime), s.From, app.Clean(s.Agent))
	}
	_ = w.Flush()
}

type signOutCmd struct {
	Name string `arg:"" help:"The user."`
	ID   string `arg:"" optional:"" help:"One session; all by default."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run ends sessions of a user.
func (c *signOutCmd) Run(a *app.App) error {
	return app.Call(a, "user.sign-out", access.SignOut{Name: c.Name, ID: c.ID}, c.JSON, func(left []access.SignedIn) { printSessions(a.Stdout, left) })
}
