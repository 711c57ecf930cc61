package rulescmd

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"postern/cmd/postern/app"
	"postern/rules"
	"postern/rules/spamassassin"
)

type importCmd struct {
	SpamAssassin spamassassinCmd `cmd:"" name:"spamassassin" help:"Make rule files of SpamAssassin's *.cf files, and say what could not be taken and why."`
}

type spamassassinCmd struct {
	Dir    string `arg:"" help:"Folder of the *.cf files." type:"existingdir"`
	Out    string `help:"Folder that the rule files are written to; none: only the report." type:"path"`
	Scores string `default:"local" enum:"local,net,bayes,bayes-net" help:"Which of four scores counts: local (neither network nor Bayes), net, bayes, bayes-net."`
	Lang   string `default:"en" help:"Language of the sentences about rules."`
	JSON   bool   `name:"json" help:"Print the report as JSON."`
}

// madeBy is how files begin that an import wrote: others it does not write over.
const madeBy = "# Made of "

// Run imports.
func (c *spamassassinCmd) Run(a *app.App) error {
	column := slices.Index([]string{"local", "net", "bayes", "bayes-net"}, c.Scores)
	res, err := spamassassin.Import(os.DirFS(c.Dir), spamassassin.Options{Column: column, Lang: c.Lang})
	if err != nil {
		return err
	}
	if err := loads(res.Files); err != nil {
		return &app.Exit{Code: app.Finding, Err: fmt.Errorf("the rules made do not load: %w", err)}
	}
	if c.Out != "" {
		if err := store(c.Out, res.Files); err != nil {
			return err
		}
	}
	if c.JSON {
		return a.JSON(res.Report)
	}
	imported(a.Stdout, res.Report)
	return nil
}

// loads tells whether rule files are taken beside the rules that come with the program.
func loads(files map[string][]byte) error {
	dir, err := os.MkdirTemp("", "postern-import")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := store(dir, files); err != nil {
		return err
	}
	_, err = rules.LoadFS(rules.Layer{FS: os.DirFS(dir)})
	return err
}

// store writes the files, all or, where one of another hand stands in the way, none.
func store(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names {
		old, err := os.ReadFile(filepath.Join(dir, filepath.Base(name)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case !bytes.HasPrefix(old, []byte(madeBy)):
			return fmt.Errorf("%s was not written by an import; it stays, and nothing was written", filepath.Join(dir, name))
		}
	}
	for _, name := range names {
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path+".new", files[name], 0o640); err != nil { //nolint:gosec // rules are read by the gateway's group
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return nil
}

// imported prints a report: what was not taken rule by rule, then the numbers.
func imported(w io.Writer, r spamassassin.Report) {
	for _, e := range r.Odd {
		fmt.Fprintf(w, "%s:%d: not understood: %s\n", app.Clean(e.File), e.Line, app.Clean(e.Reason))
	}
	for _, e := range r.Refused {
		fmt.Fprintf(w, "%s:%d: %s not taken: %s\n", app.Clean(e.File), e.Line, app.Clean(e.Rule), app.Clean(e.Reason))
	}
	for _, e := range r.Differ {
		for _, n := range e.Notes {
			fmt.Fprintf(w, "%s:%d: %s differs: %s\n", app.Clean(e.File), e.Line, app.Clean(e.Rule), app.Clean(n))
		}
	}
	for _, p := range r.Passed {
		fmt.Fprintf(w, "%s:%d: %s passed over, %d in all\n", app.Clean(p.File), p.Line, app.Clean(p.Directive), p.Count)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "KIND\tTAKEN\tDIFFER\tREFUSED\tOFF\t")
	for _, k := range r.Kinds() {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t\n", app.Clean(cmp.Or(k.Kind, "all")), k.Taken, k.Differ, k.Refused, k.Off)
	}
	_ = t.Flush()
	fmt.Fprintf(w, "%d patterns, %d composites; %d scores rounded to two places\n", r.Patterns, r.Composed, r.Rounded)
}
