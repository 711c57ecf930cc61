package demo

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Row is one line of the table.
type Row struct {
	Sample Sample
	Answer Answer
	Where  string // where each copy is now
	Why    string
}

// AsExpected reports whether the answer and the place are what the sample says.
func (r Row) AsExpected() bool {
	return r.Answer.Code == r.Sample.Code && r.Where == r.Sample.Where
}

// Print writes the table and says how many rows were not as expected.
func Print(w io.Writer, rows []Row) (wrong int) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, " \tWHAT CAME IN\tFROM\tTO\tANSWER\tWHERE IT IS NOW\tWHY")
	for _, r := range rows {
		mark := "ok"
		if !r.AsExpected() {
			mark = "??"
			wrong++
		}
		from := r.Sample.From
		if r.Sample.Client != "" {
			from += " (" + r.Sample.Client + ")"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d %s\t%s\t%s\n", mark, r.Sample.Name, from, strings.Join(r.Sample.To, ", "), r.Answer.Code, short(r.Answer.Text, 60), r.Where, short(r.Why, 90))
	}
	_ = t.Flush()
	for _, r := range rows {
		if !r.AsExpected() {
			fmt.Fprintf(w, "\nnot as expected: %s: wanted %d and %q\n", r.Sample.Name, r.Sample.Code, r.Sample.Where)
		}
	}
	return wrong
}

func short(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return s
}
