package watch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// store is what a master does with beats.
type store struct {
	value int64
	run   string
}

func (s *store) beat(h *history, key string, now time.Time, err error, done bool) result {
	n := max(now.UnixMilli(), h.floor(key)+1)
	r := result{key: key, master: "m-" + key, was: s.value, run: s.run}
	if err == nil || done {
		s.value = max(n, s.value+1)
	}
	if r.wrote = s.value; err != nil {
		return result{key: key, master: r.master, err: err}
	}
	return r
}

var errSlow = errors.New("no answer in time")

// TestNoFalseAlarm beats for ten minutes, many times, while answers are slow, get lost after
// the write and the clock is set forward and back.
func TestNoFalseAlarm(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		h := newHistory()
		stores := map[string]*store{"a": {run: "1"}, "b": {run: "2"}, "c": {run: "3"}}
		now := time.Unix(1_800_000_000, 0)
		misses := 0
		for range 600 {
			now = now.Add(time.Second)
			if r.IntN(50) == 0 {
				now = now.Add(time.Duration(r.IntN(7200)-3600) * time.Second)
			}
			var results []result
			for key, s := range stores {
				var err error
				if misses < outage-1 && r.IntN(5) == 0 {
					err = errSlow
				}
				got := s.beat(h, key, now, err, r.IntN(2) == 0)
				if r.IntN(10) == 0 {
					got.run = "" // INFO did not come
				}
				results = append(results, got)
			}
			failed := false
			for _, got := range results {
				failed = failed || got.err != nil
			}
			if misses++; !failed {
				misses = 0
			}
			if seen := h.note(results); len(seen.why) > 0 || seen.back {
				t.Fatalf("seed %d: %+v", seed, seen)
			}
		}
		stores["b"].value = 0
		var results []result
		for key, s := range stores {
			results = append(results, s.beat(h, key, now, nil, true))
		}
		if seen := h.note(results); len(seen.why) != 1 || !seen.back {
			t.Fatalf("seed %d: emptied, and %+v", seed, seen)
		}
	}
}

func TestWhatIsSeen(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		change func(h *history, s *store)
		why    string
		back   bool
	}{
		"nothing":         {func(*history, *store) {}, "[]", false},
		"emptied":         {func(_ *history, s *store) { s.value = 0 }, "[m-k has lost our beat: it was emptied]", true},
		"an old dump":     {func(_ *history, s *store) { s.value = 5 }, "[m-k has our beat 5, which was 1800000000001: it went back]", true},
		"one beat lost":   {func(_ *history, s *store) { s.value--; s.run = "2" }, "[m-k has our beat 1800000000000, which was 1800000000001: it went back]", true},
		"another process": {func(_ *history, s *store) { s.run = "2" }, "[m-k is another process than before: a restart or a failover]", false},
		"two misses":      {func(h *history, _ *store) { miss(h, 2) }, "[]", false},
		"an outage":       {func(h *history, _ *store) { miss(h, 3) }, "[m-k is back after 3 beats that failed]", false},
		"nobody answered": {func(h *history, _ *store) {
			for range 4 {
				h.note(nil)
			}
		}, "[m-k is back after 4 beats that failed]", false},
		"a higher beat": {func(_ *history, s *store) { s.value += 1000 }, "[]", false},
	} {
		h, s := newHistory(), &store{run: "1"}
		for range 2 {
			h.note([]result{s.beat(h, "k", now, nil, true)})
		}
		c.change(h, s)
		seen := h.note([]result{s.beat(h, "k", now, nil, true)})
		if got := fmt.Sprint(seen.why); got != c.why || seen.back != c.back {
			t.Errorf("%s: %s, %v", name, got, seen.back)
		}
		if seen := h.note([]result{s.beat(h, "k", now, nil, true)}); len(seen.why) > 0 {
			t.Errorf("%s: said again: %v", name, seen.why)
		}
	}
}

func miss(h *history, n int) {
	for range n {
		h.note([]result{{key: "k", err: errSlow}})
	}
}

func TestKeysThatAreNoLongerUsedAreForgotten(t *testing.T) {
	h, s := newHistory(), &store{}
	now := time.Unix(1_800_000_000, 0)
	h.note([]result{s.beat(h, "a", now, nil, true), s.beat(h, "b", now, nil, true)})
	h.note([]result{s.beat(h, "b", now, nil, true), {key: "c", err: errSlow}})
	if len(h.beats) != 1 || h.beats["b"] == nil {
		t.Errorf("%d keys", len(h.beats))
	}
}

func TestRunID(t *testing.T) {
	for text, want := range map[string]string{
		"# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\ntcp_port:1\r\n": "abc",
		"# Server\r\nversion:2.9\r\n":                                      "",
		"":                                                                 "",
		"run_id:":                                                          "",
	} {
		if got := runID(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestHints(t *testing.T) {
	q := &hints{wake: make(chan struct{}, 1), due: map[string]bool{}}
	for range 1000 {
		q.add("list", "acct")
	}
	if got := fmt.Sprint(q.take()); got != "[acct list]" {
		t.Error(got)
	}
	if got := q.take(); len(got) != 0 {
		t.Error(got)
	}
}

func TestOneEventOfSeveralMasters(t *testing.T) {
	h, a, b := newHistory(), &store{run: "1"}, &store{run: "1"}
	now := time.Unix(1_800_000_000, 0)
	round := func(err error) sight {
		return h.note([]result{a.beat(h, "a", now, nil, true), b.beat(h, "b", now, err, false)})
	}
	round(nil)
	a.run, b.run = "2", "2"
	for range patience {
		if seen := round(errSlow); len(seen.why) > 0 {
			t.Fatal("told while another master is away: ", seen)
		}
	}
	if seen := round(nil); len(seen.why) != 2 {
		t.Error(seen)
	}
	a.run = "3"
	told := 0
	for range 2 * patience {
		if seen := round(errSlow); len(seen.why) > 0 {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times while one master stays away", told)
	}
	a.value = 0
	if seen := round(errSlow); len(seen.why) != 1 || !seen.back {
		t.Error("a loss waits: ", seen)
	}
}
