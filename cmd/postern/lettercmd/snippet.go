package lettercmd

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"postern/abuse/notice/snippet"
	"postern/cmd/postern/app"
	"postern/cmd/postern/lettercalls"
)

// Snippet are the commands over short texts.
type Snippet struct {
	List     snippetList `cmd:"" help:"List your short texts and the shared ones."`
	Save     snippetSave `cmd:"" help:"Keep a short text for yourself."`
	Remove   removeCmd   `cmd:"" help:"Forget a short text of yours."`
	Share    shareCmd    `cmd:"" help:"Keep a short text for everybody."`
	Withdraw withdrawCmd `cmd:"" help:"Take a shared short text away."`
}

type snippetList struct {
	Language string `enum:"en,zh,ru,el," default:"" help:"en, zh, ru or el; all by default."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run lists short texts.
func (c *snippetList) Run(a *app.App) error {
	return app.Call(a, "snippet.list", lettercalls.SnippetQuery{Language: c.Language}, c.JSON, func(p lettercalls.Snippets) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tLANGUAGE\tSHORT\tOF\tTITLE")
		for _, s := range p.Snippets {
			of, short := "shared", "-"
			if !s.Shared() {
				of = app.Clean(s.Owner)
			}
			if s.Short != "" {
				short = ";" + app.Clean(s.Short)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.ID, s.Language, short, of, app.Clean(s.Title))
		}
		_ = w.Flush()
	})
}

// words are a short text on the command line.
type words struct {
	Language string `arg:"" enum:"en,zh,ru,el" help:"en, zh, ru or el."`
	Title    string `arg:"" help:"What it is called."`
	File     string `required:"" help:"A file with the text; - is the standard input."`
	Short    string `help:"What is typed behind a semicolon to put it in."`
	ID       string `name:"id" help:"Change this one; a new one by default."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

func (c words) keep(a *app.App, call string) error {
	r := a.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, snippet.MaxText+1))
	if err != nil {
		return err
	}
	t := lettercalls.SnippetText{ID: c.ID, Language: c.Language, Title: c.Title, Short: c.Short, Text: string(text)}
	if c.ID != "" {
		err := app.Call(a, "snippet.list", lettercalls.SnippetQuery{}, false, func(p lettercalls.Snippets) {
			for _, s := range p.Snippets {
				if s.ID == c.ID {
					t.Changes = s.Changes
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return app.Call(a, call, t, c.JSON, kept(a, "kept"))
}

type snippetSave struct{ words }

// Run keeps one for oneself.
func (c *snippetSave) Run(a *app.App) error { return c.keep(a, "snippet.save") }

type shareCmd struct{ words }

// Run keeps one for everybody.
func (c *shareCmd) Run(a *app.App) error { return c.keep(a, "snippet.share") }

type one struct {
	ID   string `arg:"" help:"The short text."`
	JSON bool   `name:"json" help:"Print JSON."`
}

type removeCmd struct{ one }

// Run forgets one of one's own.
func (c *removeCmd) Run(a *app.App) error {
	return app.Call(a, "snippet.remove", lettercalls.SnippetID{ID: c.ID}, c.JSON, kept(a, "removed"))
}

type withdrawCmd struct{ one }

// Run takes a shared one away.
func (c *withdrawCmd) Run(a *app.App) error {
	return app.Call(a, "snippet.withdraw", lettercalls.SnippetID{ID: c.ID}, c.JSON, kept(a, "withdrawn"))
}

func kept(a *app.App, what string) func(snippet.Snippet) {
	return func(s snippet.Snippet) { fmt.Fprintf(a.Stdout, "%s %s: %s\n", s.ID, app.Clean(s.Title), what) }
}
