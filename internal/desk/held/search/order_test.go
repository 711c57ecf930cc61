package search_test

import (
	"net/url"
	"testing"

	"postern/internal/desk/held/search"
)

// A click on the head of a column that is sorted turns it round; on another one it sorts by that,
// what matters most first. Two clicks on either lead back.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		ask, time, timeNext, score, scoreNext string
		order                                 search.Order
	}{
		{ask: "", order: "", time: "descending", timeNext: "oldest", score: "none", scoreNext: "highest"},
		{ask: "oldest", order: "oldest", time: "ascending", timeNext: "", score: "none", scoreNext: "highest"},
		{ask: "highest", order: "highest", time: "none", timeNext: "", score: "descending", scoreNext: "lowest"},
		{ask: "lowest", order: "lowest", time: "none", timeNext: "", score: "ascending", scoreNext: "highest"},
		{ask: "newest", order: "", time: "descending", timeNext: "oldest", score: "none", scoreNext: "highest"},
		{ask: "subject", order: "", time: "descending", timeNext: "oldest", score: "none", scoreNext: "highest"},
	} {
		got := search.Sorted(url.Values{"order": {c.ask}})
		if got != c.order {
			t.Errorf("%q: %q", c.ask, got)
		}
		if h := got.Time(); h.Key != "time" || h.Now != c.time || h.Order != c.timeNext || h.Numbers {
			t.Errorf("%q: the times: %+v", c.ask, h)
		}
		if h := got.Score(); h.Key != "score" || h.Now != c.score || h.Order != c.scoreNext || !h.Numbers {
			t.Errorf("%q: the scores: %+v", c.ask, h)
		}
		for _, next := range []string{c.timeNext, c.scoreNext} {
			if again := search.Sorted(url.Values{"order": {next}}); string(again) != next {
				t.Errorf("%q: a head asks for %q, which is %q", c.ask, next, again)
			}
		}
	}
}
