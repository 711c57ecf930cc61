// Package noticecmd is the command line over the letters of the abuse desk.
package noticecmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"postern/abuse/notice"
	"postern/abuse/notice/letter"
	"postern/cmd/postern/app"
	"postern/cmd/postern/noticecalls"
)

// Notice are the commands over letters.
type Notice struct {
	List    listCmd    `cmd:"" help:"List letters, the youngest first."`
	Show    showCmd    `cmd:"" help:"Show one letter."`
	Draft   draftCmd   `cmd:"" help:"Prepare a letter to the reporter of a case; nothing is sent yet."`
	Edit    editCmd    `cmd:"" help:"Change the words of a draft."`
	Send    sendCmd    `cmd:"" help:"Send a draft."`
	Discard discardCmd `cmd:"" help:"Give a draft up."`
	Out     outCmd     `cmd:"" help:"List all that went out: letters, reports to networks, the national body."`
	Message messageCmd `cmd:"" help:"Show one of them, with its text and whether it arrived."`
	Resend  resendCmd  `cmd:"" help:"Send again what came back."`
}

type listCmd struct {
	Case  string `help:"Letters of a case."`
	State string `enum:"draft,queued,sent,barred,failed,discarded," default:"" help:"draft, queued, sent, barred, failed or discarded."`
	Limit int    `default:"50" help:"Letters at most."`
	After string `help:"Where the list before ended."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists letters.
func (c *listCmd) Run(a *app.App) error {
	q := noticecalls.Query{Case: c.Case, State: c.State, Limit: c.Limit, After: c.After}
	return app.Call(a, "notice.list", q, c.JSON, func(p noticecalls.Page) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tAT\tCASE\tKIND\tSTATE\tTO\tBY\tWHY")
		for _, n := range p.Notices {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.At.Local().Format(time.DateTime), n.Case, n.Kind, n.State, app.Clean(n.To), by(n), app.Clean(n.Why))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
}

func by(n notice.Notice) string {
	if n.By == "" {
		return "-"
	}
	return app.Clean(n.By)
}

type showCmd struct {
	ID   string `arg:"" help:"The letter."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a letter.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "notice.show", noticecalls.Work{ID: c.ID}, c.JSON, func(n notice.Notice) { show(a.Stdout, n) })
}

func show(w io.Writer, n notice.Notice) {
	line := func(name, value string) { fmt.Fprintf(w, "%-9s %s\n", name, app.Clean(value)) }
	line("letter", n.ID)
	line("case", strings.TrimSpace(n.Case+" "+n.Report))
	line("kind", strings.TrimSpace(string(n.Kind)+" "+n.Language))
	line("state", strings.TrimSpace(n.State+" "+n.Why))
	line("by", by(n)+" at "+n.At.Local().Format(time.DateTime))
	line("to", n.To)
	line("subject", n.Subject)
	fmt.Fprintln(w)
	for _, l := range strings.Split(strings.TrimRight(n.Body, "\n"), "\n") {
		fmt.Fprintln(w, app.Clean(l))
	}
}

type draftCmd struct {
	Case     string `arg:"" help:"The case."`
	Kind     string `enum:"answer,need-info,result,rejected,not-ours" default:"answer" help:"answer (your own words), need-info, result, rejected or not-ours."`
	Report   string `help:"To who made this report; the first person by default."`
	Language string `enum:"en,zh,ru,el," default:"" help:"en, zh, ru or el; the reporter's by default."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run prepares a letter.
func (c *draftCmd) Run(a *app.App) error {
	w := noticecalls.Work{Case: c.Case, Kind: letter.Kind(c.Kind), Report: c.Report, Language: c.Language}
	return app.Call(a, "notice.draft", w, c.JSON, func(n notice.Notice) { show(a.Stdout, n) })
}

type editCmd struct {
	ID      string `arg:"" help:"The draft."`
	Subject string `help:"The new subject."`
	File    string `help:"A file with the new text; - is the standard input."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run changes a draft.
func (c *editCmd) Run(a *app.App) error {
	w := noticecalls.Work{ID: c.ID, Subject: c.Subject}
	if c.Subject == "" && c.File == "" {
		return app.Usagef("nothing to change: --subject or --file")
	}
	if c.File != "" {
		text, err := words(a.Stdin, c.File)
		if err != nil {
			return err
		}
		w.Body = text
	}
	return app.Call(a, "notice.edit", w, c.JSON, func(n notice.Notice) { show(a.Stdout, n) })
}

// words reads a letter, which is short.
func words(stdin io.Reader, file string) (string, error) {
	r := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, letter.MaxBody+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > letter.MaxBody:
		return "", app.Usagef("%s: a letter has at most %d octets", file, letter.MaxBody)
	case strings.TrimSpace(string(text)) == "":
		return "", app.Usagef("%s: there is no text", file)
	}
	return string(text), nil
}

type sendCmd struct {
	ID     string `arg:"" help:"The draft."`
	Result bool   `help:"It is the result of the case, no answer on the way."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run sends a draft.
func (c *sendCmd) Run(a *app.App) error {
	return app.Call(a, "notice.send", noticecalls.Work{ID: c.ID, Result: c.Result}, c.JSON, done(a))
}

type discardCmd struct {
	ID     string `arg:"" help:"The draft."`
	Reason string `help:"Why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run gives a draft up.
func (c *discardCmd) Run(a *app.App) error {
	return app.Call(a, "notice.discard", noticecalls.Work{ID: c.ID, Reason: c.Reason}, c.JSON, done(a))
}

func done(a *app.App) func(notice.Notice) {
	return func(n notice.Notice) {
		fmt.Fprintf(a.Stdout, "%s to %s is %s\n", n.ID, app.Clean(n.To), n.State)
	}
}
