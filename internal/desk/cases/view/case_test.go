package view_test

import (
	"slices"
	"testing"
	"time"

	"postern/internal/desk/cases/view"
	"postern/internal/desk/words"
)

var noon = time.Date(2026, 6, 8, 12, 0, 0, 0, time.UTC)

func clock(name string, start time.Time, lasts time.Duration) view.Clock {
	return view.Clock{Name: name, Start: start, Marks: [3]time.Time{start.Add(lasts / 2), start.Add(lasts * 8 / 10), start.Add(lasts)}}
}

func TestSteps(t *testing.T) {
	k := clock("T_first", noon, 10*time.Hour)
	for after, want := range map[time.Duration]string{
		0:                view.Calm,
		5*time.Hour - 1:  view.Calm,
		5 * time.Hour:    view.Half,
		8*time.Hour - 1:  view.Half,
		8 * time.Hour:    view.Soon,
		10*time.Hour - 1: view.Soon,
		10 * time.Hour:   view.Late,
		99 * time.Hour:   view.Late,
	} {
		if got := k.Step(noon.Add(after)); got != want {
			t.Errorf("after %s: %s, not %s", after, got, want)
		}
	}
}

// TestOwed: what keeps data is no work as long as anything else is owed.
func TestOwed(t *testing.T) {
	stopped, paused := clock("T_ack", noon, time.Minute), clock("T_result", noon, time.Hour)
	stopped.Stopped, paused.Paused = noon, noon
	data, first, later := clock("T_data", noon, time.Hour), clock("T_first", noon, 9*time.Hour), clock("T_review", noon, 10*time.Hour)
	for name, c := range map[string]struct {
		clocks []view.Clock
		want   string
	}{
		"none": {nil, ""}, "not those that stand": {[]view.Clock{stopped, paused}, ""}, "the first": {[]view.Clock{later, first}, "T_first"},
		"data last": {[]view.Clock{data, first}, "T_first"}, "data last, turned round": {[]view.Clock{first, data}, "T_first"}, "data alone": {[]view.Clock{data}, "T_data"},
	} {
		got := view.Case{Clocks: c.clocks, State: "TRIAGE"}.Owed(noon)
		if (got == nil) != (c.want == "") || got != nil && got.Name != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := (view.Case{Clocks: []view.Clock{first}, State: "CLOSED"}).Owed(noon); got != nil {
		t.Errorf("a closed case owes %+v", got)
	}
	if n := len(view.Case{Clocks: []view.Clock{stopped, paused, first}}.Counts(noon)); n != 2 {
		t.Errorf("%d clocks have not ended", n)
	}
}

// TestSentences: what is said to be proved follows the grade, and has its words in each
// language.
func TestSentences(t *testing.T) {
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	src := view.Source{IP: "203.0.113.7", Port: 51514, Time: noon, Login: "anna@example.com"}
	for name, c := range map[string]struct {
		c        view.Case
		is, not  []string
		harmless bool
	}{
		"P0": {
			view.Case{Grade: 0, Trust: 1},
			nil,
			[]string{"not-ours"},
			true,
		},
		"P1": {
			view.Case{Grade: 1, Trust: 0},
			[]string{"is-hint"},
			[]string{"not-account", "not-reporter", "not-votes"},
			true,
		},
		"P2": {
			view.Case{Grade: 2, Trust: 3, Votes: 50, Source: src},
			[]string{"is-sent", "is-token", "is-votes"},
			[]string{"not-content", "not-person"},
			false,
		},
		"P3": {
			view.Case{Grade: 3, Trust: 1, Votes: 100, Source: src},
			[]string{"is-sent", "is-content", "is-votes"},
			[]string{"not-whose", "not-person"},
			false,
		},
		"P4": {
			view.Case{Grade: 4, Trust: 1, Votes: 100, Source: src},
			[]string{"is-sent", "is-signed", "is-recipient", "is-votes"},
			[]string{"not-person"},
			false,
		},
		"replay": {
			view.Case{Grade: 4, Trust: 1, Class: "REPLAY", Source: src},
			[]string{"is-sent", "is-signed"},
			[]string{"not-replay", "not-person", "not-votes"},
			true,
		},
		"transplant": {
			view.Case{Grade: 1, Trust: 1, Class: "TRANSPLANT"},
			nil,
			[]string{"not-account", "not-transplant", "not-votes"},
			true,
		},
		"elsewhere": {view.Case{
			Kind:   "external",
			Trust:  1,
			Source: view.Source{IP: "192.0.2.1", Port: 25, Time: noon, Domain: "evil.example"},
		}, []string{"is-came", "is-signed-by"}, nil, false},
		"nowhere": {
			view.Case{Kind: "external", Trust: 1},
			nil,
			[]string{"not-source"},
			false,
		},
	} {
		keys := func(all []view.Said) (out []string) {
			for _, s := range all {
				out = append(out, s.Key[len("cases."):])
				for _, lang := range book.Languages() {
					l, _ := book.Language(lang)
					if text := l.Say(s.Key, s.Pairs...); text == s.Key || slices.Contains([]byte(text), '{') {
						t.Errorf("%s in %s: %s", s.Key, lang, text)
					}
				}
			}
			return out
		}
		if got := keys(c.c.Proven()); c.is != nil && !slices.Equal(got, c.is) {
			t.Errorf("%s: proven %v", name, got)
		}
		if got := keys(c.c.Unproven()); !slices.Equal(got, c.not) {
			t.Errorf("%s: not proven %v", name, got)
		}
		if c.c.Harmless() != c.harmless {
			t.Errorf("%s: harmless %v", name, c.c.Harmless())
		}
	}
}
