package reports_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/internal/report"
	"postern/internal/report/aggregate"
	local "postern/internal/store/local/reports"
	"postern/internal/store/local/traffic"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
)

// embedded is the home that answers are compared with.
func embedded(t *testing.T) report.Store {
	t.Helper()
	var scripts []string
	for n := 1; ; n++ {
		script, err := os.ReadFile(fmt.Sprintf("../../local/schema/traffic-%d.sql", n))
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		must(t, err)
		scripts = append(scripts, string(script))
	}
	s, err := traffic.Open(t.Context(), traffic.Options{Path: filepath.Join(t.TempDir(), "traffic.db"), Migrations: scripts,
		Waiting: 16, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return local.New(s.DB())
}

// chance makes rows, notes and reports out of few words, so that they meet.
type chance struct{ *rand.Rand }

func pick[T any](c chance, from ...T) T { return from[c.IntN(len(from))] }

func (c chance) day() string { return fmt.Sprintf("2026-11-%02d", 15+c.IntN(7)) }
func (c chance) domain() string {
	return pick(c, "a.example", "b.example", "sub.a.example", "B.example")
}

func (c chance) row() report.Row {
	return report.Row{Day: c.day(), Domain: c.domain(), DMARC: pick(c, "v=DMARC1; p=none", "v=DMARC1; p=reject"),
		Record: aggregate.Record{Row: aggregate.Row{Source: fmt.Sprintf("192.0.2.%d", c.IntN(9)), Count: 1 + c.Int64N(5)}}}
}

func (c chance) received() report.Received {
	end := storetest.Start.Add(-time.Duration(c.IntN(100)) * time.Hour)
	r := report.Received{Key: fmt.Sprintf("%03d", c.IntN(300)), Kind: pick(c, report.KindDMARC, report.KindTLS), Domain: c.domain(),
		At: end.Add(time.Duration(c.IntN(48)) * time.Hour), End: end, Messages: c.Int64N(9)}
	if r.Kind == report.KindTLS {
		r.TLS = json.RawMessage(`{"a":"` + r.Key + `"}`)
	} else {
		r.DMARC = &aggregate.Feedback{Records: []aggregate.Record{c.row().Record}}
	}
	return r
}

func (c chance) query() report.Query {
	q := report.Query{Kind: pick(c, "", report.KindTLS), Domain: pick(c, "", c.domain()), Limit: pick(c, 0, 1, 5, 1000)}
	if c.IntN(2) == 0 {
		q.Since = storetest.Start.Add(-time.Duration(c.IntN(100)) * time.Hour)
	}
	if c.IntN(2) == 0 {
		q.After = fmt.Sprintf("%03d", c.IntN(300))
	}
	return q
}

// step does one thing, the same each time with the same chances, and returns the answer.
func step(t *testing.T, s report.Store, seed uint64, n int) any {
	c, ctx := chance{rand.New(rand.NewPCG(seed, uint64(n)))}, t.Context()
	var out any
	var err error
	switch c.IntN(10) {
	case 0, 1:
		var rows []report.Row
		for range c.IntN(6) {
			rows = append(rows, c.row())
		}
		err = s.Count(ctx, rows...)
	case 2:
		err = s.Done(ctx, report.Sent{Day: c.day(), Domain: c.domain(), At: storetest.Start.Add(time.Duration(c.IntN(20)) * time.Second), Note: fmt.Sprint(n)})
	case 3:
		out, err = s.Domains(ctx, c.day(), pick(c, 0, 1, 3, 100))
	case 4:
		out, err = s.Rows(ctx, c.day(), c.domain(), pick(c, 1, 3, 100))
	case 5:
		out, err = s.Sent(ctx, pick(c, "", c.domain()), pick(c, 0, 1, 4, 100))
	case 6:
		out, err = s.Add(ctx, c.received())
	case 7:
		out, err = s.Received(ctx, c.query())
	case 8:
		r, ok, e := s.Report(ctx, fmt.Sprintf("%03d", c.IntN(300)))
		out, err = []any{r, ok}, e
	case 9:
		if c.IntN(10) == 0 {
			err = s.Prune(ctx, storetest.Start.Add(-time.Duration(c.IntN(100))*time.Hour))
		}
	}
	if err != nil {
		t.Fatalf("seed %d, step %d: %v", seed, n, err)
	}
	return out
}

func compare(t *testing.T, c *conn.Conn, seed uint64, steps int) {
	want := embedded(t)
	nodes := []report.Store{open(t, c, format(1)), open(t, c, format(2))}
	for n := range steps {
		a, b := step(t, want, seed, n), step(t, nodes[n%2], seed, n)
		if d := cmp.Diff(a, b, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("seed %d, step %d:\n%s", seed, n, d)
		}
	}
}

func TestSameAnswersAsTheEmbeddedHome(t *testing.T) {
	server := redistest.Server(t)
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("redis ", seed), func(t *testing.T) { compare(t, redistest.Empty(t, server), seed, 1000) })
	}
	t.Run("miniredis", func(t *testing.T) { compare(t, redistest.Mini(t), 9, 1000) })
}
