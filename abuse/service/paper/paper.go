// Package paper writes the report of a month down: as rows for a spreadsheet, and as a page to
// print, in the languages of the desk.
package paper

import (
	"embed"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/abuse/service/book"
	"postern/abuse/service/credit"
	"postern/abuse/service/month"
	"postern/internal/said"
)

// ErrUnknown says that there is no such language or kind of rows. It is wrapped.
var ErrUnknown = said.New("paper.there-is-no-such-thing-to-write", "there is no such thing to write")

// CSV writes the figures, one a row. An empty value is one without data.
func CSV(w io.Writer, r month.Report) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"month", "figure", "clause", "value", "unit", "bound", "limit", "state", "remedy", "formula", "made_of", "note", "credit"}}
	owed := map[string]string{}
	for _, c := range r.Credits {
		owed[c.Figure] = c.ID + " " + string(c.State)
		if c.Contradicted != nil {
			owed[c.Figure] += ", contradicted"
		}
	}
	for _, f := range r.Figures {
		remedy := ""
		if f.State == month.Broken {
			remedy = f.Remedy
		}
		rows = append(rows, []string{r.Month, f.ID, f.Clause, number(f.Value), f.Unit, f.Bound, number(f.Limit), string(f.State), remedy, f.Formula, parts(f.Of), f.Note, owed[f.ID]})
	}
	return write(out, rows)
}

func write(out *csv.Writer, rows [][]string) error {
	for _, r := range rows {
		for i := range r {
			r[i] = inert(r[i])
		}
	}
	return out.WriteAll(rows)
}

// inert keeps a spreadsheet from taking text of strangers for a formula.
func inert(text string) string {
	if text == "" || !strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return text
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return text
	}
	return "'" + text
}

func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}

func parts(of map[string]float64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		out = append(out, name+"="+strconv.FormatFloat(of[name], 'f', -1, 64))
	}
	return strings.Join(out, " ")
}

// Kinds of rows that stand behind the figures.
func Kinds() []string {
	return []string{"outages", "minutes", "faults", "exclusions", "tenants", "lists", "proofs", "credits"}
}

// outages are those of the doors, or their failed minutes one by one.
func outages(all []month.Outage, minutes bool, add func(values ...any)) {
	if minutes {
		add("group", "minute", "counts", "exclusion", "why")
	} else {
		add("group", "from", "to", "minutes", "counts", "exclusion", "why")
	}
	for _, o := range all {
		if !minutes {
			add(o.Group, o.From, o.To, o.Minutes, o.Counted, o.Excluded, o.Why)
			continue
		}
		for at := o.From; at.Before(o.To); at = at.Add(time.Minute) {
			add(o.Group, at, o.Counted, o.Excluded, o.Why)
		}
	}
}

// credits are those of the month.
func credits(all []credit.Credit, add func(values ...any)) {
	add("id", "figure", "clause", "kind", "value", "unit", "bound", "limit", "exclusions", "state", "drafted", "asked_by", "decided_by", "decided_at", "why", "contradicted", "value_now")
	for _, c := range all {
		asked, since, now := "", time.Time{}, (*float64)(nil)
		if c.Asked != nil {
			asked = c.Asked.By
		}
		if c.Contradicted != nil {
			since, now = c.Contradicted.At, c.Contradicted.Value
		}
		add(c.ID, c.Figure, c.Clause, c.Kind, c.Value, c.Unit, c.Bound, c.Limit, strings.Join(c.Exclusions, " "), c.State, c.At, asked, c.Decided, c.When, c.Why, since, now)
	}
}

// Rows writes what stands behind the figures, one kind of it.
func Rows(w io.Writer, r month.Report, kind string) error {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	var rows [][]string
	add := func(values ...any) {
		var row []string
		for _, v := range values {
			switch v := v.(type) {
			case time.Time:
				row = append(row, at(v))
			case *float64:
				row = append(row, number(v))
			default:
				row = append(row, fmt.Sprint(v))
			}
		}
		rows = append(rows, row)
	}
	switch kind {
	case "outages", "minutes":
		outages(r.Outages, kind == "minutes", add)
	case "faults":
		add("node", "key", "begin", "end", "last_seen", "lost", "summary")
		for _, f := range r.Faults {
			add(f.Node, f.Key, f.Begin, f.End, f.Seen, f.Lost, f.Summary)
		}
	case "exclusions":
		add("id", "class", "from", "to", "doors", "planned", "state", "proposed_by", "at", "decided_by", "decided_at", "reason", "why")
		for _, e := range r.Exclusions {
			add(e.ID, e.Class, e.From, e.To, strings.Join(e.Groups, " "), e.Planned, e.State, e.By, e.At, e.Decided, e.When, e.Reason, e.Why)
		}
	case "tenants":
		add("domain", "way", "messages", "sum_ms", "mean_s", "max_s", "late", "held", "state")
		for _, t := range r.Tenants {
			add(t.Domain, t.Way, t.Delay.Count, t.Delay.Sum, t.Mean, t.Max, t.Delay.Over, t.Delay.Held, t.State)
		}
	case "lists":
		add("id", "list", "published", "imported", "applied", "due", "dropped")
		for _, l := range r.Lists {
			add(l.ID, l.List, l.Published, l.Imported, l.Applied, l.Due, l.Dropped)
		}
	case "proofs":
		add("id", "run", "at", "ok", "records", "error")
		for _, p := range r.Proofs {
			add(p.ID, p.Run, p.At, p.OK, p.Records, p.Error)
		}
	case "credits":
		credits(r.Credits, add)
	default:
		return said.Errorf("paper.is-none-of", "%w: %.40q is none of %s", "kind", ErrUnknown, "kind2", kind, "kinds", strings.Join(Kinds(), ", "))
	}
	return write(csv.NewWriter(w), rows)
}

//go:embed page.html words.json
var files embed.FS

// page is what the template sees.
type page struct {
	month.Report
	zone    *time.Location
	Tag     string
	words   words
	english words
}

// W is a word of the language.
func (p page) W(key string) string {
	if w := p.words.Head[key]; w != "" {
		return w
	}
	return p.english.Head[key]
}

// Name is that of a figure.
func (p page) Name(id string) string {
	if w := p.words.Figures[id]; w != "" {
		return w
	}
	if w := p.english.Figures[id]; w != "" {
		return w
	}
	return id
}

// Word is a state in words.
func (p page) Word(s month.State) string { return p.words.States[s] }

// Value is a figure's value for people: three decimals, and never one that is not there.
func (p page) Value(f month.Figure) string {
	if f.Value == nil {
		return p.Word(month.NoData)
	}
	return shorten(*f.Value) + " " + f.Unit
}

// Owed is what a credit rests on: the value then, and the value now where it contradicts.
func (p page) Owed(c credit.Credit) string {
	text := p.Number(c.Value) + " " + c.Unit
	if o := c.Contradicted; o != nil {
		text += " (" + p.W("contradicted") + ": " + p.Number(o.Value) + " " + c.Unit + ", " + p.At(o.At) + ")"
	}
	return text
}

// Kind is a remedy in words.
func (p page) Kind(kind string) string {
	if w := p.W(kind); w != "" {
		return w
	}
	return kind
}

// Promise is the limit in words.
func (p page) Promise(f month.Figure) string {
	if f.Limit == nil {
		return ""
	}
	return p.W(f.Bound) + " " + strconv.FormatFloat(*f.Limit, 'g', -1, 64) + " " + f.Unit
}

// At is a time as the zone of the report has it.
func (p page) At(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(p.zone).Format("2006-01-02 15:04:05 -0700")
}

// Number is one of a table.
func (p page) Number(v *float64) string {
	if v == nil {
		return p.Word(month.NoData)
	}
	return shorten(*v)
}

// End is that of a fault.
func (p page) End(f book.Fault) string {
	if f.End.IsZero() {
		return p.W("stands")
	}
	return p.At(f.End)
}

// Class is the state as a class of the style.
func (p page) Class(s month.State) string { return strings.ReplaceAll(string(s), " ", "-") }

// Broken reports whether a promise was not kept.
func (p page) Broken(f month.Figure) bool { return f.State == month.Broken }

// shorten shows five decimals: as many as tell 99.99 % from what is a minute less.
func shorten(v float64) string {
	text := strconv.FormatFloat(v, 'f', 5, 64)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

// HTML writes a page that stands by itself, to be printed.
func HTML(w io.Writer, r month.Report, language string) error {
	all, err := languages()
	if err != nil {
		return err
	}
	words, ok := all[strings.ToLower(language)]
	if !ok {
		return said.Errorf("paper.the-language-is-none-of", "%w: the language %.20q is none of %s", "kind", ErrUnknown, "language", language, "languages", strings.Join(Languages(), ", "))
	}
	zone, err := time.LoadLocation(r.Zone)
	if err != nil {
		zone = time.UTC
	}
	t, err := template.ParseFS(files, "page.html")
	if err != nil {
		return err
	}
	return t.Execute(w, page{r, zone, words.Tag, words, all["en"]})
}
