package traffic_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/filter"
	"postern/internal/record"
	local "postern/internal/store/local/traffic"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/traffic"
	"postern/internal/store/storetest"
)

// chance makes rows and queries out of few words, so that they meet.
type chance struct{ *rand.Rand }

func (c chance) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c.Uint32())
	}
	return len(p), nil
}

func pick[T any](c chance, from ...T) T { return from[c.IntN(len(from))] }

func (c chance) address() string {
	return pick(c, "ann", "Bob", "carl", "a.b") + "@" + pick(c, "example.org", "Example.com", "x.example", "sub.example.org")
}

func (c chance) subject() string {
	out := ""
	for range c.IntN(4) {
		out += pick(c, "Invoice ", "paid ", "RE: ", "東京の請求書 ", "größe ", "in-voice ", "2026 ", "<b>")
	}
	return out
}

func (c chance) ip() string {
	return pick(c, "", "192.0.2.1", "192.0.2.200", "192.0.9.1", "198.51.100.7", "2001:db8::1", "2001:db8:0:1::2", "2001:db9::1")
}

func (c chance) row(at time.Time) record.Row {
	id, err := filter.NewID(at, c)
	if err != nil {
		panic(err)
	}
	r := record.Row{ID: id, Time: at.Add(time.Duration(c.IntN(2000)) * time.Millisecond), Client: record.Client{IP: c.ip()}, From: c.address(),
		Subject: c.subject(), MessageID: fmt.Sprintf("m%d@x", c.IntN(40)), Symbols: []string{}}
	if c.IntN(8) == 0 {
		r.From = ""
	}
	for range c.IntN(4) {
		r.To = append(r.To, record.Fate{Address: c.address(), State: "delivered"})
	}
	return r
}

func (c chance) query(rows []record.Row, begin time.Time) record.Trace {
	q := record.Trace{Limit: pick(c, 0, 1, 7, 50, 2000)}
	for range 1 + c.IntN(2) {
		switch c.IntN(9) {
		case 0:
			q.ID = pick(c, rows...).ID + pick(c, "", "-01")
		case 1:
			q.From = pick(c, c.address(), "@example.org", "@EXAMPLE.com", "<>", "@", "nobody@x.example")
		case 2:
			q.To = pick(c, c.address(), "@example.org", "@x.example", "@", "<>")
		case 3:
			q.MessageID = pick(c, "m3@x", "<m7@x>", "<>", "none")
		case 4:
			q.Subject = pick(c, "invoice", "INVOICE paid", "inv*", "i*", "京", "東京", "請求書", "<>", "grosse", "re 2026", "voice")
		case 5:
			q.IP = netip.MustParsePrefix(pick(c, "192.0.2.1/32", "192.0.2.0/24", "192.0.0.0/13", "0.0.0.0/0", "2001:db8::/32", "2001:db8::/64", "2000::/3", "::/0", "::/40", "2001:db8::1/128", "::ffff:192.0.2.0/120"))
		case 6:
			q.Since = begin.Add(time.Duration(c.IntN(300)) * time.Minute)
		case 7:
			q.Until = begin.Add(time.Duration(c.IntN(300)) * time.Minute)
		case 8:
			q.After = pick(c, rows...).ID
		}
	}
	return q
}

// embedded is the home that answers are compared with.
func embedded(t *testing.T) *local.Store {
	t.Helper()
	script, err := os.ReadFile("../../local/schema/traffic-1.sql")
	if err != nil {
		t.Fatal(err)
	}
	s, err := local.Open(t.Context(), local.Options{Path: filepath.Join(t.TempDir(), "traffic.db"), Migrations: []string{string(script)},
		Waiting: 4096, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// compare adds rows to the embedded home and, through several nodes, to Redis, and wants the
// same answers of both.
func compare(t *testing.T, c *conn.Conn, seed uint64, rows, queries int) {
	r := chance{rand.New(rand.NewPCG(seed, 1))}
	begin := storetest.Start.Add(-5 * time.Hour)
	want := embedded(t)
	nodes := []*traffic.Store{open(t, c, format(1)), open(t, c, format(2)), open(t, c)}
	var all []record.Row
	for i := range rows {
		row := r.row(begin.Add(time.Duration(r.IntN(300*60_000)) * time.Millisecond))
		all = append(all, row)
		if i%8 == 0 { // as after a fault: once more, unchanged
			row = pick(r, all...)
		}
		if !want.Add(row) || !pick(r, nodes...).Add(row) {
			t.Fatal("a row was dropped")
		}
		if i%400 == 0 {
			settle(t, nodes)
		}
	}
	settle(t, nodes)
	for n := range queries {
		q := r.query(all, begin)
		for page := 0; page < 3; page++ {
			a, err := want.Find(t.Context(), q)
			b, err2 := nodes[n%3].Find(t.Context(), q)
			if d := cmp.Diff(a, b, cmpopts.EquateEmpty()); d != "" || err != nil || err2 != nil {
				t.Fatalf("seed %d, query %d, page %d: %+v: %v, %v\n%s", seed, n, page, q, err, err2, d)
			}
			if q.After = a.Next; q.After == "" {
				break
			}
		}
	}
	for _, s := range nodes {
		if s.Dropped()+s.Damaged() > 0 {
			t.Errorf("%d dropped, %d damaged", s.Dropped(), s.Damaged())
		}
	}
}

// settle makes every node write what waits.
func settle(t *testing.T, nodes []*traffic.Store) {
	t.Helper()
	for _, s := range nodes {
		if _, err := s.Find(context.WithoutCancel(t.Context()), record.Trace{ID: "none"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSameAnswersAsTheEmbeddedHome(t *testing.T) {
	server := redistest.Server(t)
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("redis ", seed), func(t *testing.T) { compare(t, redistest.Empty(t, server), seed, 1000, 120) })
	}
	t.Run("miniredis", func(t *testing.T) { compare(t, redistest.Mini(t), 7, 600, 80) })
}

func TestOnACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	o, _ := redistest.Cluster(t)
	compare(t, redistest.Connect(t, o), 3, 800, 80)
}
