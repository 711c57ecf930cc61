package history_test

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/filter/history"
	"postern/internal/store/local"
	home "postern/internal/store/local/history"
	"postern/internal/store/local/sqlite"
	"postern/internal/store/storetest/historytest"
)

const day = 24 * time.Hour

func noon() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

func key(n int) (k history.Key) {
	binary.BigEndian.PutUint64(k[4:], uint64(n))
	return k
}

func good(n int, at time.Time) history.Mark {
	return history.Mark{Key: key(n), At: at, Keep: 90 * day}
}

func script(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../schema/traffic-2.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// file opens a file that is closed behind the stores on it.
func file(t testing.TB, script string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "traffic.db"), sqlite.Options{Sync: "NORMAL", Migrations: []sqlite.Migration{sqlite.Script(script)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func open(t testing.TB, db *sqlite.DB, keys int) *home.Store {
	t.Helper()
	s, err := home.Open(t.Context(), db, home.Options{Log: slog.New(slog.DiscardHandler), MaxKeys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mark(t testing.TB, s *home.Store, marks ...history.Mark) {
	t.Helper()
	if err := s.Mark(t.Context(), marks); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func past(t testing.TB, s *home.Store, now time.Time, n int) history.Past {
	t.Helper()
	got, err := s.Past(t.Context(), []history.Question{{Key: key(n), Since: now.Add(-90 * day)}}, now)
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func keys(t testing.TB, db *sqlite.DB) (n int) {
	t.Helper()
	if err := db.R.QueryRow("SELECT count(*) FROM history").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	historytest.Run(t, func(t testing.TB) historytest.Store { return open(t, file(t, script(t)), 0) })
}

// The home hands out a store that is there after a restart.
func TestHome(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for life := range 3 {
		h, err := local.Open(t.Context(), local.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if got := past(t, h.History(), noon(), 1); got.Good != life {
			t.Errorf("life %d: %+v", life, got)
		}
		if err := h.History().Mark(t.Context(), []history.Mark{good(1, noon())}); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		if err := h.History().Mark(t.Context(), []history.Mark{good(1, noon())}); err == nil {
			t.Error("a closed store takes marks")
		}
	}
}

// Over the cap those keys go first that would be of use for the shortest time, and a restart
// counts what is there.
func TestCap(t *testing.T) {
	const allowed = 300
	db := file(t, script(t))
	s := open(t, db, allowed)
	now := noon()
	mark(t, s, history.Mark{Key: key(0), At: now, Keep: 400 * day})
	for n := 1; n <= 3*allowed; n++ {
		if n == 2*allowed {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, db, allowed)
		}
		mark(t, s, good(n, now.Add(time.Duration(n)*time.Hour)))
		if have := keys(t, db); have > allowed {
			t.Fatalf("%d keys after %d", have, n)
		}
	}
	if have := keys(t, db); have < allowed*9/10 {
		t.Errorf("%d keys are left: far more were forgotten than had to be", have)
	}
	end := now.Add(3 * allowed * time.Hour)
	if past(t, s, end, 0).Good != 1 || past(t, s, end, 3*allowed).Good != 1 || past(t, s, end, 1).Good != 0 {
		t.Error("the wrong keys were forgotten")
	}
}

// A key that is marked every day keeps its latest days and stays small.
func TestDaysAreBounded(t *testing.T) {
	db := file(t, script(t))
	s := open(t, db, 0)
	now := noon()
	var all []history.Mark
	for n := range 400 {
		for range 300 - n%2*299 {
			all = append(all, good(1, now.Add(time.Duration(n)*day)))
		}
	}
	mark(t, s, all...)
	end := now.Add(399 * day)
	if got := past(t, s, end, 1); got.Days != 91 || got.Good != 45*255+46 {
		t.Errorf("90 days of 400: %+v", got)
	}
	var size int
	if err := db.R.QueryRow("SELECT length(days) FROM history").Scan(&size); err != nil || size > 400 {
		t.Errorf("a key takes %d octets: %v", size, err)
	}
}

// A value that is cut short still tells what can be read of it.
func TestDamagedValue(t *testing.T) {
	db := file(t, script(t))
	s := open(t, db, 0)
	mark(t, s, good(1, noon()))
	if _, err := db.W.Exec("UPDATE history SET days = days || x'ffff'"); err != nil {
		t.Fatal(err)
	}
	if got := past(t, s, noon(), 1); got.Good != 1 {
		t.Errorf("%+v", got)
	}
	mark(t, s, good(1, noon()))
	if got := past(t, s, noon(), 1); got.Good != 2 {
		t.Errorf("after another mark: %+v", got)
	}
}

// Marks wait for others, for no longer than half a second; a full batch waits for nothing.
func TestLinger(t *testing.T) {
	text := script(t)
	synctest.Test(t, func(t *testing.T) {
		db := file(t, text)
		s := open(t, db, 0)
		for round := range 3 {
			for half := range 2 {
				if err := s.Mark(t.Context(), []history.Mark{good(2*round+half, noon())}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if n := keys(t, db); n != 2*round {
					t.Errorf("round %d: %d keys before their time", round, n)
				}
				time.Sleep(250 * time.Millisecond)
			}
			synctest.Wait()
			if n := keys(t, db); n != 2*round+2 {
				t.Errorf("round %d: %d keys after it", round, n)
			}
		}
		many := make([]history.Mark, 512)
		for i := range many {
			many[i] = good(100+i, noon())
		}
		if err := s.Mark(t.Context(), many); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := keys(t, db); n != 6+512 {
			t.Errorf("a full batch: %d keys", n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What cannot be written is counted, said once, and the next is tried again.
func TestNoTable(t *testing.T) {
	db := file(t, script(t))
	var log strings.Builder
	s, err := home.Open(t.Context(), db, home.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, q := range []string{"DROP TABLE history", "DROP TABLE history_clock"} {
		if _, err := db.W.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2 {
		mark(t, s, good(n, noon()), good(n+10, noon()))
		if got := s.Dropped(); got != uint64(2*n+2) {
			t.Errorf("dropped %d", got)
		}
	}
	if n := strings.Count(log.String(), "cannot be written"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
	if _, err := s.Past(t.Context(), []history.Question{{Key: key(1)}}, noon()); err == nil {
		t.Error("a store that cannot be read has answers")
	}
	if _, err := s.Prune(t.Context(), noon()); err == nil {
		t.Error("a store that cannot be read is pruned")
	}
	if _, err := db.W.Exec(script(t)); err != nil {
		t.Fatal(err)
	}
	mark(t, s, good(3, noon()))
	if past(t, s, noon(), 3).Good != 1 || s.Dropped() != 4 {
		t.Error("nothing is written after the table came back")
	}
	if _, err := home.Open(t.Context(), file(t, "CREATE TABLE other (a)"), home.Options{}); err == nil {
		t.Error("a file without the tables is opened")
	}
}

// What the store has no room for is said to be lost, and the caller does not wait.
func TestFull(t *testing.T) {
	db := file(t, script(t))
	s := open(t, db, 0)
	tx, err := db.W.Begin() // the only writer is taken
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for n := range 10_000 {
		if s.Mark(t.Context(), []history.Mark{good(n, noon())}) != nil {
			lost++
		}
	}
	if lost == 0 || s.Dropped() != uint64(lost) {
		t.Errorf("%d lost, %d counted", lost, s.Dropped())
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := keys(t, db); n+lost != 10_000 {
		t.Errorf("%d written and %d lost of 10000", n, lost)
	}
}

// The time that is believed outlives the process, so that a host which starts with a wrong
// clock forgets nothing.
func TestRestartWithWrongClock(t *testing.T) {
	db, now := file(t, script(t)), noon()
	s := open(t, db, 0)
	mark(t, s, good(1, now))
	if n, err := s.Prune(t.Context(), now); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, db, 0)
	for hour := range 20 {
		if n, err := s.Prune(t.Context(), now.Add(3650*day+time.Duration(hour)*time.Hour)); n != 0 || err != nil {
			t.Fatalf("hour %d: %d keys forgotten, %v", hour, n, err)
		}
	}
	for hour := range 5 {
		n, err := s.Prune(t.Context(), now.Add(3650*day+time.Duration(20+hour)*time.Hour))
		if want := hour / 4; n != want || err != nil {
			t.Fatalf("hour %d: %d keys forgotten, want %d, %v", 20+hour, n, want, err)
		}
	}
}

func BenchmarkPast(b *testing.B) {
	db := file(b, script(b))
	s := open(b, db, 0)
	for from := range 100 {
		var marks []history.Mark
		for n := range 1000 {
			marks = append(marks, good(from*1000+n, noon()), good(from*1000+n, noon().Add(day)))
		}
		mark(b, s, marks...)
	}
	for _, width := range []int{1, 3, 100} {
		b.Run(fmt.Sprintf("keys=%d", width), func(b *testing.B) {
			b.ReportAllocs()
			q := make([]history.Question, width)
			n := 0
			for b.Loop() {
				for i := range q {
					n = (n + 7919) % 200_000
					q[i] = history.Question{Key: key(n), Since: noon().Add(-90 * day)}
				}
				if _, err := s.Past(b.Context(), q, noon()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMark(b *testing.B) {
	db := file(b, script(b))
	s := open(b, db, 0)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		marks := make([]history.Mark, 0, 512)
		for i := range 512 {
			marks = append(marks, good((n*512+i*7919)%100_000, noon()))
		}
		mark(b, s, marks...)
	}
}
