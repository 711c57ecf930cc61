// Package lettercmd is the command line over what the letters of the abuse desk say.
package lettercmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"postern/abuse/notice/edition"
	"postern/abuse/notice/letter"
	"postern/cmd/postern/app"
	"postern/cmd/postern/lettercalls"
	"postern/internal/diff"
)

// Template are the commands over letters.
type Template struct {
	List     listCmd     `cmd:"" help:"List the letters in each language, and who changed them."`
	Show     showCmd     `cmd:"" help:"Show what a letter says, and the variables it may say."`
	Check    checkCmd    `cmd:"" help:"Look for faults in the words of a letter, and show it filled in."`
	Set      setCmd      `cmd:"" help:"Make a letter say something else, on all nodes."`
	History  historyCmd  `cmd:"" help:"List the changes of a letter, the last first."`
	Diff     diffCmd     `cmd:"" help:"Show what a change changed."`
	Rollback rollbackCmd `cmd:"" help:"Make a letter say what it said after an earlier change."`
	Reset    resetCmd    `cmd:"" help:"Make a letter say again what it says without the desk."`
}

type listCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run lists the letters.
func (c *listCmd) Run(a *app.App) error {
	return app.Call(a, "template.list", struct{}{}, c.JSON, func(l lettercalls.List) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "LANGUAGE\tKIND\tFROM\tCHANGES\tBY\tAT")
		for _, r := range l.Templates {
			by, at := "-", "-"
			if r.Changes > 0 {
				by, at = app.Clean(r.By), r.At.Local().Format(time.DateTime)
			}
			from := r.From
			if r.Broken != "" {
				from += " (not used: " + app.Clean(r.Broken) + ")"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", r.Language, r.Kind, from, r.Changes, by, at)
		}
		_ = w.Flush()
	})
}

// which names a letter on the command line.
type which struct {
	Language string `arg:"" enum:"en,zh,ru,el" help:"en, zh, ru or el."`
	Kind     string `arg:"" help:"ack, need-info, result, rejected, not-ours, warning, suspension, guarantee or reinstated."`
}

func (w which) which() lettercalls.Which {
	return lettercalls.Which{Language: w.Language, Kind: letter.Kind(w.Kind)}
}

type showCmd struct {
	which
	Preview bool `help:"Show it filled in with sample values."`
	JSON    bool `name:"json" help:"Print JSON."`
}

// Run shows a letter in the form that set reads.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "template.show", c.which.which(), c.JSON, func(s lettercalls.Shown) {
		text := s.Source
		if c.Preview {
			text = s.Preview
		}
		write(a.Stdout, text)
		if !c.Preview {
			fmt.Fprintf(a.Stderr, "from %s, %d changes; it may say .%s\n", s.From, s.Changes, strings.Join(s.Names, " ."))
		}
	})
}

func write(w io.Writer, s letter.Source) {
	fmt.Fprintf(w, "Subject: %s\n\n", app.Clean(s.Subject))
	for _, l := range strings.Split(strings.TrimRight(s.Body, "\n"), "\n") {
		fmt.Fprintln(w, app.Clean(l))
	}
}

// read takes a letter from a file: its subject, an empty line, the text.
func read(stdin io.Reader, file string) (s letter.Source, err error) {
	r := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return s, err
		}
		defer f.Close()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, letter.MaxSource+letter.MaxSubject+20))
	if err != nil {
		return s, err
	}
	head, body, ok := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	subject, is := strings.CutPrefix(head, "Subject: ")
	if !ok || !is || !strings.HasPrefix(body, "\n") {
		return s, app.Usagef("%s:1: the first line is Subject: and the second is empty", file)
	}
	return letter.Source{Subject: subject, Body: body[1:]}, nil
}

type checkCmd struct {
	which
	File string `required:"" help:"A file with the words: Subject:, an empty line, the text; - is the standard input."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run looks for faults; one is a finding.
func (c *checkCmd) Run(a *app.App) error {
	text, err := read(a.Stdin, c.File)
	if err != nil {
		return err
	}
	ok := true
	err = app.Call(a, "template.check", lettercalls.Words{Which: c.which.which(), Source: text}, c.JSON, func(r lettercalls.Checked) {
		for _, p := range r.Problems {
			fmt.Fprintf(a.Stdout, "%s:%s\n", c.File, app.Clean(place(p)))
		}
		if ok = r.OK; ok {
			write(a.Stdout, r.Preview)
		}
		if len(r.Unsaid) > 0 {
			fmt.Fprintf(a.Stderr, "it no longer says .%s\n", strings.Join(r.Unsaid, " ."))
		}
	})
	if err == nil && !ok {
		return app.Findf("%s: the letter cannot be written so", c.File)
	}
	return err
}

// place is a problem with the line of the file it stands in.
func place(p letter.Problem) string {
	if p.Field == letter.InSubject {
		return fmt.Sprintf("1:%d: %s", p.Column+len("Subject: "), p.Message)
	}
	return fmt.Sprintf("%d:%d: %s", p.Line+2, p.Column, p.Message)
}

type setCmd struct {
	which
	File string `required:"" help:"A file with the words: Subject:, an empty line, the text; - is the standard input."`
	Note string `help:"Why."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run changes a letter as it is now.
func (c *setCmd) Run(a *app.App) error {
	text, err := read(a.Stdin, c.File)
	if err != nil {
		return err
	}
	base, err := changes(a, c.which)
	if err != nil {
		return err
	}
	w := lettercalls.Set{Words: lettercalls.Words{Which: c.which.which(), Source: text}, Base: base, Note: c.Note}
	return app.Call(a, "template.set", w, c.JSON, done(a))
}

// changes is how often a letter was changed.
func changes(a *app.App, w which) (n int, err error) {
	err = app.Call(a, "template.show", w.which(), false, func(s lettercalls.Shown) { n = s.Changes })
	return n, err
}

type historyCmd struct {
	which
	Limit int    `default:"50" help:"Changes at most."`
	After string `help:"Where the list before ended."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists changes.
func (c *historyCmd) Run(a *app.App) error {
	return app.Call(a, "template.history", lettercalls.Past{Which: c.which.which(), After: c.After, Limit: c.Limit}, c.JSON, func(p lettercalls.Changes) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "CHANGE\tAT\tHOW\tBY\tNOTE")
		for _, e := range p.Changes {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", e.N, e.At.Local().Format(time.DateTime), how(e), app.Clean(e.By), app.Clean(e.Note))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
}

func how(c edition.Change) string {
	if c.Back > 0 {
		return fmt.Sprintf("%s to %d", c.How, c.Back)
	}
	return c.How
}

type diffCmd struct {
	which
	N    int  `arg:"" help:"The change."`
	JSON bool `name:"json" help:"Print JSON."`
}

// Run shows a change.
func (c *diffCmd) Run(a *app.App) error {
	return app.Call(a, "template.diff", lettercalls.Numbered{Which: c.which.which(), N: c.N}, c.JSON, func(d lettercalls.Difference) {
		if !d.Known {
			fmt.Fprintln(a.Stdout, "what it said before is not kept any more")
			return
		}
		for _, l := range strings.Split(strings.TrimRight(diff.Text(d.Diff), "\n"), "\n") {
			fmt.Fprintln(a.Stdout, app.Clean(l))
		}
	})
}

type rollbackCmd struct {
	which
	N    int    `arg:"" help:"The change whose words come back; 0 = before the first."`
	Note string `help:"Why."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run goes back.
func (c *rollbackCmd) Run(a *app.App) error {
	return app.Call(a, "template.rollback", lettercalls.Numbered{Which: c.which.which(), N: c.N, Note: c.Note}, c.JSON, done(a))
}

type resetCmd struct {
	which
	Note string `help:"Why."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run takes the desk's words away.
func (c *resetCmd) Run(a *app.App) error {
	base, err := changes(a, c.which)
	if err != nil {
		return err
	}
	return app.Call(a, "template.reset", lettercalls.Numbered{Which: c.which.which(), N: base, Note: c.Note}, c.JSON, done(a))
}

func done(a *app.App) func(edition.Change) {
	return func(c edition.Change) {
		fmt.Fprintf(a.Stdout, "%s: change %d, %s\n", c.Letter, c.N, how(c))
	}
}
