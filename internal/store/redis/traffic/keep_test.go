package traffic_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/record"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/traffic"
	"postern/internal/store/storetest"
)

// hourly are n rows in each of the hours before storetest.Start.
func hourly(hours, n int) []record.Row {
	r := chance{rand.New(rand.NewPCG(4, 4))}
	var out []record.Row
	for h := hours; h > 0; h-- {
		for i := range n {
			out = append(out, r.row(storetest.Start.Add(-time.Duration(h)*time.Hour+time.Duration(i)*time.Second)))
		}
	}
	return out
}

// clock can be set.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time        { return time.UnixMilli(c.at.Load()).UTC() }
func (c *clock) set(t time.Time)       { c.at.Store(t.UnixMilli()) }
func (c *clock) to(o *traffic.Options) { o.Now = c.now }

// Beyond the cap the oldest hours go, whole, and it is said once; where one hour alone is too
// much, its rows are dropped and nothing else happens.
func TestCap(t *testing.T) {
	for name, c := range map[string]*conn.Conn{"redis": redistest.Empty(t, redistest.Server(t)), "miniredis": redistest.Mini(t)} {
		t.Run(name, func(t *testing.T) {
			var said log
			var at clock
			at.set(storetest.Start)
			s := open(t, c, said.to, at.to, func(o *traffic.Options) { o.Cap = 20_000 })
			for i, rows := 0, hourly(6, 100); i < 6; i++ {
				add(t, s, rows[100*i:100*i+100]...)
				_ = count(t, s, record.Trace{ID: "none"})
				at.set(at.now().Add(time.Minute))
			}
			add(t, s, hourly(1, 101)[100])
			all := count(t, s, record.Trace{})
			e, err := s.Estimate(t.Context())
			if err != nil || e.Bytes > 20_000+10_000 || e.Hours == 6 || e.Rows != int64(all) || all < 101 || all%100 != 1 {
				t.Errorf("%d rows, %+v, %v", all, e, err)
			}
			if said.count("reached their cap") != 1 || s.Dropped() != 0 {
				t.Errorf("said %d times, %d dropped", said.count("reached their cap"), s.Dropped())
			}
			if n := count(t, s, record.Trace{Since: storetest.Start.Add(-time.Hour)}); n != 101 {
				t.Errorf("%d rows of the last hour", n)
			}
			full := open(t, c, said.to, at.to, func(o *traffic.Options) { o.Cap = 3_000 })
			add(t, full, some(2)...)
			_ = count(t, full, record.Trace{ID: "none"})
			add(t, full, some(10)...)
			_ = count(t, full, record.Trace{ID: "none"})
			if full.Dropped() != 10 || said.count("more than the cap") != 1 {
				t.Errorf("%d dropped, said %d times", full.Dropped(), said.count("more than the cap"))
			}
			if _, err := full.Prune(t.Context(), storetest.Start); err != nil {
				t.Fatal(err)
			}
			at.set(at.now().Add(time.Minute)) // a row is dropped and finds that there is room
			add(t, full, some(2)...)
			if n := count(t, full, record.Trace{}); n != 2 { // with what was in the block that still grew
				t.Errorf("%d rows after there was room again", n)
			}
		})
	}
}

// Every key of an hour expires, later than Prune would have taken it.
func TestExpires(t *testing.T) {
	server := redistest.Server(t)
	c := redistest.Empty(t, server)
	s := open(t, c, func(o *traffic.Options) { o.Keep = 48 * time.Hour })
	add(t, s, hourly(3, 70)...)
	_ = count(t, s, record.Trace{})
	admin := server.Client()
	defer admin.Close()
	keys, err := admin.Keys(t.Context(), "postern:{tr:*").Result()
	if err != nil || len(keys) < 3*60 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for _, key := range keys {
		left, err := admin.TTL(t.Context(), key).Result()
		if err != nil || left < 45*time.Hour || left > 50*time.Hour {
			t.Errorf("%s goes in %s, %v", key, left, err)
		}
	}
	s = open(t, redistest.Empty(t, server), func(o *traffic.Options) { o.Keep = 0 })
	add(t, s, some(3)...)
	_ = count(t, s, record.Trace{})
	if left, err := admin.TTL(t.Context(), hourBefore+"b").Result(); err != nil || left >= 0 {
		t.Errorf("without an end: %s, %v", left, err)
	}
}

func TestEstimate(t *testing.T) {
	s := open(t, redistest.Mini(t))
	if e, err := s.Estimate(t.Context()); err != nil || e != (traffic.Estimate{}) {
		t.Errorf("of nothing: %+v, %v", e, err)
	}
	add(t, s, hourly(30, 20)...)
	_ = count(t, s, record.Trace{ID: "none"})
	e, err := s.Estimate(t.Context())
	if err != nil || e.Hours != 30 || e.Rows != 600 || e.DayRows != 460 || e.PerRow < 50 || e.PerRow > 400 || e.Bytes < e.DayBytes {
		t.Errorf("%+v, %v", e, err)
	}
}

// Hours go whole: the one that the limit lies in stays.
func TestPrune(t *testing.T) {
	s := open(t, redistest.Mini(t))
	add(t, s, hourly(5, 10)...)
	for _, c := range []struct {
		before time.Duration
		n      int
	}{{-6 * time.Hour, 0}, {-3*time.Hour + time.Minute, 20}, {-3 * time.Hour, 0}, {time.Hour, 30}, {time.Hour, 0}} {
		_ = count(t, s, record.Trace{ID: "none"})
		if n, err := s.Prune(t.Context(), storetest.Start.Add(c.before)); err != nil || n != c.n {
			t.Errorf("%s: %d, %v", c.before, n, err)
		}
	}
}

// A row that is too large, or has no ID, is dropped; the others go on.
func TestUnfit(t *testing.T) {
	s := open(t, redistest.Mini(t))
	rows := some(4)
	rows[1].ID = ""
	rows[2].To = []record.Fate{{Address: strings.Repeat("x", 5<<20)}}
	rows[3].To = []record.Fate{{Address: strings.Repeat("x", 3<<20)}}
	add(t, s, rows...)
	if n := count(t, s, record.Trace{Subject: "everywhere"}); n != 2 || s.Dropped() != 2 {
		t.Errorf("%d rows, %d dropped", n, s.Dropped())
	}
}

// Rows whose IDs tell no time, or another time than the rows, are found too.
func TestStrangeIDs(t *testing.T) {
	s := open(t, redistest.Mini(t))
	rows := some(5)
	rows[0].ID, rows[1].ID, rows[2].Time = "test", "8zzzzzzzzz0000000000000000", rows[2].Time.AddDate(-1, 0, 0)
	rows[3].Time, rows[4].Time = time.Time{}, time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)
	add(t, s, rows[:4]...)
	for _, r := range rows[:4] {
		page, err := s.Find(t.Context(), record.Trace{ID: r.ID})
		if err != nil || len(page.Rows) != 1 || page.Rows[0].ID != r.ID {
			t.Errorf("%q: %d rows, %v", r.ID, len(page.Rows), err)
		}
	}
	add(t, s, rows[4]) // JSON has no such year
	if n := count(t, s, record.Trace{Subject: "everywhere"}); n != 4 || s.Dropped() != 1 {
		t.Errorf("%d rows, %d dropped", n, s.Dropped())
	}
}

// A search that has little time says where it stopped, and its pages together are complete.
func TestShortOfTime(t *testing.T) {
	s := open(t, redistest.Empty(t, redistest.Server(t)))
	rows := hourly(40, 100)
	add(t, s, rows...)
	_ = count(t, s, record.Trace{ID: "none"})
	seen := map[string]bool{}
	q, little := record.Trace{Limit: 1000}, 40*time.Millisecond
	for more := true; more; more = q.After != "" {
		ctx, cancel := context.WithTimeout(t.Context(), little)
		page, err := s.Find(ctx, q)
		cancel()
		for ; err != nil; cancel() { // no time for anything: an error, and no page
			if little *= 2; little > time.Minute {
				t.Fatal(err)
			}
			ctx, cancel = context.WithTimeout(t.Context(), little)
			page, err = s.Find(ctx, q)
		}
		if q.After != "" && page.Next >= q.After {
			t.Fatalf("the page after %s goes on at %s", q.After, page.Next)
		}
		for _, r := range page.Rows {
			if seen[r.ID] {
				t.Fatal("a row twice")
			}
			seen[r.ID] = true
		}
		q.After = page.Next
	}
	if len(seen) != len(rows) {
		t.Errorf("%d rows of %d", len(seen), len(rows))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Find(ended, record.Trace{}); err == nil {
		t.Error("an answer without time")
	}
}

// Writing costs a few round trips for hundreds of rows, none of them in the way of Add.
func TestRoundTrips(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := open(t, c, func(o *traffic.Options) { o.Now = time.Now })
	_ = count(t, s, record.Trace{ID: "none"})
	before := c.Trips()
	add(t, s, some(1000)...)
	if n := c.Trips() - before; n > 8 {
		t.Errorf("%d round trips while rows were added", n)
	}
	s.Close()
	if n := c.Trips() - before; n > 8 {
		t.Errorf("%d round trips for a thousand rows", n)
	}
}

// Nodes add, search and prune at once.
func TestManyAtOnce(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	rows := hourly(4, 250)
	var wg sync.WaitGroup
	for n := range 4 {
		s := open(t, c)
		wg.Go(func() {
			for i := n; i < len(rows); i += 4 {
				if !s.Add(rows[i]) {
					t.Error("a row was dropped")
				}
				if i%97 == 0 {
					if _, err := s.Find(t.Context(), record.Trace{From: "@example.org"}); err != nil {
						t.Error(err)
					}
				}
			}
		})
		wg.Go(func() {
			for range 5 {
				if _, err := s.Prune(t.Context(), storetest.Start.Add(-24*time.Hour)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	last := open(t, c)
	eventually(t, "rows are missing", func() bool { return count(t, last, record.Trace{}) == len(rows) })
	if e, err := last.Estimate(t.Context()); err != nil || e.Rows != int64(len(rows)) {
		t.Errorf("%+v, %v", e, err)
	}
}

// A list of hours that was lost is made anew; hours that are not kept any more are not looked for.
func TestReindex(t *testing.T) {
	server := redistest.Server(t)
	s := open(t, redistest.Empty(t, server), func(o *traffic.Options) { o.Keep = 48 * time.Hour })
	add(t, s, hourly(5, 100)...)
	if n := count(t, s, record.Trace{}); n != 500 {
		t.Fatalf("%d rows", n)
	}
	admin := server.Client()
	defer admin.Close()
	if err := admin.Del(t.Context(), "postern:{tr}:rows", "postern:{tr}:bytes").Err(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, record.Trace{}); n != 0 {
		t.Errorf("%d rows without a list of hours", n)
	}
	for range 2 {
		if err := s.Reindex(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := count(t, s, record.Trace{}); n != 500 {
			t.Errorf("%d rows after Reindex", n)
		}
	}
	if e, err := s.Estimate(t.Context()); err != nil || e.Hours != 5 || e.Rows < 500 || s.Damaged() != 0 {
		t.Errorf("%+v, %v, %d damaged", e, err, s.Damaged())
	}
	if _, err := s.Prune(t.Context(), storetest.Start); err != nil {
		t.Fatal(err)
	}
	if keys, err := admin.Keys(t.Context(), "postern:{tr*").Result(); err != nil || len(keys) > 0 {
		t.Errorf("after Prune: %q, %v", keys, err)
	}
}
