package trend_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"postern/internal/record/trend"
)

func period(t *testing.T, parts map[int]int64) []byte {
	t.Helper()
	p := trend.Period{ID: "i", Node: "mx1", From: time.Unix(1_900_000_000, 0).UTC(), Parts: map[int]trend.Span{}}
	for n, messages := range parts {
		p.Parts[n] = trend.Span{Actions: map[string]int64{"accept": messages - 1, "reject": 1}}
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What a node counted before it was moved and what it counts after stand in one record, however
// often that is made.
func TestMerge(t *testing.T) {
	for name, c := range map[string]struct{ old, there, want map[int]int64 }{
		"before and after":  {map[int]int64{1: 5, 2: 6}, map[int]int64{3: 7}, map[int]int64{1: 5, 2: 6, 3: 7}},
		"the minute of it":  {map[int]int64{1: 5, 2: 6}, map[int]int64{2: 2, 3: 7}, map[int]int64{1: 5, 2: 6, 3: 7}},
		"more came after":   {map[int]int64{2: 2}, map[int]int64{2: 6}, map[int]int64{2: 6}},
		"nothing was there": {map[int]int64{2: 2}, nil, map[int]int64{2: 2}},
		"nothing is new":    {nil, map[int]int64{2: 2}, map[int]int64{2: 2}},
	} {
		got := period(t, c.there)
		for range 2 {
			var err error
			if got, err = trend.Merge(period(t, c.old), got); err != nil {
				t.Fatal(err)
			}
			var p trend.Period
			if err := json.Unmarshal(got, &p); err != nil {
				t.Fatal(err)
			}
			have := map[int]int64{}
			for n, s := range p.Parts {
				have[n] = s.Actions["accept"] + s.Actions["reject"]
			}
			if !maps.Equal(have, c.want) {
				t.Errorf("%s: %v, want %v", name, have, c.want)
			}
		}
	}
	for _, bad := range []string{"", "{", `{"parts":3}`} {
		if _, err := trend.Merge([]byte(bad), period(t, nil)); err == nil {
			t.Errorf("%q is merged", bad)
		}
		if _, err := trend.Merge(period(t, nil), []byte(bad)); err == nil {
			t.Errorf("%q is merged into", bad)
		}
	}
}
