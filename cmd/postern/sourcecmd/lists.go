package sourcecmd

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"postern/abuse/external/published"
	"postern/abuse/listing"
	"postern/cmd/postern/app"
	"postern/cmd/postern/sourcecalls"
)

// Published are the commands over published lists.
type Published struct {
	List   editionsCmd `cmd:"" help:"List editions, the youngest first."`
	Show   editionCmd  `cmd:"" help:"Show one: what changes, what is refused, what it would have hit."`
	Import importCmd   `cmd:"" help:"Take a file in: it is compared and tried; it takes effect with the next minute, or by a person."`
	Apply  decideCmd   `cmd:"" help:"Put an edition into force that needs a person."`
	Drop   decideCmd   `cmd:"" help:"Refuse an edition for good."`
}

type editionsCmd struct {
	After string `help:"Go on behind this page."`
	Limit int    `default:"100" help:"How many."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists editions.
func (c *editionsCmd) Run(a *app.App) error {
	return app.Call(a, "published.list", sourcecalls.Paging{After: c.After, Limit: c.Limit}, c.JSON, func(p sourcecalls.Editions) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "EDITION\tLIST\tSTATE\tPUBLISHED\tAPPLIED\tDUE\tENTRIES\tREFUSED")
		for _, e := range p.Editions {
			applied := "-"
			if !e.Applied.IsZero() {
				applied = e.Applied.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", e.ID, app.Clean(e.List), e.State, e.Published.Local().Format(time.DateTime), applied, e.Due.Local().Format(time.DateTime), e.Count, e.Refusals)
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintf(a.Stdout, "more: --after %s\n", app.Clean(p.Next))
		}
	})
}

type editionCmd struct {
	ID   string `arg:"" help:"The edition."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows one.
func (c *editionCmd) Run(a *app.App) error {
	return app.Call(a, "published.show", sourcecalls.Edition{ID: c.ID}, c.JSON, edition(a))
}

// edition prints one.
func edition(a *app.App) func(published.Edition) {
	return func(e published.Edition) {
		line := func(format string, args ...any) { fmt.Fprintln(a.Stdout, app.Clean(fmt.Sprintf(format, args...))) }
		line("%s of %s is %s; published %s, due %s", e.ID, e.List, e.State, e.Published.Local().Format(time.DateTime), e.Due.Local().Format(time.DateTime))
		line("  %d entries, %d new, %d gone, %d lines refused", e.Count, e.Adds, e.Removes, e.Refusals)
		for _, r := range e.Refused {
			line("  line %d %q is refused: %s", r.Line, r.Text, r.Why)
		}
		line("  tried on %d mails of %d days: it hits %d; of %d good ones %d", e.Trial.Mails, e.Trial.Days, e.Trial.Hits, e.Trial.Ham, e.Trial.Wrong)
		for _, ip := range e.Trial.Some {
			line("  it hits good mail of %s", ip)
		}
		for _, v := range e.Added {
			line("  + %s", v)
		}
		for _, v := range e.Removed {
			line("  - %s", v)
		}
		for _, w := range e.Person {
			line("  a person has to agree: %s", w)
		}
	}
}

type importCmd struct {
	List      string    `arg:"" help:"Name of the list."`
	File      string    `arg:"" help:"The file; - is the standard input."`
	Signature string    `help:"File with the detached Ed25519 signature, raw or base64." type:"existingfile"`
	Published time.Time `format:"2006-01-02T15:04:05Z07:00" help:"When it was published, if the file does not say so (2026-06-08T08:00:00Z)."`
	JSON      bool      `name:"json" help:"Print JSON."`
}

// Run hands a file in.
func (c *importCmd) Run(a *app.App) error {
	q := sourcecalls.Edition{List: c.List, Published: c.Published}
	var err error
	if q.File, err = readFile(a, c.File); err != nil {
		return err
	}
	if c.Signature != "" {
		if q.Signature, err = readFile(a, c.Signature); err != nil {
			return err
		}
		if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(q.Signature))); err == nil {
			q.Signature = raw
		}
	}
	return app.Call(a, "published.import", q, c.JSON, edition(a))
}

// readFile reads a bounded file.
func readFile(a *app.App, path string) ([]byte, error) {
	in := a.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, &app.Exit{Code: app.Usage, Err: err}
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, published.MaxFile+1))
	if err == nil && len(b) > published.MaxFile {
		return nil, app.Usagef("%s has more than %d octets", path, published.MaxFile)
	}
	return b, err
}

type decideCmd struct {
	ID     string `arg:"" help:"The edition."`
	Reason string `required:"" help:"Why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run makes the call that the command is named after.
func (c *decideCmd) Run(a *app.App) error {
	return app.Call(a, "published."+a.Verb(), sourcecalls.Edition{ID: c.ID, Reason: c.Reason}, c.JSON, edition(a))
}

// Listing are the commands over listings of our own.
type Listing struct {
	List    listingsCmd `cmd:"" help:"List our own listings, and how the lists passed their test."`
	Show    listingCmd  `cmd:"" help:"Show one, with the drafted notice and whether its removal may be asked for."`
	Check   listingsCmd `cmd:"" help:"Ask the lists now. A listing is believed when it is seen twice, ten minutes apart."`
	Cause   causeCmd    `cmd:"" help:"Name the case that is the cause."`
	Send    sendCmd     `cmd:"" help:"Send the drafted notice to the national body."`
	Removal removalCmd  `cmd:"" help:"Note that removal is asked for, and tell how; refused until the cause is resolved."`
}

type listingsCmd struct {
	Open  bool   `help:"Only those that stand."`
	After string `help:"Go on behind this page."`
	Limit int    `default:"100" help:"How many."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists, after a look at the lists where the command says so.
func (c *listingsCmd) Run(a *app.App) error {
	return app.Call(a, "listing."+a.Verb(), sourcecalls.Paging{Open: c.Open, After: c.After, Limit: c.Limit}, c.JSON, func(p sourcecalls.Listings) {
		for _, h := range p.Tests {
			word := "passed its test"
			if !h.OK {
				word = h.Why
			}
			fmt.Fprintf(a.Stdout, "list %s: %s (%s)\n", app.Clean(h.List), app.Clean(word), h.At.Local().Format(time.DateTime))
		}
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "LISTING\tSUBJECT\tLIST\tSTATE\tFIRST\tCASE\tCAUSE")
		for _, l := range p.Listings {
			state := "seen once"
			switch {
			case l.Open():
				state = "listed"
			case !l.Gone.IsZero():
				state = "gone"
			case l.Hits == 0:
				state = "not believed"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, app.Clean(l.Subject), app.Clean(l.List), state, l.First.Local().Format(time.DateTime), cmp.Or(l.Case, "-"), short(l))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintf(a.Stdout, "more: --after %s\n", app.Clean(p.Next))
		}
	})
}

type listingCmd struct {
	ID   string `arg:"" help:"The listing."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows one.
func (c *listingCmd) Run(a *app.App) error {
	return app.Call(a, "listing.show", sourcecalls.Listing{ID: c.ID}, c.JSON, oneListing(a))
}

// short is the cause in a table; a question mark says that it is only suspected.
func short(l listing.Listing) string {
	if l.Cause != "" && l.Named == "" {
		return l.Cause + "?"
	}
	return cmp.Or(l.Cause, "-")
}

// cause says what is behind a listing, and whether somebody said so.
func cause(l listing.Listing) string {
	switch {
	case l.Cause == "":
		return "cause not named"
	case l.Named == "":
		return "suspected cause " + l.Cause + " (listing cause names it, or another one)"
	}
	return "cause " + l.Cause + ", named by " + app.Clean(l.Named)
}

// oneListing prints a listing.
func oneListing(a *app.App) func(sourcecalls.ListingShown) {
	return func(s sourcecalls.ListingShown) {
		l := s.Listing
		fmt.Fprintf(a.Stdout, "%s: %s on %s, answers %s %s\n", l.ID, app.Clean(l.Subject), app.Clean(l.List), strings.Join(l.Codes, " "), app.Clean(l.Text))
		fmt.Fprintf(a.Stdout, "  case %s, %s\n", cmp.Or(l.Case, "none yet"), cause(l))
		for i, s := range l.Suspects {
			fmt.Fprintf(a.Stdout, "  suspect %d: %s, case %s\n", i+1, app.Clean(s.Account), cmp.Or(s.Case, "none"))
			for _, f := range s.Facts {
				fmt.Fprintf(a.Stdout, "    %s  %s  %s\n", f.At.Local().Format(time.DateTime), f.Kind, app.Clean(f.Text))
			}
		}
		switch {
		case !l.Asked.IsZero():
			fmt.Fprintf(a.Stdout, "  removal was asked for by %s at %s: %s\n", app.Clean(l.AskedBy), l.Asked.Local().Format(time.DateTime), app.Clean(l.Removal))
		case s.MayAsk:
			fmt.Fprintf(a.Stdout, "  removal may be asked for: %s\n", app.Clean(l.Removal))
		default:
			fmt.Fprintf(a.Stdout, "  removal is not asked for yet: %s\n", app.Clean(s.WhyNot))
		}
		if !l.Sent.IsZero() {
			fmt.Fprintf(a.Stdout, "  the notice was sent at %s\n", l.Sent.Local().Format(time.DateTime))
		}
		for line := range strings.Lines(l.Draft) {
			fmt.Fprintf(a.Stdout, "  | %s\n", app.Clean(strings.TrimRight(line, "\n")))
		}
	}
}

type causeCmd struct {
	ID   string `arg:"" help:"The listing."`
	Case string `arg:"" help:"The case about what is behind it."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run names the cause.
func (c *causeCmd) Run(a *app.App) error {
	return app.Call(a, "listing.cause", sourcecalls.Listing{ID: c.ID, Cause: c.Case}, c.JSON, oneListing(a))
}

type sendCmd struct {
	ID   string `arg:"" help:"The listing."`
	Text string `help:"File with a text in place of the draft; - is the standard input."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run sends the notice.
func (c *sendCmd) Run(a *app.App) error {
	q := sourcecalls.Listing{ID: c.ID}
	if c.Text != "" {
		b, err := readFile(a, c.Text)
		if err != nil {
			return err
		}
		q.Text = string(b)
	}
	return app.Call(a, "listing.send", q, c.JSON, oneListing(a))
}

type removalCmd struct {
	ID   string `arg:"" help:"The listing."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run asks, or says why not.
func (c *removalCmd) Run(a *app.App) error {
	return app.Call(a, "listing.removal", sourcecalls.Listing{ID: c.ID}, c.JSON, oneListing(a))
}
