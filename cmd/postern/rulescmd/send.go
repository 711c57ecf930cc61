package rulescmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/rulecalls"
)

// maxText bounds the text of a file that is tried; the server takes less.
const maxText = 1 << 20

// read reads a text; - is the standard input.
func read(stdin io.Reader, path string) (string, error) {
	if path != "-" {
		f, err := os.Open(filepath.Clean(path))
		if err != nil {
			return "", err
		}
		defer f.Close()
		stdin = f
	}
	b, err := io.ReadAll(io.LimitReader(stdin, maxText+1))
	if err == nil && len(b) > maxText {
		err = fmt.Errorf("%s: a text has at most %d octets", path, maxText)
	}
	return string(b), err
}

type sendCmd struct {
	File  string `arg:"" help:"The file, as rules/own.yaml."`
	Base  string `help:"SHA-256 that it has on the other nodes; none: that of a text which this node had before."`
	Force bool   `help:"Whatever the other nodes have."`
	Note  string `help:"Why."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run offers a file.
func (c *sendCmd) Run(a *app.App) error {
	p := rulecalls.SendFile{File: c.File, Base: c.Base, Force: c.Force, Note: c.Note}
	return app.Call(a, "rules.send", p, c.JSON, func(d rulecalls.Delivery) { delivered(a.Stdout, d) })
}

type sentCmd struct {
	File string `arg:"" help:"The file, as rules/own.yaml."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// errRefused is news enough by its exit code: which node and why was printed.
var errRefused = errors.New("a node refused the file")

// Run says what became of an offer.
func (c *sentCmd) Run(a *app.App) error {
	refused := false
	var failed error
	err := app.Call(a, "rules.sent", rulecalls.FileID{File: c.File}, false, func(d rulecalls.Delivery) {
		for _, s := range d.Answers {
			refused = refused || !s.OK
		}
		if c.JSON {
			failed = a.JSON(d)
			return
		}
		delivered(a.Stdout, d)
	})
	if err = errors.Join(err, failed); err == nil && refused {
		return &app.Exit{Code: app.Finding, Err: errRefused}
	}
	return err
}

func delivered(w io.Writer, d rulecalls.Delivery) {
	if d.Sent == nil {
		fmt.Fprintln(w, "it was not sent in the last day")
		return
	}
	fmt.Fprintf(w, "%s from %s by %s at %s\n", app.Clean(d.Sent.File), app.Clean(d.Sent.Node), app.Clean(d.Sent.By), d.Sent.At.Local().Format(time.DateTime))
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, s := range d.Answers {
		what := "took it"
		if !s.OK {
			what = "refused it: " + s.Says
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", app.Clean(s.Node), s.At.Local().Format(time.DateTime), app.Clean(what))
	}
	for _, n := range d.Waiting {
		fmt.Fprintf(t, "%s\t\tnot yet\n", app.Clean(n))
	}
	_ = t.Flush()
}
