package reports_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/mailtest/redisd"
	"postern/internal/report"
	"postern/internal/report/aggregate"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/reports"
	"postern/internal/store/storetest"
)

const day = "2026-11-21"

func row(n int, domain string) report.Row {
	return report.Row{Day: day, Domain: domain, DMARC: "v=DMARC1; p=none", Record: aggregate.Record{
		Row: aggregate.Row{Source: fmt.Sprintf("2001:db8::%x", n), Count: 1, Evaluated: aggregate.Evaluated{Disposition: "none", DKIM: "pass", SPF: "fail"}},
		IDs: aggregate.Identifiers{HeaderFrom: domain}, Auth: aggregate.AuthResults{DKIM: []aggregate.DKIM{{Domain: domain, Selector: "s", Result: "pass"}}},
	}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Several nodes count into the same rows, also more at once than one command takes.
func TestSeveralNodes(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	var wg sync.WaitGroup
	for range 4 {
		s := open(t, c)
		wg.Go(func() {
			var rows []report.Row
			for n := range 1200 {
				rows = append(rows, row(n, "a.example"))
			}
			if err := s.Count(t.Context(), rows...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := open(t, c).Rows(t.Context(), day, "a.example", 10_000)
	must(t, err)
	for _, r := range got {
		if r.Record.Row.Count != 4 {
			t.Errorf("%s was counted %d times", r.Record.Row.Source, r.Record.Row.Count)
		}
	}
	if len(got) != 1200 {
		t.Errorf("%d rows", len(got))
	}
}

// What a slow node counts after the note of its day was written is not sent again.
func TestLateCounts(t *testing.T) {
	s := open(t, redistest.Mini(t))
	must(t, s.Count(t.Context(), row(1, "a.example"), row(1, "b.example")))
	must(t, s.Done(t.Context(), report.Sent{Day: day, Domain: "a.example", At: storetest.Start, ID: "1"}))
	must(t, s.Count(t.Context(), row(2, "a.example")))
	for range 2 {
		due, err := s.Domains(t.Context(), "2026-11-22", 10)
		if err != nil || len(due) != 1 || due[0].Domain != "b.example" {
			t.Errorf("due: %+v, %v", due, err)
		}
	}
}

// More domains than are read at once, most of them done.
func TestManyDomains(t *testing.T) {
	s := open(t, redistest.Mini(t))
	var rows []report.Row
	for n := range 1100 {
		rows = append(rows, row(1, fmt.Sprintf("d%04d.example", n)))
	}
	must(t, s.Count(t.Context(), rows...))
	for n := range 1050 {
		must(t, s.Done(t.Context(), report.Sent{Day: day, Domain: fmt.Sprintf("d%04d.example", n), At: storetest.Start.Add(time.Duration(n) * time.Millisecond)}))
	}
	must(t, s.Count(t.Context(), rows...))
	due, err := s.Domains(t.Context(), "2026-11-22", 20)
	if err != nil || len(due) != 20 || due[0].Domain != "d1050.example" {
		t.Errorf("due: %d, %v", len(due), err)
	}
	sent, err := s.Sent(t.Context(), "", 1000)
	if err != nil || len(sent) != 1000 || sent[0].Domain != "d1049.example" || sent[999].Domain != "d0050.example" {
		t.Errorf("sent: %d, %v", len(sent), err)
	}
}

// A store that is away is an error, and nothing that was counted before is lost.
func TestAway(t *testing.T) {
	server := redistest.Server(t)
	c := redistest.Empty(t, server)
	s := open(t, c)
	must(t, s.Count(t.Context(), row(1, "a.example")))
	server.Kill()
	_, err := s.Domains(t.Context(), "2026-11-22", 10)
	_, err2 := s.Rows(t.Context(), day, "a.example", 10)
	_, err3 := s.Sent(t.Context(), "", 10)
	_, err4 := s.Received(t.Context(), report.Query{})
	_, _, err5 := s.Report(t.Context(), "x")
	_, err6 := s.Add(t.Context(), report.Received{Key: "x"})
	for i, err := range []error{err, err2, err3, err4, err5, err6,
		s.Count(t.Context(), row(1, "a.example")), s.Done(t.Context(), report.Sent{Day: day, Domain: "a.example"}), s.Prune(t.Context(), storetest.Start)} {
		if !errors.Is(err, conn.ErrAway) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	server.Run(t)
	s = open(t, redistest.Connect(t, conn.Options{Addrs: []string{server.Addr}, User: redistest.User, Password: redisd.Password}))
	if got, err := s.Rows(t.Context(), day, "a.example", 10); err != nil || len(got) != 1 || got[0].Record.Row.Count != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Records that are not what they were stored as are left out, counted and said once; a key of
// another type is an error.
func TestDamage(t *testing.T) {
	server := redistest.Server(t)
	admin := server.Client()
	defer admin.Close()
	ctx := t.Context()
	h := conn.Hash("a.example")
	for name, c := range map[string]struct {
		harm func() error
		rows int // of two; -1 = an error
	}{
		"a row of garbage": {func() error {
			return admin.HSet(ctx, "postern:{rp:"+day+"}:r:"+h, row(1, "a.example").Key(), "garbage").Err()
		}, 1},
		"a row gone": {func() error { return admin.HDel(ctx, "postern:{rp:"+day+"}:r:"+h, row(1, "a.example").Key()).Err() }, 1},
		"a count of garbage": {func() error {
			return admin.HSet(ctx, "postern:{rp:"+day+"}:n:"+h, row(1, "a.example").Key(), "many").Err()
		}, 1},
		"a count below zero": {func() error {
			return admin.HSet(ctx, "postern:{rp:"+day+"}:n:"+h, row(1, "a.example").Key(), "-5").Err()
		}, 1},
		"another row": {func() error {
			other, err := admin.HGet(ctx, "postern:{rp:"+day+"}:r:"+h, row(2, "a.example").Key()).Result()
			if err != nil {
				return err
			}
			return admin.HSet(ctx, "postern:{rp:"+day+"}:r:"+h, row(1, "a.example").Key(), other).Err()
		}, 1},
		"a day that is none": {func() error { return admin.SAdd(ctx, "postern:{rp}:days", "never").Err() }, 2},
		"a note of garbage":  {func() error { return admin.HSet(ctx, "postern:{rp:"+day+"}:sent", "b.example", "x").Err() }, 2},
		"counts are a text":  {func() error { return admin.Set(ctx, "postern:{rp:"+day+"}:n:"+h, "x", 0).Err() }, -1},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			s := open(t, redistest.Empty(t, server), func(o *reports.Options) { o.Log = slog.New(slog.NewTextHandler(&said, nil)) })
			must(t, s.Count(ctx, row(1, "a.example"), row(2, "a.example")))
			must(t, s.Done(ctx, report.Sent{Day: day, Domain: "b.example", At: storetest.Start}))
			must(t, c.harm())
			for range 2 {
				got, err := s.Rows(ctx, day, "a.example", 10)
				if c.rows < 0 != (err != nil) || c.rows >= 0 && len(got) != c.rows {
					t.Errorf("%d rows, %v", len(got), err)
				}
				if _, err := s.Sent(ctx, "b.example", 10); err != nil {
					t.Error(err)
				}
			}
			if c.rows >= 0 && (s.Damaged() == 0 || strings.Count(said.String(), "damaged and left out") != 1) {
				t.Errorf("%d damaged: %s", s.Damaged(), said.String())
			}
			must(t, s.Prune(ctx, storetest.Start.AddDate(0, 0, 1)))
			if left, err := admin.Keys(ctx, "postern:{rp:*").Result(); err != nil || len(left) > 0 {
				t.Errorf("after Prune: %q, %v", left, err)
			}
		})
	}
}

func received(n, size int) report.Received {
	at := storetest.Start.Add(time.Duration(n) * time.Minute)
	noise := make([]byte, size)
	for i, x := 0, uint32(n+1); i < size; i++ {
		x = x*1664525 + 1013904223
		noise[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[x>>26]
	}
	text, _ := json.Marshal(string(noise))
	return report.Received{Key: fmt.Sprintf("%04d", n), Kind: report.KindTLS, At: at, End: at, TLS: text}
}

// Beyond the cap the oldest reports go, it is said once, and what is left is whole.
func TestCap(t *testing.T) {
	for name, c := range map[string]*conn.Conn{"redis": redistest.Empty(t, redistest.Server(t)), "miniredis": redistest.Mini(t)} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			s := open(t, c, func(o *reports.Options) { o.Cap, o.Log = 20_000, slog.New(slog.NewTextHandler(&said, nil)) })
			for n := range 40 {
				if added, err := s.Add(t.Context(), received(n, 1000)); err != nil || !added {
					t.Fatal(added, err)
				}
			}
			all, err := s.Received(t.Context(), report.Query{})
			if err != nil || len(all) < 10 || len(all) > 30 || all[0].Key != "0039" || strings.Count(said.String(), "cap") != 2 {
				t.Fatalf("%d reports, %v: %s", len(all), err, said.String())
			}
			for _, r := range all {
				if _, ok, err := s.Report(t.Context(), r.Key); err != nil || !ok {
					t.Errorf("%s: %v, %v", r.Key, ok, err)
				}
			}
			if added, err := s.Add(t.Context(), received(50, 50_000)); err != nil || !added { // alone too large: it stays alone
				t.Error(added, err)
			}
			if all, err := s.Received(t.Context(), report.Query{}); err != nil || len(all) != 1 || all[0].Key != "0050" {
				t.Errorf("%d reports, %v", len(all), err)
			}
			must(t, s.Prune(t.Context(), storetest.Start.AddDate(1, 0, 0)))
			if size, err := c.Client().Get(t.Context(), "postern:{rr}:size").Int64(); err != nil || size != 0 {
				t.Errorf("an empty store has %d bytes, %v", size, err)
			}
		})
	}
}

// A received report that was changed or exchanged is an error, and no report.
func TestDamagedReport(t *testing.T) {
	server := redistest.Server(t)
	c := redistest.Empty(t, server)
	s := open(t, c)
	admin := server.Client()
	defer admin.Close()
	for n := range 3 {
		if _, err := s.Add(t.Context(), received(n, 10)); err != nil {
			t.Fatal(err)
		}
	}
	other, err := admin.HGet(t.Context(), "postern:{rr}:whole", "0001").Result()
	must(t, err)
	must(t, admin.HSet(t.Context(), "postern:{rr}:whole", "0000", other, "0002", "\x01").Err())
	must(t, admin.HSet(t.Context(), "postern:{rr}:brief", "0002", "\x01").Err())
	must(t, admin.Set(t.Context(), "postern:{rr}:size", "much", 0).Err())
	for _, key := range []string{"0000", "0002"} {
		if r, ok, err := s.Report(t.Context(), key); err == nil || ok || r.Key != "" {
			t.Errorf("%s: %+v, %v, %v", key, r, ok, err)
		}
	}
	if all, err := s.Received(t.Context(), report.Query{}); err != nil || len(all) != 2 {
		t.Errorf("%d reports, %v", len(all), err)
	}
	if added, err := s.Add(t.Context(), received(9, 10)); err != nil || !added {
		t.Errorf("with a size that is none: %v, %v", added, err)
	}
	if err := s.Done(t.Context(), report.Sent{Day: "x"}); err == nil {
		t.Error("a note without a day was taken")
	}
	if err := s.Count(t.Context(), report.Row{Day: "2026-1-1"}); err == nil {
		t.Error("a row without a day was taken")
	}
}
