package phase_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
)

// kind writes down what a Step asks of it, and fails where it is told to.
type kind struct {
	said []string
	fail string
}

var errAway = errors.New("the store is away")

func (k *kind) does(what string, ids ...string) error {
	k.said = append(k.said, strings.TrimSpace(what+" "+strings.Join(ids, ",")))
	if k.fail == what {
		return errAway
	}
	return nil
}

func (k *kind) work() phase.Work {
	of := func(what string) func(context.Context, []string) error {
		return func(_ context.Context, ids []string) error { return k.does(what, ids...) }
	}
	return phase.Work{
		Ends: func(context.Context) error { return k.does("ends") },
		Live: func() []string { return []string{"open"} }, Waiting: func() []string { return []string{"new"} }, Known: func() []string { return []string{"open", "ended"} },
		Bring: of("bring"), Compare: of("compare"), Entomb: of("entomb"),
	}
}

// What is due comes first: ends, for as long as other nodes may bring theirs, then what is open after the grace, then what was never there;
// the rest is looked at a few at a time. What failed is done again by the next Step.
func TestStep(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	o := phase.Options{Grace: grace, Now: func() time.Time { return now }}.Filled()
	j, err := journal.Open(journal.Options{Dir: filepath.Join(t.TempDir(), "j"), Now: o.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	p := phase.New(o, j, "x")
	step := func(fail string, want ...string) {
		t.Helper()
		k := &kind{fail: fail}
		err := p.Step(t.Context(), k.work())
		if !slices.Equal(k.said, want) || (fail != "") != errors.Is(err, errAway) {
			t.Errorf("%q: %q, %v\nwant %q", fail, k.said, err, want)
		}
	}
	scrub := []string{"compare open,ended", "entomb open,ended"}
	step("ends", "ends")
	step("", append([]string{"ends", "bring new"}, scrub...)...)
	now = now.Add(grace)
	step("bring", "ends", "bring open")
	step("", append([]string{"ends", "bring open", "bring new"}, scrub...)...)
	now = now.Add(grace)
	step("", append([]string{"bring new"}, scrub...)...)
	step("compare", append([]string{"bring new"}, scrub...)...) // ends are marked all the same
	step("entomb", append([]string{"bring new"}, scrub...)...)
	p.Lost(t.Context(), "flush")
	step("ends", "ends")
	step("", append([]string{"ends", "bring new"}, scrub...)...)
	now = now.Add(grace)
	step("", append([]string{"ends", "bring open", "bring new"}, scrub...)...)
	now = now.Add(grace)
	step("", append([]string{"bring new"}, scrub...)...)
}

// A store that knows nothing asks nothing.
func TestStepOfNothing(t *testing.T) {
	o := phase.Options{}.Filled()
	j, err := journal.Open(journal.Options{Dir: filepath.Join(t.TempDir(), "j"), Now: o.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	k := &kind{}
	w := k.work()
	none := func() []string { return nil }
	w.Live, w.Waiting, w.Known = none, none, none
	p := phase.New(o, j, "x")
	for range 2 {
		if err := p.Step(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(k.said, []string{"ends", "ends"}) { // others may bring theirs later
		t.Errorf("%q", k.said)
	}
}
