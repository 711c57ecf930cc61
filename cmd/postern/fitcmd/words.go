package fitcmd

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"postern/cmd/postern/app"
	"postern/rules/fit"
)

// file is the proposal as a rule file.
func (r *Report) file() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Scores proposed by `postern rules fit` from %d wanted and %d unwanted messages, rules %s.\nsymbols:\n", r.Before.Ham, r.Before.Spam, r.Rules)
	for _, s := range r.Symbols {
		if s.New != s.Old {
			fmt.Fprintf(&b, "  %s: {score: %.2f} # was %.2f; in %d wanted and %d unwanted messages\n", s.Symbol, s.New, s.Old, s.Ham, s.Spam)
		}
	}
	return b.Bytes()
}

func (r *Report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "OLD\tNEW\tWANTED\t\tUNWANTED\t\tSYMBOL\t")
	for _, s := range r.Symbols {
		fmt.Fprintf(w, "%.2f\t%.2f\t%d\t%s\t%d\t%s\t%s\t\n", s.Old, s.New, s.Ham, span(s.HamCI), s.Spam, span(s.SpamCI), s.Symbol)
	}
	_ = w.Flush()
	fmt.Fprintf(out, "%d symbols never fired here or are not fitted; the line is %.2f\n\n", r.Untouched, r.Line)
	figures(out, "as it is", r.Before)
	figures(out, "as proposed", r.After)
	figures(out, "by scores of others", r.Folds)
	fmt.Fprintln(out, "\neach source, judged by scores fitted without it:")
	for _, l := range r.Without {
		figures(out, l.Source+" as it is", l.Before)
		figures(out, l.Source+" as proposed", l.After)
		if l.Untaught != nil {
			figures(out, l.Source+" untaught", *l.Untaught)
		}
	}
	fmt.Fprintln(out)
	for _, kind := range slices.Sorted(maps.Keys(r.Flips)) {
		fmt.Fprintf(out, "%s instead: %d\n", kind, r.Flips[kind])
	}
	for _, f := range r.Examples {
		fmt.Fprintf(out, "  %6.2f -> %6.2f  %s\n", f.Old, f.New, app.Clean(f.Path))
	}
}

func span(ci [2]float64) string { return fmt.Sprintf("%.1f-%.1f %%", 100*ci[0], 100*ci[1]) }

func figures(out io.Writer, what string, f fit.Figures) {
	fmt.Fprintf(out, "%-36s wanted held %s, unwanted missed %s", what, share(f.Wrong, f.Ham, f.Ends), share(f.Missed, f.Spam, f.Misses))
	if f.Area > 0 {
		fmt.Fprintf(out, ", AUC %.4f", f.Area)
	}
	for _, p := range f.At {
		fmt.Fprintf(out, ", %.1f %% missed at %.1f %%", 100*p.Missed, 100*p.Ham)
	}
	fmt.Fprintln(out)
}

func share(k, n int, ci [2]float64) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprintf("%d of %d = %.2f %% (%.2f to %.2f)", k, n, 100*float64(k)/float64(n), 100*ci[0], 100*ci[1])
}
