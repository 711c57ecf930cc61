package search_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/quarantine"
	"postern/quarantine/search"
)

const day = 24 * time.Hour

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func points(hundredths filter.Score) *filter.Score { return &hundredths }

func TestParse(t *testing.T) {
	for text, want := range map[string]quarantine.Query{
		"":                         {},
		"  invoice  paid ":         {Words: []string{"invoice", "paid"}},
		`"two words" x`:            {Words: []string{"two words", "x"}},
		"from:A@Example.org":       {From: "a@example.org"},
		"from:<>":                  {From: "<>"},
		"from:*@example.org":       {From: "@example.org"},
		`to:"Ann <ann@x.example>"`: {To: "ann@x.example"},
		"symbol:virus state:held,RELEASED": {
			Symbol: "VIRUS", States: []quarantine.State{quarantine.Held, quarantine.Released}},
		"class:evidence policy:sales subject:hello": {Class: quarantine.Evidence, Policy: "sales", Words: []string{"hello"}},
		"since:2026-11-20 until:2026-11-21T08:30": {
			Since: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC)},
		"direction:OUTBOUND": {Direction: "outbound"},
		"score:5..10":        {AtLeast: points(500), AtMost: points(1000)},
		"score:>=7.5":        {AtLeast: points(750)},
		"score:>7.5":         {AtLeast: points(751)},
		"score:<-1":          {AtMost: points(-101)},
		"score:<=-1":         {AtMost: points(-100)},
		"score:3":            {AtLeast: points(300), AtMost: points(300)},
		"since:7d until:90m": {Since: start.Add(-7 * day), Until: start.Add(-90 * time.Minute)},
	} {
		got, err := search.Parse(text, start)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%q: %v\n%s", text, err, d)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"form:x":                  "no such field",
		"from:":                   "nothing stands",
		"from:nobody":             "no address",
		"state:gone":              `no state "gone"`,
		"state:provisional":       "no state",
		"class:x":                 "no such class",
		"since:yesterday":         "no time",
		"since:-5h":               "no time",
		"direction:up":            "inbound or outbound",
		"score:x":                 "no score",
		"score:>":                 "no score",
		"score:><1":               "no score",
		"score:NaN":               "no score",
		"score:1e300":             "no score",
		"score:1..":               "no score",
		`open "quote`:             "not closed",
		strings.Repeat("x", 3000): "at most",
	} {
		if _, err := search.Parse(text, start); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a b", `from:"x y"`, "since:1d", "state:held,", "to:<a@b>", "\xff:\x00", "subject:東京*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := search.Parse(text, start)
		if err != nil {
			return
		}
		for _, term := range search.Wanted(q.Words) {
			if term.Text == "" || strings.ContainsAny(term.Text, "\"*' \x00") || !utf8.ValidString(term.Text) {
				t.Errorf("term %q", term.Text)
			}
		}
	})
}

func TestTerms(t *testing.T) {
	for subject, want := range map[string][]string{
		"":                    nil,
		"Hello, WORLD hello!": {"hello", "world"},
		"Straße ÉTÉ Ｆｕｌｌ":     {"ete", "full", "strasse"},
		"v2.0 2026-11":        {"0", "11", "2026", "v2"},
		"東京x":                 {"x", "京", "東京"},
		"\xff\x00a":           {"a"},
	} {
		if d := cmp.Diff(want, search.Terms(subject)); d != "" && len(want)+len(search.Terms(subject)) > 0 {
			t.Errorf("%q: %s", subject, d)
		}
	}
	long := search.Terms(strings.Repeat("word"+strings.Repeat("x", 500)+" ", 5) + strings.Repeat("東京都", 500))
	if len(long) > 64 || slices.ContainsFunc(long, func(s string) bool { return utf8.RuneCountInString(s) > 64 }) {
		t.Errorf("%d terms", len(long))
	}
}

// FuzzTerms: every word of a subject finds it.
func FuzzTerms(f *testing.F) {
	for _, s := range []string{"Hello world", "東京の請求書", "Ärger ß ﬁ", "สวัสดี", "\u202eabc", "İstanbul"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		terms := search.Terms(subject)
		if len(terms) >= 60 {
			return // cut off
		}
		for _, term := range search.Wanted(strings.Fields(subject)) {
			if !slices.ContainsFunc(terms, func(s string) bool { return s == term.Text || term.Prefix && strings.HasPrefix(s, term.Text) }) {
				t.Errorf("%q is not found by %+v among %q", subject, term, terms)
			}
		}
	})
}
