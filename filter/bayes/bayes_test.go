package bayes_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/filter"
	"postern/filter/bayes"
	"postern/filter/bayes/token"
	"postern/internal/mime"
)

// store is counts in memory.
type store struct {
	counts map[uint64]bayes.Count
	asked  int
	err    error
}

func (s *store) Counts(_ context.Context, tokens []uint64) ([]bayes.Count, error) {
	s.asked += len(tokens)
	out := make([]bayes.Count, len(tokens))
	for i, t := range tokens {
		out[i] = s.counts[t]
	}
	return out, s.err
}

func (s *store) Apply(_ context.Context, changes []bayes.Change) error {
	for _, c := range changes {
		for _, t := range c.Tokens {
			n := s.counts[t]
			n.Add(c.Class, 1)
			s.counts[t] = n
		}
	}
	return s.err
}

func (s *store) Reset(context.Context) error { clear(s.counts); return s.err }

func (s *store) Size(context.Context) (int64, int64, error) { return int64(len(s.counts)), 0, s.err }

const (
	pills  = "Subject: cheap pills\r\n\r\nbuy cheap pills now from our best doctors without any prescription at all today\r\n"
	agenda = "Subject: agenda of monday\r\n\r\nplease find attached the agenda of our meeting about budgets and hiring next week\r\n"
)

func parse(text string) *mime.Tree { return mime.Bytes([]byte(text), mime.DefaultLimits()) }

func message(text string, to ...string) *filter.Message {
	m := &filter.Message{Parts: func() (*mime.Tree, error) { return parse(text), nil }}
	for _, a := range to {
		m.To = append(m.To, filter.Recipient{Address: a})
	}
	return m
}

// learn counts each of the two letters so often in a scope.
func learn(t testing.TB, r bayes.Reader, scope string, spam, ham string, n int) {
	t.Helper()
	for range n {
		err := r.Store.Apply(t.Context(), []bayes.Change{
			{Class: bayes.Spam, Tokens: r.Tokens(scope, r.Tokenizer.Of(parse(spam)))}, {Class: bayes.Ham, Tokens: r.Tokens(scope, r.Tokenizer.Of(parse(ham)))},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func reader() (bayes.Reader, *store) {
	s := &store{counts: map[uint64]bayes.Count{}}
	return bayes.Reader{Store: s, Tokenizer: token.Tokenizer{Key: token.Key{3}}}, s
}

func found(t testing.TB, c *bayes.Check, m *filter.Message) string {
	t.Helper()
	all, err := c.Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range all {
		out = append(out, strings.TrimSuffix(f.Symbol+" "+f.For, " "))
	}
	return strings.Join(out, ", ")
}

func TestCheck(t *testing.T) {
	for n, want := range map[int][2]string{
		0: {"", ""}, bayes.Least - 1: {"", ""}, bayes.Least: {"BAYES_95", "BAYES_05"}, bayes.Sure: {"BAYES_99", "BAYES_00"},
	} {
		r, _ := reader()
		learn(t, r, "", pills, agenda, n)
		c := &bayes.Check{Reader: r}
		if got := [2]string{found(t, c, message(pills)), found(t, c, message(agenda))}; got != want {
			t.Errorf("%d learned: %q, want %q", n, got, want)
		}
		if got := found(t, c, message("Subject: quite unlike\r\n\r\nnichts davon kennt er bisher, weder gut noch schlecht, kein einziges Wort\r\n")); n >= bayes.Least && got != bayes.Bayes50 {
			t.Errorf("%d learned: of what is unlike all it says %q", n, got)
		}
	}
}

func TestScopes(t *testing.T) {
	r, _ := reader()
	learn(t, r, "a.example", agenda, pills, bayes.Sure) // who sells pills sees it the other way
	c := &bayes.Check{Reader: r, Scope: func(d string) string {
		if d == "a.example" || d == "b.example" {
			return d
		}
		return ""
	}}
	for want, to := range map[string][]string{
		"BAYES_00": {"x@A.example"}, "": {"x@b.example", "y@c.example"}, "BAYES_00 x@a.example": {"x@a.example", "y@c.example"},
	} {
		if got := found(t, c, message(pills, to...)); got != want {
			t.Errorf("to %q: %q, want %q", to, got, want)
		}
	}
	learn(t, r, "", pills, agenda, 3*bayes.Sure) // what all say counts beside what one domain says
	want := "BAYES_95 x@a.example, BAYES_99 y@c.example"
	if got := found(t, c, message(pills, "x@a.example", "y@c.example")); !strings.HasSuffix(got, "BAYES_99 y@c.example") || strings.Contains(got, "BAYES_00") {
		t.Errorf("both: %q, want about %q", got, want)
	}
}

func TestCannotTell(t *testing.T) {
	r, s := reader()
	learn(t, r, "", pills, agenda, bayes.Sure)
	c := &bayes.Check{Reader: r}
	s.err = errors.New("away")
	var plain filter.PlainError
	if got, err := c.Check(t.Context(), message(pills)); !errors.As(err, &plain) || len(got) > 0 {
		t.Errorf("a store that is away: %v, %v", got, err)
	}
	m := &filter.Message{Parts: func() (*mime.Tree, error) { return nil, errors.New("no") }}
	if _, err := c.Check(t.Context(), m); !errors.As(err, &plain) {
		t.Errorf("a message that cannot be read: %v", err)
	}
}

func TestCache(t *testing.T) {
	s := &store{counts: map[uint64]bayes.Count{1: {Spam: 1}}}
	now := time.Unix(1000, 0)
	c := bayes.NewCache(s, func() time.Time { return now })
	ask := func(want ...int) {
		t.Helper()
		got, err := c.Counts(t.Context(), []uint64{1, 2})
		if err != nil || got[0].Spam != want[0] || got[1].Spam != want[1] || s.asked != want[2] {
			t.Errorf("%v, %v, asked for %d; want %v", got, err, s.asked, want)
		}
	}
	ask(1, 0, 2)
	ask(1, 0, 2)
	s.counts[1] = bayes.Count{Spam: 5} // by another node
	ask(1, 0, 2)
	now = now.Add(bayes.Fresh)
	ask(5, 0, 4)
	if err := c.Apply(t.Context(), []bayes.Change{{Class: bayes.Spam, Tokens: []uint64{2}}}); err != nil {
		t.Fatal(err)
	}
	ask(5, 1, 6)
	now = now.Add(-time.Hour) // a clock set back keeps nothing for an hour
	ask(5, 1, 8)
	s.err = errors.New("away")
	ask(5, 1, 8)
	if _, err := c.Counts(t.Context(), []uint64{9}); err == nil {
		t.Error("an error is kept back")
	}
	if err := c.Reset(t.Context()); err == nil {
		t.Error("an error is kept back")
	}
	many := make([]uint64, bayes.MaxCached+10)
	for i := range many {
		many[i] = uint64(i + 100)
	}
	s.err, s.asked = nil, 0
	for range 2 {
		if _, err := c.Counts(t.Context(), many[:bayes.MaxCached-1]); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Counts(t.Context(), many[bayes.MaxCached-1:]); err != nil {
			t.Fatal(err)
		}
	}
	if s.asked <= len(many) {
		t.Errorf("asked for %d: the cache has no bound", s.asked)
	}
}

// tokens are words for so many counts.
func tokens(counts []bayes.Count) []uint64 { return make([]uint64, len(counts)) }

func TestCombine(t *testing.T) {
	all := bayes.Count{Spam: 100, Ham: 300}
	same := func(n int, c bayes.Count) []bayes.Count { return slices.Repeat([]bayes.Count{c}, n) }
	for name, c := range map[string]struct {
		counts   []bayes.Count
		low, top float64
	}{
		"nothing":        {nil, 0.5, 0.5},
		"even for sizes": {same(50, bayes.Count{Spam: 10, Ham: 30}), 0.5, 0.5},
		"unknown":        {same(50, bayes.Count{}), 0.5, 0.5},
		"spam":           {same(300, bayes.Count{Spam: 20}), 0.99, 1},
		"ham":            {same(300, bayes.Count{Ham: 60}), 0, 0.01},
		"both":           {append(same(50, bayes.Count{Spam: 20}), same(50, bayes.Count{Ham: 60})...), 0.45, 0.55},
		"one word":       {same(1, bayes.Count{Spam: 100}), 0.5, 0.8},
		"wrong counts":   {same(50, bayes.Count{Spam: -5, Ham: 5}), 0, 0.5},
	} {
		if j := bayes.Combine(tokens(c.counts), c.counts, all); j.P < c.low || j.P > c.top {
			t.Errorf("%s: %v, want %v to %v", name, j, c.low, c.top)
		}
	}
	if j := bayes.Combine(tokens(same(50, bayes.Count{})), same(50, bayes.Count{Spam: 5}), bayes.Count{Spam: 5}); j.P != 0.5 {
		t.Errorf("with one class alone: %v", j)
	}
}

// TestCombineHolds: whatever the counts and their order, P is a probability, the same for
// the same counts, and turns round with the classes.
func TestCombineHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := bayes.Count{Spam: rapid.IntRange(1, 1000).Draw(t, "spam"), Ham: rapid.IntRange(1, 1000).Draw(t, "ham")}
		counts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) bayes.Count {
			return bayes.Count{Spam: rapid.IntRange(0, all.Spam).Draw(t, "s"), Ham: rapid.IntRange(0, all.Ham).Draw(t, "h")}
		}), 0, 600).Draw(t, "counts")
		j := bayes.Combine(tokens(counts), counts, all)
		if !(j.P >= 0 && j.P <= 1) || math.IsNaN(j.Lean) {
			t.Fatalf("%v", j)
		}
		turned := slices.Clone(counts)
		slices.Reverse(turned)
		if again := bayes.Combine(tokens(turned), turned, all); again != j {
			t.Fatalf("%v in another order is %v", j, again)
		}
		for i, c := range turned {
			turned[i] = bayes.Count{Spam: c.Ham, Ham: c.Spam}
		}
		if back := bayes.Combine(tokens(turned), turned, bayes.Count{Spam: all.Ham, Ham: all.Spam}); math.Abs(back.P+j.P-1) > 1e-9 && len(counts) < 400 {
			t.Fatalf("%v turned round is %v", j, back)
		}
	})
}

func TestBand(t *testing.T) {
	sure := bayes.Count{Spam: bayes.Sure, Ham: bayes.Sure}
	for p, want := range map[float64]string{1: "BAYES_99", 0.99: "BAYES_99", 0.98: "BAYES_95", 0.8: "BAYES_80", 0.5: "BAYES_50", 0.2: "BAYES_20", 0.05: "BAYES_05", 0.01: "BAYES_00", 0: "BAYES_00"} {
		if got := bayes.Band(bayes.Judgement{P: p, Used: 100}, sure); got != want {
			t.Errorf("%v is %s, want %s", p, got, want)
		}
	}
	if got := bayes.Band(bayes.Judgement{P: 1, Used: 3}, sure); got != bayes.Bayes50 {
		t.Errorf("of three words it says %s", got)
	}
}

func TestClass(t *testing.T) {
	for _, c := range []bayes.Class{bayes.None, bayes.Spam, bayes.Ham} {
		if got, ok := bayes.ParseClass(c.String()); got != c || !ok {
			t.Errorf("%v is %v", c, got)
		}
	}
	if _, ok := bayes.ParseClass("junk"); ok {
		t.Error("junk is a class")
	}
}
