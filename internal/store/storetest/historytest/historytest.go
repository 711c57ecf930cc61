// Package historytest holds the suite of what speaks for mail.
package historytest

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/filter/history"
)

// Store is a store whose marks can be waited for.
type Store interface {
	history.Store
	Sync(ctx context.Context) error
}

const day = 24 * time.Hour

// noon is the time the suite begins at.
func noon() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

// key is the nth key of a run.
func key(run, n uint32) (k history.Key) {
	binary.BigEndian.PutUint32(k[:], run)
	binary.BigEndian.PutUint32(k[4:], n)
	return k
}

type suite struct {
	*testing.T
	make func(testing.TB) Store
}

// Answers is the part of the suite for a store whose server forgets by a clock of its own;
// open makes an empty store.
func Answers(t *testing.T, open func(testing.TB) Store) {
	s := suite{t, open}
	t.Run("sums", s.sums)
	t.Run("model", s.model)
	t.Run("many keys", s.manyKeys)
	t.Run("side by side", s.sideBySide)
}

// Run runs the suite; open makes an empty store.
func Run(t *testing.T, open func(testing.TB) Store) {
	Answers(t, open)
	s := suite{t, open}
	t.Run("expiry", s.expiry)
	t.Run("clock jumps", s.clockJumps)
	t.Run("restart of a jumped clock", s.doubtfulStart)
}

func mark(t testing.TB, s Store, marks ...history.Mark) {
	t.Helper()
	if err := s.Mark(t.Context(), marks); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func past(t testing.TB, s Store, now time.Time, back time.Duration, keys ...history.Key) []history.Past {
	t.Helper()
	var q []history.Question
	for _, k := range keys {
		q = append(q, history.Question{Key: k, Since: now.Add(-back)})
	}
	got, err := s.Past(t.Context(), q, now)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (s suite) sums(t *testing.T) {
	st, now := s.make(t), noon()
	a, b := key(1, 1), key(1, 2)
	of := func(k history.Key, bad bool, ago time.Duration) history.Mark {
		return history.Mark{Key: k, Bad: bad, At: now.Add(-ago), Keep: 90 * day}
	}
	mark(t, st, of(a, false, 40*day), of(a, false, day), of(b, true, 0), of(a, false, day), of(a, true, 2*day))
	mark(t, st, of(a, false, 0), of(a, false, 30*day))
	for _, c := range []struct {
		back time.Duration
		want history.Past
	}{
		{90 * day, history.Past{Good: 5, Bad: 1, Days: 4}},
		{40 * day, history.Past{Good: 5, Bad: 1, Days: 4}},
		{39 * day, history.Past{Good: 4, Bad: 1, Days: 3}},
		{day, history.Past{Good: 3, Days: 2}},
		{0, history.Past{Good: 1, Days: 1}},
	} {
		want := []history.Past{{Bad: 1}, c.want, {}, c.want}
		if d := cmp.Diff(want, past(t, st, now, c.back, b, a, key(9, 9), a)); d != "" {
			t.Errorf("%v back:\n%s", c.back, d)
		}
	}
	if got, err := st.Past(t.Context(), nil, now); err != nil || len(got) != 0 {
		t.Errorf("no question: %v, %v", got, err)
	}
	// Marks dated by a clock that was wrong do not count before their day.
	mark(t, st, of(b, false, -3650*day), of(b, false, -2*day), of(b, false, -day))
	if got := past(t, st, now, 90*day, b); got[0] != (history.Past{Good: 1, Bad: 1, Days: 1}) {
		t.Errorf("with marks of a wrong clock: %+v", got[0])
	}
}

// model compares a store with one that remembers every mark.
func (s suite) model(t *testing.T) {
	st, run := s.make(t), uint32(100)
	rapid.Check(t, func(rt *rapid.T) {
		run++
		now := noon()
		type one struct {
			n    uint32
			bad  bool
			days int
		}
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) one {
			return one{rapid.Uint32Range(0, 3).Draw(t, "key"), rapid.Bool().Draw(t, "bad"), rapid.IntRange(0, 89).Draw(t, "days ago")}
		}), 0, 60).Draw(rt, "marks")
		cut := rapid.IntRange(0, len(all)).Draw(rt, "first batch")
		back := rapid.IntRange(0, 89).Draw(rt, "back")
		for _, part := range [][]one{all[:cut], all[cut:]} {
			var marks []history.Mark
			for _, o := range part {
				marks = append(marks, history.Mark{Key: key(run, o.n), Bad: o.bad, At: now.Add(-time.Duration(o.days) * day), Keep: 90 * day})
			}
			mark(t, st, marks...)
		}
		for n := range uint32(4) {
			var want history.Past
			seen := map[int]bool{}
			for _, o := range all {
				switch {
				case o.n != n || o.days > back:
				case o.bad:
					want.Bad++
				default:
					want.Good++
					seen[o.days] = true
				}
			}
			want.Days = len(seen)
			if got := past(t, st, now, time.Duration(back)*day, key(run, n)); got[0] != want {
				rt.Fatalf("key %d, %d days back: %+v, want %+v", n, back, got[0], want)
			}
		}
	})
}

// manyKeys asks for as many keys as a message may have recipients.
func (s suite) manyKeys(t *testing.T) {
	st, now := s.make(t), noon()
	var marks []history.Mark
	var keys []history.Key
	for n := range uint32(1000) {
		keys = append(keys, key(2, n))
		if n%3 == 0 {
			marks = append(marks, history.Mark{Key: key(2, n), At: now, Keep: day})
		}
	}
	mark(t, st, marks...)
	for i, p := range past(t, st, now, day, keys...) {
		if want := 1 - min(i%3, 1); p.Good != want {
			t.Fatalf("key %d: %+v", i, p)
		}
	}
}

// sideBySide marks one key from many places while others read and prune.
func (s suite) sideBySide(t *testing.T) {
	st, now := s.make(t), noon()
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for range 25 {
				mark := history.Mark{Key: key(6, 1), Bad: n == 0, At: now, Keep: day}
				if err := st.Mark(t.Context(), []history.Mark{mark}); err != nil {
					t.Error(err)
				}
				if _, err := st.Past(t.Context(), []history.Question{{Key: mark.Key, Since: now}}, now); err != nil {
					t.Error(err)
				}
				if _, err := st.Prune(t.Context(), now); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := st.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := past(t, st, now, day, key(6, 1)); got[0] != (history.Past{Good: 75, Bad: 25, Days: 1}) {
		t.Errorf("%+v", got[0])
	}
}

// prune calls Prune every hour for as long as given and returns how many keys went.
func prune(t *testing.T, st Store, from time.Time, long time.Duration) (n int) {
	t.Helper()
	for at := time.Duration(0); at <= long; at += time.Hour {
		gone, err := st.Prune(t.Context(), from.Add(at))
		if err != nil {
			t.Fatal(err)
		}
		n += gone
	}
	return n
}

func (s suite) expiry(t *testing.T) {
	st, now := s.make(t), noon()
	mark(t, st,
		history.Mark{Key: key(3, 1), At: now, Keep: 2 * day},
		history.Mark{Key: key(3, 2), At: now, Keep: 4 * day},
		history.Mark{Key: key(3, 3), At: now, Keep: 2 * day})
	mark(t, st, history.Mark{Key: key(3, 3), At: now.Add(2 * day), Keep: 2 * day})
	if n := prune(t, st, now, 2*day); n != 0 {
		t.Errorf("%d keys forgotten before their time", n)
	}
	if n := prune(t, st, now.Add(2*day), day); n != 1 {
		t.Errorf("%d keys forgotten, want the one nobody renewed", n)
	}
	at := now.Add(3 * day)
	for i, want := range []int{0, 1, 2} {
		if got := past(t, st, at, 90*day, key(3, uint32(i+1))); got[0].Good != want {
			t.Errorf("key %d: %+v, want %d good", i+1, got[0], want)
		}
	}
	if n := prune(t, st, at, 2*day); n != 2 {
		t.Errorf("%d keys forgotten at the end, want 2", n)
	}
}

// clockJumps sets the clock about: nothing is forgotten before a clock has run on for a day.
func (s suite) clockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"ten years": 3650 * day, "back ten years": -3650 * day, "two days": 2 * day} {
		st, now := s.make(t), noon()
		mark(t, st, history.Mark{Key: key(4, 1), At: now, Keep: day}, history.Mark{Key: key(4, 2), At: now, Keep: 90 * day})
		prune(t, st, now, time.Hour)
		if n := prune(t, st, now.Add(jump), 20*time.Hour); n != 0 {
			t.Errorf("%s: %d keys forgotten", name, n)
		}
		if n := prune(t, st, now.Add(2*time.Hour), 20*time.Hour); n != 0 {
			t.Errorf("%s and set right: %d keys forgotten", name, n)
		}
		if got := past(t, st, now.Add(22*time.Hour), 90*day, key(4, 1), key(4, 2)); got[0].Good != 1 || got[1].Good != 1 {
			t.Errorf("%s: after it %+v", name, got)
		}
	}
	// A host that was asleep for two days is believed after one more.
	st, now := s.make(t), noon()
	mark(t, st, history.Mark{Key: key(4, 1), At: now, Keep: day})
	prune(t, st, now, 0)
	if n := prune(t, st, now.Add(2*day+time.Hour), 23*time.Hour); n != 0 {
		t.Errorf("asleep: %d keys forgotten at once", n)
	}
	if n := prune(t, st, now.Add(3*day+time.Hour), 0); n != 1 {
		t.Errorf("asleep: %d keys forgotten after a day, want 1", n)
	}
}

// doubtfulStart keeps setting the clock between two times: neither is believed.
func (s suite) doubtfulStart(t *testing.T) {
	st, now := s.make(t), noon()
	mark(t, st, history.Mark{Key: key(5, 1), At: now, Keep: day})
	prune(t, st, now, 0)
	for i := range 40 {
		at := now.Add(100 * day)
		if i%2 == 1 {
			at = now.Add(1000 * day)
		}
		if n := prune(t, st, at.Add(time.Duration(i)*time.Hour), 0); n != 0 {
			t.Fatalf("round %d: %d keys forgotten", i, n)
		}
	}
}
