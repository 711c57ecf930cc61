package traffic_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/record"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/traffic"
	"postern/internal/store/storetest"
)

// log is a log that can be read while it is written.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), words)
}

func (l *log) to(o *traffic.Options) { o.Log = slog.New(slog.NewTextHandler(l, nil)) }

// some are rows of the hour before storetest.Start.
func some(n int) []record.Row {
	r := chance{rand.New(rand.NewPCG(9, uint64(n)))}
	out := make([]record.Row, n)
	for i := range out {
		out[i] = r.row(storetest.Start.Add(-time.Hour + time.Duration(i)*time.Millisecond))
		out[i].Subject = "everywhere"
	}
	return out
}

func add(t *testing.T, s *traffic.Store, rows ...record.Row) {
	t.Helper()
	for _, r := range rows {
		if !s.Add(r) {
			t.Fatal("a row was dropped")
		}
	}
}

// count is how many rows a search finds, turning pages.
func count(t *testing.T, s *traffic.Store, q record.Trace) (n int) {
	t.Helper()
	for q.Limit = 1000; ; {
		page, err := s.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Rows)
		if q.After = page.Next; q.After == "" {
			return n
		}
	}
}

// eventually waits for what a server that came back does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

const hourBefore = "postern:{tr:2026112211}:"

// away makes the server sick and well again while rows come: they wait, then are dropped and
// counted and said once, Add never waits, and what waited is written in the end.
func away(t *testing.T, sick, well func(), c *conn.Conn) {
	t.Helper()
	var said log
	s := open(t, c, said.to, func(o *traffic.Options) { o.Waiting = 100 })
	rows := some(3000)
	add(t, s, rows[:50]...)
	if n := count(t, s, record.Trace{Subject: "everywhere"}); n != 50 {
		t.Fatalf("%d rows", n)
	}
	sick()
	taken := 50
	for _, r := range rows[50:] {
		if s.Add(r) {
			taken++
		}
	}
	if taken == len(rows) || s.Dropped() != int64(len(rows)-taken) || said.count("traffic rows are dropped") != 1 {
		t.Errorf("%d taken, %d dropped, said %d times", taken, s.Dropped(), said.count("traffic rows are dropped"))
	}
	well()
	eventually(t, "what waited is not there", func() bool {
		page, err := s.Find(t.Context(), record.Trace{Subject: "everywhere", Limit: 1000})
		if err != nil && !errors.Is(err, conn.ErrAway) {
			t.Fatal(err)
		}
		return err == nil && (page.Next != "" || len(page.Rows) == taken)
	})
	if n := count(t, s, record.Trace{}); n != taken {
		t.Errorf("%d rows of %d", n, taken)
	}
}

func TestAway(t *testing.T) {
	server := redistest.Server(t)
	for name, change := range map[string]struct{ sick, well func() }{
		"killed": {server.Kill, func() { server.Run(t) }},
		"hung": {func() {
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		}, func() {
			if err := server.Continue(); err != nil {
				t.Error(err)
			}
		}},
		"full": {func() { configure(t, server.Client(), "maxmemory", "1") }, func() { configure(t, server.Client(), "maxmemory", "0") }},
	} {
		t.Run(name, func(t *testing.T) { away(t, change.sick, change.well, redistest.Empty(t, server)) })
	}
}

func configure(t *testing.T, admin *redis.Client, name, value string) {
	t.Helper()
	defer admin.Close()
	if err := admin.ConfigSet(t.Context(), name, value).Err(); err != nil {
		t.Error(err)
	}
}

// A store that is away when the gateway ends costs the rows that wait and a bounded time.
func TestCloseWhileAway(t *testing.T) {
	server := redistest.Server(t)
	c := redistest.Empty(t, server)
	var said log
	s := open(t, c, said.to)
	server.Kill()
	add(t, s, some(700)...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Dropped() != 700 || said.count("before the end") != 1 {
		t.Errorf("%d dropped", s.Dropped())
	}
	if s.Add(some(1)[0]) {
		t.Error("a row was taken after the end")
	}
	if _, err := s.Find(t.Context(), record.Trace{}); !errors.Is(err, conn.ErrAway) {
		t.Errorf("Find: %v", err)
	}
}

// Rows wait for others no longer than the linger, and Close writes them.
func TestClose(t *testing.T) {
	c := redistest.Mini(t)
	s := open(t, c)
	add(t, s, some(700)...)
	s.Close()
	if n := count(t, open(t, c), record.Trace{}); n != 700 || s.Dropped() != 0 {
		t.Errorf("%d rows, %d dropped", n, s.Dropped())
	}
	s = open(t, c)
	add(t, s, some(701)[700])
	eventually(t, "a row waits for others", func() bool {
		n, err := c.Client().HGet(t.Context(), "postern:{tr}:rows", "2026112211").Int()
		return err == nil && n == 701
	})
}

// What somebody else put under our keys is left out, counted and said once; the rest is found.
func TestDamage(t *testing.T) {
	server := redistest.Server(t)
	admin := server.Client()
	defer admin.Close()
	ctx := t.Context()
	field := func(key string) string {
		fields, err := admin.HKeys(ctx, key).Result()
		if err != nil || len(fields) == 0 {
			t.Fatalf("%s: %v", key, err)
		}
		return fields[0]
	}
	for name, c := range map[string]struct {
		harm func() error
		want int // rows found by their subject, of 200 in three full blocks and one that grows
	}{
		"nothing":            {func() error { return nil }, 200},
		"a block of garbage": {func() error { return admin.HSet(ctx, hourBefore+"b", field(hourBefore+"b"), "\x01garbage").Err() }, -1},
		"a format to come":   {func() error { return admin.HSet(ctx, hourBefore+"b", field(hourBefore+"b"), "\x09").Err() }, -1},
		"a block gone":       {func() error { return admin.HDel(ctx, hourBefore+"b", field(hourBefore+"b")).Err() }, -2},
		"blocks of another":  {func() error { return swap(t, admin) }, -1},
		"places of garbage": {func() error {
			return admin.HSet(ctx, hourBefore+"o", "x", "y", "12345", strings.Repeat("\xff", 9)).Err()
		}, 200},
		"blocks are no hash":   {func() error { return retype(t, admin, hourBefore+"b") }, 0},
		"open ones are none":   {func() error { return retype(t, admin, hourBefore+"o") }, 192},
		"an hour that is none": {func() error { return admin.HSet(ctx, "postern:{tr}:rows", "never", "x").Err() }, 200},
		"counts are garbage":   {func() error { return admin.HSet(ctx, "postern:{tr}:rows", "2026112211", "x").Err() }, 200},
		"the hours are none":   {func() error { return retype(t, admin, "postern:{tr}:rows") }, 200},
		"the bytes are none":   {func() error { return retype(t, admin, "postern:{tr}:bytes") }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			var said log
			s := open(t, redistest.Empty(t, server), said.to)
			add(t, s, some(200)...)
			if n := count(t, s, record.Trace{Subject: "everywhere"}); n != 200 {
				t.Fatalf("%d rows", n)
			}
			if err := c.harm(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				n := count(t, s, record.Trace{Subject: "everywhere"})
				if want := c.want; n != want && (want >= 0 || n >= 200 || n < 8) {
					t.Errorf("%d rows found", n)
				}
			}
			if harmless := c.want == 200 && name != "places of garbage" && !strings.HasPrefix(name, "the ") && name != "an hour that is none"; !harmless && c.want != -2 && (s.Damaged() == 0 || said.count("are damaged") != 1) {
				t.Errorf("%d damaged, said %d times", s.Damaged(), said.count("are damaged"))
			}
			add(t, s, some(260)[200:]...) // and the writer goes on
			_ = count(t, s, record.Trace{})
			if n, err := s.Prune(ctx, storetest.Start); err != nil {
				t.Errorf("Prune: %d, %v", n, err)
			}
			if left, err := admin.Keys(ctx, "postern:{tr:*").Result(); err != nil || len(left) > 0 {
				t.Errorf("after Prune: %q, %v", left, err)
			}
		})
	}
}

// retype puts a text where something else was.
func retype(t *testing.T, admin *redis.Client, key string) error {
	t.Helper()
	return admin.Set(t.Context(), key, "text", 0).Err()
}

// swap puts each block under the name of the next.
func swap(t *testing.T, admin *redis.Client) error {
	t.Helper()
	all, err := admin.HGetAll(t.Context(), hourBefore+"b").Result()
	if err != nil {
		return err
	}
	last, args := "", []any{}
	for name, block := range all {
		if last != "" {
			args = append(args, name, last)
		}
		last = block
	}
	return admin.HSet(t.Context(), hourBefore+"b", args...).Err()
}

// A store that was emptied is filled again by those who write.
func TestFlushed(t *testing.T) {
	server := redistest.Server(t)
	s := open(t, redistest.Empty(t, server))
	rows := some(100)
	add(t, s, rows[:70]...)
	if n := count(t, s, record.Trace{}); n != 70 {
		t.Fatalf("%d rows", n)
	}
	redistest.Flush(t, server)
	if n := count(t, s, record.Trace{}); n != 0 {
		t.Fatalf("%d rows", n)
	}
	add(t, s, rows[70:]...)
	if n := count(t, s, record.Trace{Subject: "everywhere"}); n != 36 { // the block that grew is there again
		t.Errorf("%d rows", n)
	}
}
