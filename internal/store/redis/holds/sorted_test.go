package holds_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/holds/upkeep"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// rated fills a store with holds for lists by score.
func rated(t *testing.T, s *holds.Store, n int) []quarantine.Hold {
	t.Helper()
	all := storetest.Rated(n)
	for part := range slices.Chunk(all, 500) {
		var full []upkeep.Full
		for _, h := range part {
			var no int
			if _, err := fmt.Sscanf(h.Key, "key-%d", &no); err != nil {
				t.Fatal(err)
			}
			full = append(full, upkeep.Full{Hold: h, Body: fmt.Append(nil, "body ", no%16)})
		}
		if err := s.Bulk(t.Context(), full); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// scoreKeys are all indexes by score.
func scoreKeys(c *conn.Conn) (keys []string) {
	for _, state := range []quarantine.State{quarantine.Held, quarantine.Releasing, quarantine.Refused, quarantine.Released, quarantine.Deleted, quarantine.Expired} {
		for _, d := range index.Directions() {
			keys = append(keys, c.Key("ix", index.ScoreKey(state, d)))
		}
	}
	return keys
}

// More holds than are sorted once they are found are listed by score as few are; so are those of
// nodes that wrote no such index, and those of a store that was indexed anew.
func TestManyByScore(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	n := 2600
	if testing.Short() {
		n = 1500
	}
	all := rated(t, on(t, c), n)
	storetest.ByScore(t, on(t, c), all)
	if err := c.Client().Del(t.Context(), scoreKeys(c)...).Err(); err != nil {
		t.Fatal(err)
	}
	storetest.ByScore(t, on(t, c), all) // as after an upgrade
	if err := c.Client().Del(t.Context(), scoreKeys(c)...).Err(); err != nil {
		t.Fatal(err)
	}
	if out, err := on(t, c).Reindex(t.Context(), nil); err != nil || out.Holds != n {
		t.Fatalf("%+v, %v", out, err)
	}
	sizes := int64(0)
	for _, key := range scoreKeys(c) {
		sizes += c.Client().ZCard(t.Context(), key).Val()
	}
	if sizes != int64(n) {
		t.Errorf("%d entries by score after store reindex, not %d", sizes, n)
	}
	key := c.Key("ix", index.ScoreKey(quarantine.Held, "outbound"))
	if err := errs(c.Client().Del(t.Context(), key).Err(), c.Client().Set(t.Context(), key, "x", 0).Err()); err != nil {
		t.Fatal(err)
	}
	storetest.ByScore(t, on(t, c), all) // what is no index is done without
}

// A node of an older version holds mail and ends it without the indexes by score. What one
// hold adds to their sizes and another takes away is seen when they are compared the next time.
func TestByScoreBesideOlderNodes(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	now := storetest.Start
	s := holds.New(holds.Options{Conn: c, Ring: redistest.Ring(t), Now: func() time.Time { return now }})
	all := rated(t, s, 1400)
	outbound := quarantine.Query{Order: quarantine.Highest, Direction: "outbound", Limit: 1000}
	first := ids(t, s, outbound)
	if len(first) < 20 {
		t.Fatalf("%d are outbound", len(first))
	}
	older := func(h quarantine.Hold) { // what it writes has no entry by score
		for _, e := range index.Entries(h) {
			if index.ByScore(e.Key) {
				if err := c.Client().ZRem(t.Context(), c.Key("ix", e.Key), e.Member).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	fresh := storetest.Hold(5000, "x")
	fresh.Score, fresh.Direction = 9900, "outbound"
	fresh = keep(t, s, fresh, "x")
	older(fresh)
	if got := ids(t, s, outbound); len(got) != len(first)+1 || got[0] != fresh.ID {
		t.Fatalf("what an older node held is missing: %d of %d", len(got), len(first)+1)
	}
	gone, err := s.Get(t.Context(), first[3])
	if err != nil {
		t.Fatal(err)
	}
	was := gone
	gone.State, gone.Ended = quarantine.Deleted, &quarantine.Ended{At: now}
	if gone, err = s.Change(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	older(gone)
	for _, e := range index.Entries(was) {
		if index.ByScore(e.Key) {
			if err := c.Client().ZAdd(t.Context(), c.Key("ix", e.Key), redis.Z{Member: e.Member}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	second := storetest.Hold(5001, "x")
	second.Score, second.Direction = 9950, "outbound"
	second = keep(t, s, second, "x")
	older(second)
	if got := ids(t, s, outbound); slices.Contains(got, gone.ID) {
		t.Error("what an older node deleted is shown")
	}
	now = now.Add(11 * time.Minute)
	if got := ids(t, s, outbound); len(got) != len(first)+1 || got[0] != second.ID || slices.Contains(got, gone.ID) {
		t.Errorf("%d holds, not %d; first %v", len(got), len(first)+1, got[:2])
	}
	if got := ids(t, s, quarantine.Query{Order: quarantine.Lowest, States: []quarantine.State{quarantine.Deleted}, Limit: 1000}); !slices.Contains(got, gone.ID) || len(got) != len(all)/7+1 {
		t.Errorf("%d deleted", len(got))
	}
}

// A rare direction or score reads the records that are shown, and no others.
func TestRareIsFoundByIndex(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := on(t, c)
	rated(t, s, 2000)
	ids(t, s, quarantine.Query{Direction: "outbound"}) // compares the indexes
	for name, q := range map[string]quarantine.Query{
		"none": {AtLeast: score(9900)}, "rare": {AtLeast: score(700), Direction: "outbound", Limit: 5}, "direction": {Direction: "outbound", Limit: 5}, "highest": {Order: quarantine.Highest, Limit: 5},
		"highest of a direction": {Order: quarantine.Highest, Limit: 5, Direction: "outbound"},
	} {
		before := c.Status().Commands
		if _, err := s.List(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if asked := c.Status().Commands - before; asked > 40 {
			t.Errorf("%s: %d commands", name, asked)
		}
		before = c.Status().Commands
		if n, err := s.Count(t.Context(), q, 1000); err != nil || name == "none" && n > 0 {
			t.Fatal(n, err)
		}
		if asked := c.Status().Commands - before; asked > 40 && q.Order == "" {
			t.Errorf("%s: %d commands to count", name, asked)
		}
	}
}

func score(hundredths filter.Score) *filter.Score { return &hundredths }
