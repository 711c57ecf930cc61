package peoplecmd

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/access"
	"postern/cmd/postern/app"
	"postern/internal/people"
)

// Token are the commands over tokens of the API.
type Token struct {
	Add    tokenAddCmd    `cmd:"" help:"Make a token with which a program acts for a user."`
	List   tokenListCmd   `cmd:"" help:"List the tokens of a user, or all."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token."`
}

type tokenAddCmd struct {
	User  string   `arg:"" help:"The user it acts for."`
	Name  string   `default:"api" help:"What it is for."`
	Scope []string `help:"A scope; may be said several times. All of the user's by default."`
	Days  int      `default:"90" help:"Days until it ends, at most 366."`
	JSON  bool     `name:"json" help:"Print JSON."`
}

// Run makes a token.
func (c *tokenAddCmd) Run(a *app.App) error {
	p := access.NewToken{User: c.User, Name: c.Name, Hours: 24 * c.Days}
	for _, s := range c.Scope {
		p.Scopes = append(p.Scopes, people.Scope(s))
	}
	return app.Call(a, "token.add", p, c.JSON, func(m access.Made) {
		fmt.Fprintf(a.Stdout, "%s\n\nThis is shown once. It ends on %s and may: %s\n", m.Secret, m.Token.Expires.Local().Format(time.DateTime), words(m.Token.Scopes))
	})
}

func words(scopes []people.Scope) string {
	var out []string
	for _, s := range scopes {
		out = append(out, string(s))
	}
	return strings.Join(out, " ")
}

type tokenListCmd struct {
	User string `arg:"" optional:"" help:"The user; all by default."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run lists tokens.
func (c *tokenListCmd) Run(a *app.App) error {
	return app.Call(a, "token.list", access.Name{Name: c.User}, c.JSON, func(all []people.Token) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tUSER\tNAME\tSTATE\tUSED\tSCOPES")
		for _, t := range all {
			used := "never"
			if !t.Used.IsZero() {
				used = t.Used.Local().Format("2006-01-02 15:04")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Owner, t.Name, tokenState(t, a.Now()), used, words(t.Scopes))
		}
		_ = w.Flush()
	})
}

func tokenState(t people.Token, now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !now.Before(t.Expires):
		return "ended"
	}
	return "until " + t.Expires.Local().Format(time.DateOnly)
}

type tokenRevokeCmd struct {
	ID   string `arg:"" help:"ID of the token; what stands between the first two underscores of it."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run ends a token.
func (c *tokenRevokeCmd) Run(a *app.App) error {
	return app.Call(a, "token.revoke", access.TokenID{ID: c.ID}, c.JSON, func(t people.Token) { fmt.Fprintf(a.Stdout, "%s (%s of %s) ended.\n", t.ID, t.Name, t.Owner) })
}
