package watch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// outage is how many beats in a row fail before the store counts as having been away: a few
// slow answers are not worth a recovery.
const outage = 3

// result is what a beat showed.
type result struct {
	key, master string
	was, wrote  int64  // the beat that was there, and the one that is now
	run         string // id of the process, "" when it may not be asked
	err         error
}

// beat is what is known of a key.
type beat struct {
	acknowledged int64 // what we know was written; more may have been
	run          string
	misses       int
}

// patience is how many beats wait for the last master that fails, so that one event of several
// masters is told once.
const patience = 10

// history is what has been acknowledged, by key, and what is not yet told.
type history struct {
	beats  map[string]*beat
	why    []string
	waited int
}

func newHistory() *history { return &history{beats: map[string]*beat{}} }

func (h *history) floor(key string) int64 {
	if b := h.beats[key]; b != nil {
		return b.acknowledged
	}
	return 0
}

// sight is what a round of beats showed.
type sight struct {
	why  []string // the store may lack something
	back bool     // it does: a beat is gone, or older than it was
}

// note compares the beats of a round with what is known. Without results all are missed.
func (h *history) note(results []result) (s sight) {
	slices.SortFunc(results, func(a, b result) int { return cmp.Compare(a.key, b.key) })
	if len(results) == 0 {
		for _, b := range h.beats {
			b.misses++
		}
		return s
	}
	kept, failed := map[string]bool{}, false
	for _, r := range results {
		kept[r.key] = true
		b := h.beats[r.key]
		failed = failed || r.err != nil
		switch {
		case b == nil && r.err == nil:
			h.beats[r.key] = &beat{acknowledged: r.wrote, run: r.run}
		case b == nil:
		case r.err != nil:
			b.misses++
		default:
			why, back := b.compare(r)
			if why != "" {
				h.why = append(h.why, why)
			}
			s.back = s.back || back
			b.acknowledged, b.misses, b.run = r.wrote, 0, cmp.Or(r.run, b.run)
		}
	}
	maps.DeleteFunc(h.beats, func(key string, _ *beat) bool { return !kept[key] }) // its master has another one
	if h.waited++; len(h.why) == 0 {
		h.waited = 0
	} else if !failed || s.back || h.waited > patience {
		s.why, h.why, h.waited = h.why, nil, 0
	}
	return s
}

func (b *beat) compare(r result) (why string, back bool) {
	switch {
	case r.was == 0:
		return r.master + " has lost our beat: it was emptied", true
	case r.was < b.acknowledged:
		return fmt.Sprintf("%s has our beat %d, which was %d: it went back", r.master, r.was, b.acknowledged), true
	case b.run != "" && r.run != "" && b.run != r.run:
		return r.master + " is another process than before: a restart or a failover", false
	case b.misses >= outage:
		return fmt.Sprintf("%s is back after %d beats that failed", r.master, b.misses), false
	}
	return "", false
}
