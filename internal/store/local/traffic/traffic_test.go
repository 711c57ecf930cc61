package traffic

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/record"
)

func openStore(t *testing.T, script string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "traffic.db"), Migrations: []string{script},
		Waiting: 4096, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func script(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../schema/traffic-1.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func row(n int, to ...string) record.Row {
	r := record.Row{ID: fmt.Sprintf("%026d", n), Time: time.Unix(1_800_000_000, 0), From: "a@example.org", Subject: "hello world"}
	for _, addr := range to {
		r.To = append(r.To, record.Fate{Address: addr})
	}
	return r
}

func count(t *testing.T, s *Store, query string) (n int) {
	t.Helper()
	if err := s.db.R.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A row waits for others, for no longer than linger, and a full batch waits for nothing.
func TestLinger(t *testing.T) {
	text := script(t)
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, text)
		defer s.Close()
		const rows = "SELECT count(*) FROM traffic"
		for round := range 3 {
			s.Add(row(2*round, "u@example.com"))
			time.Sleep(linger / 2)
			s.Add(row(2*round+1, "u@example.com"))
			synctest.Wait()
			if n := count(t, s, rows); n != 2*round {
				t.Errorf("round %d: %d rows written before their time", round, n)
			}
			time.Sleep(linger / 2)
			synctest.Wait()
			if n := count(t, s, rows); n != 2*round+2 {
				t.Errorf("round %d: %d rows after it", round, n)
			}
		}
		for n := range batch {
			s.Add(row(100 + n))
		}
		synctest.Wait()
		if n := count(t, s, rows); n != 6+batch {
			t.Errorf("a full batch: %d rows", n)
		}
	})
}

// A message recorded twice, in one batch or in two, keeps its last row, with the words and
// the recipients of that one only.
func TestTwice(t *testing.T) {
	s := openStore(t, script(t))
	defer s.Close()
	again := func(subject string, to ...string) {
		r := row(1, to...)
		r.Subject = subject
		s.Add(r)
	}
	find := func(q record.Trace) int {
		t.Helper()
		page, err := s.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Rows)
	}
	again("first", "one@example.com")
	again("second", "two@example.com")
	for _, next := range []string{"second", "third"} {
		if find(record.Trace{}) != 1 || find(record.Trace{To: "one@example.com"}) != 0 || find(record.Trace{Subject: "first"}) != 0 {
			t.Errorf("%s: something of an earlier row is left", next)
		}
		if find(record.Trace{To: "two@example.com"}) != 1 || find(record.Trace{Subject: next}) != 1 {
			t.Errorf("%s: the last row is not found", next)
		}
		again("third", "two@example.com", "three@example.com")
	}
}

// Rows that cannot be written are counted, and the next ones are tried again.
func TestNoTable(t *testing.T) {
	s := openStore(t, "CREATE TABLE other (a)")
	defer s.Close()
	for n := range 2 {
		s.Add(row(n))
		if err := s.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.Dropped(); got != uint64(n+1) {
			t.Errorf("dropped %d, want %d", got, n+1)
		}
	}
	if _, err := s.db.W.Exec(script(t)); err != nil {
		t.Fatal(err)
	}
	s.Add(row(3))
	if page, err := s.Find(t.Context(), record.Trace{}); err != nil || len(page.Rows) != 1 || s.Dropped() != 2 {
		t.Errorf("after the table was made: %d rows, %d dropped, %v", len(page.Rows), s.Dropped(), err)
	}
}
