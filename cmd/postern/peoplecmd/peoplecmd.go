// Package peoplecmd is the command line over users and tokens.
package peoplecmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/access"
	"postern/cmd/postern/app"
	"postern/internal/people"
)

// User are the commands over users of the desk.
type User struct {
	Add     addCmd     `cmd:"" help:"Let somebody use the desk or its API."`
	List    listCmd    `cmd:"" help:"List all users."`
	Show    showCmd    `cmd:"" help:"Show one user."`
	Change  changeCmd  `cmd:"" help:"Change a user's role, domains, addresses, mail address, language or password."`
	Disable disableCmd `cmd:"" help:"Keep a user out; tokens stop as well."`
	Enable  enableCmd  `cmd:"" help:"Let a user in again."`
	Remove  removeCmd  `cmd:"" help:"Forget a user and the tokens."`

	Invite   inviteCmd   `cmd:"" help:"Make a one-time link with which a user sets a password."`
	TOTP     totpCmd     `cmd:"" name:"totp" help:"The codes of a user's authenticator."`
	Sessions sessionsCmd `cmd:"" help:"List where a user is signed in to the desk."`
	SignOut  signOutCmd  `cmd:"" help:"End a user's sessions at the desk."`
}

// rights are what add and change share.
type rights struct {
	Email     string   `help:"Where notices for this user go."`
	Domain    []string `help:"A domain that a domain-admin looks after; may be said several times."`
	Address   []string `help:"An address whose mail a user sees; may be said several times."`
	Language  string   `help:"Language of the desk: en, zh, ru or el."`
	Unix      string   `help:"The login on this machine whose commands are this user's; - for none."`
	PassStdin bool     `name:"password-stdin" help:"Read the password from standard input, one line."`
	JSON      bool     `name:"json" help:"Print JSON."`
}

// password reads it where it was asked for; arguments can be read by everybody on a machine.
func (r rights) password(a *app.App) (string, error) {
	if !r.PassStdin {
		return "", nil
	}
	line, err := bufio.NewReader(io.LimitReader(a.Stdin, people.MaxPassword+2)).ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if err != nil && !errors.Is(err, io.EOF) || line == "" {
		return "", app.Usagef("--password-stdin: no password came")
	}
	return line, nil
}

type addCmd struct {
	Name string `arg:"" help:"The name to sign in with."`
	Role string `required:"" enum:"user,domain-admin,abuse-agent,abuse-lead,postmaster,auditor" help:"user, domain-admin, abuse-agent, abuse-lead, postmaster or auditor."`
	rights
}

// Run adds a user.
func (c *addCmd) Run(a *app.App) error {
	password, err := c.password(a)
	if err != nil {
		return err
	}
	p := access.NewUser{Name: c.Name, Role: people.Role(c.Role), Email: c.Email, Domains: c.Domain, Addresses: c.Address, Language: c.Language, Unix: c.Unix, Password: password}
	return app.Call(a, "user.add", p, c.JSON, func(u people.User) {
		printUser(a.Stdout, u)
		if password == "" {
			fmt.Fprintln(a.Stdout, "\nWithout a password this user has tokens alone (postern token add "+u.Name+"), or sets one with a link: postern user invite "+u.Name)
		}
	})
}

type listCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run lists the users.
func (c *listCmd) Run(a *app.App) error {
	return app.Call(a, "user.list", struct{}{}, c.JSON, func(all []people.User) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tROLE\tSTATE\tFOR\tMAIL")
		for _, u := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Name, u.Role, state(u), strings.Join(append(u.Domains, u.Addresses...), ","), u.Email)
		}
		_ = w.Flush()
	})
}

func state(u people.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "active"
}

func printUser(w io.Writer, u people.User) {
	fmt.Fprintf(w, "%s: %s, %s\n", u.Name, u.Role, state(u))
	for _, line := range [][2]string{{"domains", strings.Join(u.Domains, ", ")}, {"addresses", strings.Join(u.Addresses, ", ")}, {"mail", u.Email}, {"language", u.Language}, {"login", u.Unix}} {
		if line[1] != "" {
			fmt.Fprintf(w, "  %s: %s\n", line[0], app.Clean(line[1]))
		}
	}
	fmt.Fprintf(w, "  added %s by %s, changed %s\n", u.Created.Local().Format(time.DateTime), app.Clean(u.By), u.Changed.Local().Format(time.DateTime))
}

type showCmd struct {
	Name string `arg:"" help:"The user."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a user with the tokens.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "user.show", access.Name{Name: c.Name}, c.JSON, func(u people.User) { printUser(a.Stdout, u) })
}

type changeCmd struct {
	Name string `arg:"" help:"The user."`
	Role string `enum:"user,domain-admin,abuse-agent,abuse-lead,postmaster,auditor," default:"" help:"The new role."`
	rights
}

// Run changes a user.
func (c *changeCmd) Run(a *app.App) error {
	password, err := c.password(a)
	if err != nil {
		return err
	}
	p := access.UserChange{Name: c.Name}
	if c.Role != "" {
		role := people.Role(c.Role)
		p.Role = &role
		if role != people.DomainAdmin && c.Domain == nil {
			p.Domains = &[]string{}
		}
	}
	for _, f := range []struct {
		said string
		to   **string
	}{{c.Email, &p.Email}, {c.Language, &p.Language}, {password, &p.Password}} {
		if f.said != "" {
			*f.to = &f.said
		}
	}
	if c.Unix != "" {
		login := strings.TrimPrefix(c.Unix, "-")
		p.Unix = &login
	}
	if c.Domain != nil {
		p.Domains = &c.Domain
	}
	if c.Address != nil {
		p.Addresses = &c.Address
	}
	return app.Call(a, "user.change", p, c.JSON, func(u people.User) { printUser(a.Stdout, u) })
}

type disableCmd struct{ showCmd }

// Run keeps a user out.
func (c *disableCmd) Run(a *app.App) error { return c.set(a, true) }

type enableCmd struct{ showCmd }

// Run lets a user in again.
func (c *enableCmd) Run(a *app.App) error { return c.set(a, false) }

func (c *showCmd) set(a *app.App, disabled bool) error {
	p := access.UserChange{Name: c.Name}
	p.Disabled = &disabled
	return app.Call(a, "user.change", p, c.JSON, func(u people.User) { printUser(a.Stdout, u) })
}

type removeCmd struct{ showCmd }

// Run forgets a user.
func (c *removeCmd) Run(a *app.App) error {
	return app.Call(a, "user.remove", access.Name{Name: c.Name}, c.JSON, func(name string) { fmt.Fprintf(a.Stdout, "%s is no longer a user.\n", name) })
}
