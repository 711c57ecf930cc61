package fitcmd

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"postern/cmd/postern/judge"
	"postern/filter"
	"postern/internal/mime"
	"postern/rules"
	"postern/rules/fit"
)

// modelOf is a model of letters of so many senders, one of good mail and one of spam each.
func modelOf(senders int) *model {
	m := &model{terms: []fit.Term{{Symbol: "A", Score: 300, Max: 650}}}
	for i := range senders {
		for _, spam := range []bool{false, true} {
			l := fit.Letter{Spam: spam, Group: "source", Kin: i}
			if spam {
				l.Terms = []int{0}
				l.Rest = 200
			}
			m.letters = append(m.letters, l)
			m.mail = append(m.mail, &judge.Judged{Label: map[bool]string{true: "spam", false: "ham"}[spam]})
		}
	}
	return m
}

// TestFolds shows each letter once, and never its kin among those that judge it.
func TestFolds(t *testing.T) {
	for _, senders := range []int{0, 1, 3, 40} {
		m := modelOf(senders)
		sample, seen := m.part(func(int) bool { return true }), []int{}
		m.eachFold(sample, func(from, of []int) {
			for _, i := range of {
				if slices.ContainsFunc(from, func(j int) bool { return m.letters[j].Kin == m.letters[i].Kin }) {
					t.Errorf("letter %d is judged by its kin", i)
				}
			}
			seen = append(seen, of...)
		})
		slices.Sort(seen)
		if !slices.Equal(seen, sample) {
			t.Errorf("%d senders: %v of %v", senders, seen, sample)
		}
		if f := m.folded(sample, fit.Aim{Line: 700, Step: 50, Ham: 0.001}); f.Ham != senders || f.Spam != senders {
			t.Errorf("%d senders: %+v", senders, f)
		}
	}
}

// TestTie numbers letters of one sender alike.
func TestTie(t *testing.T) {
	m, r := modelOf(2), &reading{}
	for i, j := range m.mail {
		from := "a@one.example"
		if i == 2 {
			from = "b@two.example"
		}
		r.at(j, mime.Bytes([]byte("From: "+from+"\r\n\r\nhello\r\n"), mime.DefaultLimits()))
	}
	r.tie(m.mail, m.letters)
	if k := []int{m.letters[0].Kin, m.letters[1].Kin, m.letters[2].Kin, m.letters[3].Kin}; !slices.Equal(k, []int{0, 0, 1, 0}) {
		t.Errorf("%v", k)
	}
}

// TestReportNames names every figure that it counts.
func TestReportNames(t *testing.T) {
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	m, r := modelOf(30), &reading{}
	for _, j := range m.mail {
		r.at(j, mime.Bytes([]byte("Subject: x\r\n\r\nhello\r\n"), mime.DefaultLimits()))
	}
	aim := fit.Aim{Line: 700, Step: 50, Ham: 0.001}
	m.learn(r, set, aim)
	rep := m.report(aim, nil)
	var out bytes.Buffer
	rep.print(&out)
	for _, want := range []string{"as it is", "as proposed", "by scores of others", "source as proposed", "spam held instead: 30"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if got := rep.Symbols[slices.IndexFunc(rep.Symbols, func(p Proposal) bool { return p.Symbol == "A" })]; got.New < 5 || got.New > filter.Score(650).Points() {
		t.Errorf("%+v", got)
	}
}
