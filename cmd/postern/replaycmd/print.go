package replaycmd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/app"
	"postern/filter"
	"postern/rules/replay"
)

// print writes what a person reads.
func (o *Answer) print(w io.Writer) {
	fmt.Fprintf(w, "rules %s -> %s\n", o.Rules[0], o.Rules[1])
	if o.Kept != nil {
		fmt.Fprintf(w, "the last %d days: features of %d of %d messages are kept", o.Days, o.Kept.Kept, o.Kept.Seen)
		if o.Kept.Dropped > 0 {
			fmt.Fprintf(w, ", those of %d were dropped", o.Kept.Dropped)
		}
		fmt.Fprintln(w)
		if !o.Since.IsZero() {
			fmt.Fprintf(w, "judged: %s to %s\n", o.Since.Local().Format(time.DateTime), o.Until.Local().Format(time.DateTime))
		}
	}
	fmt.Fprintf(w, "%d messages: %d known, %d not known\n", o.Messages, o.Known, o.NotKnown)
	fmt.Fprintf(w, "stricter: %s\nmilder:   %s\n", share(o.Stricter), share(o.Milder))
	for label, l := range map[string]*replay.Labelled{"ham": o.Ham, "spam": o.Spam} {
		if l != nil {
			fmt.Fprintf(w, "%s: %d messages; becomes wrong %s; becomes right %s\n", label, l.N, share(l.Worse), share(l.Better))
		}
	}
	for _, f := range o.Flips {
		fmt.Fprintf(w, "\n%s -> %s: %s\n", f.From, f.To, share(f.Count))
		t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		for _, e := range f.Examples {
			name := e.ID
			if e.Path != "" {
				name = e.Path
			}
			fmt.Fprintf(t, "  %s\t%s -> %s\t%s\n", app.Clean(name), e.Before, e.After, changed(e.Changed))
		}
		_ = t.Flush()
	}
	o.open(w)
}

// open says what could not be told.
func (o *Answer) open(w io.Writer) {
	if o.NoBody > 0 {
		fmt.Fprintf(w, "\n%d messages were refused before their body came and would be let in: nobody knows what they say\n", o.NoBody)
	}
	if len(o.Patterns) > 0 {
		fmt.Fprintf(w, "\nnot known, since what these patterns look at is not kept; judge a folder of mail instead:\n")
		for _, p := range o.Patterns {
			fmt.Fprintf(w, "  %s leaves %d messages open\n", app.Clean(p.Symbol), p.N)
		}
	}
	if o.Unlike > 0 {
		fmt.Fprintf(w, "\n%d messages were judged otherwise by the present rules when they came: the program has changed since\n", o.Unlike)
	}
	if o.Damaged > 0 {
		fmt.Fprintf(w, "\n%d blocks of features could not be read\n", o.Damaged)
	}
	if len(o.Off) > 0 {
		fmt.Fprintf(w, "\nswitched off under both: %s\n", app.Clean(strings.Join(o.Off, " ")))
	}
}

func share(c replay.Count) string {
	return fmt.Sprintf("%d = %.3f %% (95 %%: %.3f to %.3f)", c.N, 100*c.Share, 100*c.CI[0], 100*c.CI[1])
}

func changed(all []replay.Changed) string {
	var out []string
	for _, c := range all {
		word := app.Clean(c.Symbol) + " " + signed(c.Before) + " -> " + signed(c.After)
		switch c.Mark {
		case "new":
			word = app.Clean(c.Symbol) + " new " + signed(c.After)
		case "gone":
			word = app.Clean(c.Symbol) + " gone " + signed(c.Before)
		}
		out = append(out, word)
	}
	return strings.Join(out, ", ")
}

func signed(s filter.Score) string {
	if s < 0 {
		return s.String()
	}
	return "+" + s.String()
}
