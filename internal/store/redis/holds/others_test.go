package holds_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// Of what leads, only what the other indexes have too is read.
func TestSearchOfSeveral(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := on(t, c)
	var want []string
	for n := range 400 {
		h := storetest.Hold(n, "x")
		h.Subject = []string{"alpha", "beta", "alpha beta"}[n%3]
		h.To = []string{fmt.Sprintf("u%d@example.com", n%4)}
		h = keep(t, s, h, "x")
		if n%3 == 2 && n%4 == 1 {
			want = append(want, h.ID)
		}
	}
	slices.Reverse(want)
	q := quarantine.Query{To: "u1@example.com", Words: []string{"alpha", "beta"}, Limit: 10}
	var got []string
	before := c.Status().Commands
	for {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range page.Holds {
			got = append(got, h.ID)
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d holds, want %d", len(got), len(want))
	}
	if asked := c.Status().Commands - before; asked > 100 { // 33 holds on 4 pages, of 100 that the smallest index has
		t.Errorf("%d commands", asked)
	}
	key := c.Key("ix", index.WordKey("beta"))
	if err := errs(c.Client().Del(t.Context(), key).Err(), c.Client().Set(t.Context(), key, "x", 0).Err()); err != nil {
		t.Fatal(err)
	}
	q.After, q.Limit = "", 1000
	if got := ids(t, s, q); !slices.Equal(got, want) {
		t.Errorf("beside an index of another type: %d holds, want %d", len(got), len(want))
	}
}

func errs(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// Two words that many holds have and none has both: a page ends somewhere, says where to go on,
// and the last one is the last.
func TestSearchEndsSomewhere(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := on(t, c)
	h := storetest.Hold(1, "x")
	h.Subject = "left right"
	h.At = storetest.Start.AddDate(-1, 0, 0)
	h = keep(t, s, h, "x")
	const each = 210_000
	fill := func(key string, odd int) {
		for first := 0; first < each; first += 10_000 {
			members := make([]redis.Z, 10_000)
			for i := range members {
				at := storetest.Start.Add(time.Duration(2*(first+i)+odd) * time.Millisecond)
				members[i] = redis.Z{Member: index.Member(quarantine.Hold{ID: h.ID, At: at})}
			}
			if err := c.Do(t.Context(), conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
				return r.ZAdd(ctx, c.Key("ix", key), members...).Err()
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(index.WordKey("left"), 0)
	fill(index.WordKey("right"), 1)
	fill(index.StateKey(quarantine.Held), 0) // or it would lead
	fill(index.StateKey(quarantine.Held), 1)
	q := quarantine.Query{Words: []string{"left", "right"}}
	page, err := s.List(t.Context(), q)
	if err != nil || len(page.Holds) != 0 || page.Next == "" {
		t.Fatalf("the first page: %d, next %q, %v", len(page.Holds), page.Next, err)
	}
	q.After = page.Next
	if page, err = s.List(t.Context(), q); err != nil || len(page.Holds) != 1 || page.Holds[0].ID != h.ID || page.Next != "" {
		t.Errorf("the second page: %d, next %q, %v", len(page.Holds), page.Next, err)
	}
}
