package entitytest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"postern/internal/entity"
)

func find(t *testing.T, s entity.Home) {
	ctx := t.Context()
	for i, id := range []string{"b", "d", "a", "c", "B", "a.1"} { // the first three at one time
		at := int64(100)
		if i > 2 {
			at += int64(i)
		}
		must(t, s.Put(ctx, rec(id, 1, id, key("open", at), entity.Key{Index: "owner", Value: id, At: -at})))
	}
	must(t, s.Put(ctx, rec("x", 1, "no keys")))
	falling := []string{"a.1", "B", "c", "d", "b", "a"}
	rising := slices.Clone(falling)
	slices.Reverse(rising)
	same(t, "the largest first", found(t, s, entity.Query{Value: "open"}), falling)
	same(t, "rising", found(t, s, entity.Query{Value: "open", Rising: true}), rising)
	same(t, "another index", found(t, s, entity.Query{Index: "owner", Value: "c"}), []string{"c"})
	same(t, "no such value", found(t, s, entity.Query{Value: "ope"}), []string{})
	same(t, "no such index", found(t, s, entity.Query{Index: "stat", Value: "open"}), []string{})
	same(t, "from", found(t, s, entity.Query{Value: "open", From: 103, To: 104}), []string{"B", "c"})
	same(t, "from, rising", found(t, s, entity.Query{Value: "open", From: 100, To: 103, Rising: true}), []string{"a", "b", "d", "c"})
	same(t, "nothing between", found(t, s, entity.Query{Value: "open", From: 101, To: 102}), []string{})
	same(t, "the wrong way round", found(t, s, entity.Query{Value: "open", From: 104, To: 103}), []string{})
	p, err := s.Find(ctx, entity.Query{Kind: "thing", Index: "state", Value: "open", Limit: 1})
	must(t, err)
	same(t, "a whole record", p.Records, []entity.Record{rec("a.1", 1, "a.1", key("open", 105), entity.Key{Index: "owner", Value: "a.1", At: -105})})
	for limit, n := range map[int]int{-1: 0, 0: 0, 1: 1, 3: 3, 6: 6, 100: 6} {
		got, err := s.Count(ctx, entity.Query{Kind: "thing", Index: "state", Value: "open"}, limit)
		must(t, err)
		same(t, fmt.Sprintf("counted up to %d", limit), got, n)
	}
	n, err := s.Count(ctx, entity.Query{Kind: "thing", Index: "state", Value: "open", From: 103, To: math.MaxInt64, Limit: 1}, 10)
	must(t, err)
	same(t, "counted from 103", n, 3)
}

func cursors(t *testing.T, s entity.Home) {
	ctx := t.Context()
	for i := range 25 { // five at each time
		must(t, s.Put(ctx, rec(fmt.Sprintf("r%02d", i*7%25), 1, "x", key("open", int64(i*7%25/5)))))
	}
	for _, rising := range []bool{false, true} {
		var want []string
		for i := range 25 {
			want = append(want, fmt.Sprintf("r%02d", i))
		}
		if !rising {
			slices.Reverse(want)
		}
		for _, limit := range []int{1, 2, 5, 7, 24, 25, 26, entity.MaxPage + 5} {
			same(t, fmt.Sprintf("pages of %d, rising %v", limit, rising), found(t, s, entity.Query{Value: "open", Limit: limit, Rising: rising}), want)
		}
		inner := found(t, s, entity.Query{Value: "open", From: 1, To: 3, Limit: 4, Rising: rising})
		same(t, "within bounds", inner, want[5:20])
	}
	q := entity.Query{Kind: "thing", Index: "state", Value: "open", Limit: 10}
	p, err := s.Find(ctx, q)
	must(t, err)
	if len(p.Records) != 10 || p.Next == "" {
		t.Fatalf("%d records, next %q", len(p.Records), p.Next)
	}
	must(t, s.Remove(ctx, "thing", p.Records[9].ID, 1)) // the one the cursor names
	must(t, s.Put(ctx, rec("new", 1, "x", key("open", 99))))
	q.After = p.Next
	p, err = s.Find(ctx, q)
	must(t, err)
	same(t, "after one that is gone", p.Records[0].ID, "r14")
	for _, after := range []string{"x", "/", "1/", "/a", "1/{", "9223372036854775808/a", strings.Repeat("1", 1000)} {
		q.After = after
		_, err := s.Find(ctx, q)
		want(t, "cursor "+after, err, entity.ErrInvalid)
	}
}

func times(t *testing.T, s entity.Home) {
	all := []int64{math.MinInt64, math.MinInt64 + 1, -1 << 53, -1<<53 + 1, -1, 0, 1, 1<<53 - 1, 1 << 53, 1<<53 + 1, math.MaxInt64 - 1, math.MaxInt64}
	var want []string
	for i, at := range all {
		id := fmt.Sprintf("r%02d", i)
		must(t, s.Put(t.Context(), rec(id, 1, "x", key("open", at))))
		want = append(want, id)
	}
	same(t, "rising", found(t, s, entity.Query{Value: "open", Rising: true, Limit: 1}), want)
	same(t, "of one", found(t, s, entity.Query{Value: "open", From: 1 << 53, To: 1 << 53}), []string{"r08"})
	same(t, "around 0", found(t, s, entity.Query{Value: "open", From: -1, To: 1, Rising: true}), []string{"r04", "r05", "r06"})
	same(t, "to the end", found(t, s, entity.Query{Value: "open", From: 1<<53 + 1, To: math.MaxInt64, Rising: true}), want[9:])
	same(t, "from the beginning", found(t, s, entity.Query{Value: "open", From: math.MinInt64, To: 0, Rising: true}), want[:6])
}

func values(t *testing.T, s entity.Home) {
	all := []string{"", " ", "a", "A", "a ", "a\x00", "a\x00b", "%", "_", "'", "\"", "größe", "gro\u0308ße", "\u2028", "*", "a:b", "{a}", "\\", strings.Repeat("v", entity.MaxValue)}
	keys := make([]entity.Key, 0, len(all))
	for i, v := range all {
		must(t, s.Put(t.Context(), rec(fmt.Sprint("r", i), 1, "x", key(v, 7))))
		keys = append(keys, key(v, 9))
	}
	keys = append(keys, key("", 3), key("", 9)) // twice under one value, and the very same again
	must(t, s.Put(t.Context(), rec("many", 1, "x", keys...)))
	for i, v := range all {
		w := []string{"many", fmt.Sprint("r", i)}
		if v == "" {
			w = append(w, "many")
		}
		same(t, fmt.Sprintf("value %.20q", v), found(t, s, entity.Query{Value: v}), w)
	}
	got, err := s.Get(t.Context(), "thing", "many")
	must(t, err)
	same(t, "all keys", got.Keys, keys)
	must(t, s.Remove(t.Context(), "thing", "many", 1))
	same(t, "after its removal", found(t, s, entity.Query{Value: ""}), []string{"r0"})
}

func changedKeys(t *testing.T, s entity.Home) {
	ctx := t.Context()
	must(t, s.Put(ctx, rec("a", 1, "x", key("open", 1), key("mine", 1))))
	must(t, s.Put(ctx, rec("b", 1, "x", key("open", 2))))
	must(t, s.Put(ctx, rec("a", 2, "y", key("closed", 1), key("mine", 3))))
	same(t, "under the old key", found(t, s, entity.Query{Value: "open"}), []string{"b"})
	same(t, "under the new one", found(t, s, entity.Query{Value: "closed"}), []string{"a"})
	same(t, "at the old time", found(t, s, entity.Query{Value: "mine", From: 1, To: 1}), []string{})
	same(t, "at the new time", found(t, s, entity.Query{Value: "mine", From: 3, To: 3}), []string{"a"})
	must(t, s.Put(ctx, rec("a", 3, "z")))
	for _, v := range []string{"open", "closed", "mine"} {
		if ids := found(t, s, entity.Query{Value: v}); slices.Contains(ids, "a") {
			t.Errorf("without keys it is found under %s", v)
		}
	}
	_ = s.Put(ctx, rec("b", 5, "conflict", key("never", 1)))
	same(t, "after a conflict", found(t, s, entity.Query{Value: "never"}), []string{})
	same(t, "as before the conflict", found(t, s, entity.Query{Value: "open"}), []string{"b"})
	n, err := s.Count(ctx, entity.Query{Kind: "thing", Index: "state", Value: "mine"}, 10)
	must(t, err)
	same(t, "counted", n, 0)
}

func largePages(t *testing.T, s entity.Home) {
	var ids []string
	for i := range 11 {
		id := fmt.Sprintf("r%02d", i)
		ids = append(ids, id)
		must(t, s.Put(t.Context(), rec(id, 1, strings.Repeat("x", entity.MaxData-20), key("open", int64(i)))))
	}
	p, err := s.Find(t.Context(), entity.Query{Kind: "thing", Index: "state", Value: "open", Rising: true})
	must(t, err)
	weight := 0
	for _, r := range p.Records {
		weight += len(r.Data)
	}
	if weight > entity.MaxWeight || len(p.Records) == 0 || p.Next == "" {
		t.Errorf("a page of %d records and %d octets, next %q", len(p.Records), weight, p.Next)
	}
	same(t, "all pages", found(t, s, entity.Query{Value: "open", Rising: true}), ids)
}

// atOnce: of many who write one version one wins; of changes with retries none is lost.
func atOnce(t *testing.T, s entity.Home) {
	ctx := t.Context()
	var wg sync.WaitGroup
	var mu sync.Mutex
	created, errs := 0, []error{}
	for i := range 8 {
		wg.Go(func() {
			err := s.Put(ctx, rec("new", 1, fmt.Sprint(i), key("open", int64(i))))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				created++
			} else if !errors.Is(err, entity.ErrExists) {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	if created != 1 || len(errs) > 0 {
		t.Errorf("%d of 8 created it, %v", created, errs)
	}
	same(t, "who created it", found(t, s, entity.Query{Value: "open"}), []string{"new"})
	type counter struct {
		ID string `json:"id"`
		N  int    `json:"n"`
	}
	table := entity.Table[counter]{Store: s, Kind: "counter", ID: func(c *counter) string { return c.ID }, Keys: func(c *counter) []entity.Key {
		return []entity.Key{{Index: "n", Value: fmt.Sprint(c.N % 3), At: int64(c.N)}}
	}}
	_, err := table.Create(ctx, counter{ID: "c"})
	must(t, err)
	for range 4 {
		wg.Go(func() {
			for done := 0; done < 10; {
				_, err := table.Change(ctx, "c", func(c *counter) error { c.N++; return nil })
				if err == nil {
					done++
				} else if !errors.Is(err, entity.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	row, err := table.Get(ctx, "c")
	must(t, err)
	same(t, "counted by four", row.Value.N, 40)
	same(t, "its version", row.Version, uint64(41))
	for v := range 3 {
		ids := found(t, s, entity.Query{Kind: "counter", Index: "n", Value: fmt.Sprint(v)})
		same(t, fmt.Sprint("under ", v), len(ids), map[bool]int{true: 1}[v == 40%3])
	}
}

// keysAtOnce: two keys go back and forth between writers, one record each time in one place.
func keysAtOnce(t *testing.T, s entity.Home) {
	ctx := t.Context()
	must(t, s.Put(ctx, rec("a", 1, "x", key("v0", 1))))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 10 {
				old, err := s.Get(ctx, "thing", "a")
				if err == nil {
					err = s.Put(ctx, rec("a", old.Version+1, "x", key(fmt.Sprint("v", (w+i)%2), 1)))
				}
				if err != nil && !errors.Is(err, entity.ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	last, err := s.Get(ctx, "thing", "a")
	must(t, err)
	for _, v := range []string{"v0", "v1"} {
		w := []string{}
		if last.Keys[0].Value == v {
			w = []string{"a"}
		}
		same(t, "under "+v, found(t, s, entity.Query{Value: v}), w)
	}
}
