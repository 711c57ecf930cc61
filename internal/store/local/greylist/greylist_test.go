package greylist_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"postern/filter/greylist"
	"postern/internal/store/local"
	home "postern/internal/store/local/greylist"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/greytest"
)

func open(t testing.TB, dir string) *local.Home {
	t.Helper()
	h, err := local.Open(t.Context(), local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func TestStore(t *testing.T) {
	greytest.Store(t, open(t, filepath.Join(t.TempDir(), "s")).Greylist())
}

func TestSurvivesReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	h := open(t, dir)
	if _, err := h.Greylist().PutOff(t.Context(), greytest.Entry(1, "k"), storetest.Start); err != nil {
		t.Fatal(err)
	}
	if err := h.Greylist().Settle(t.Context(), "", []string{"a"}, greylist.Known{Until: storetest.Start}); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir).Greylist()
	if found, err := s.Find(t.Context(), []string{"k"}, []string{"a"}, storetest.Start); found.Waiting == nil || found.Known == nil || err != nil {
		t.Error(found, err)
	}
}

// A flood keeps what is newest, whether it has many entries or few with many keys.
func TestRowsAreBounded(t *testing.T) {
	for name, keys := range map[string]int{"entries": 1, "keys": 50} {
		t.Run(name, func(t *testing.T) {
			const rows = 40
			db := open(t, filepath.Join(t.TempDir(), "s")).Traffic().DB()
			s, err := home.Open(t.Context(), db, rows)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 * rows {
				var all []string
				for k := range keys {
					all = append(all, fmt.Sprint(i, "-", k))
				}
				if _, err := s.PutOff(t.Context(), greytest.Entry(i, all...), storetest.Start.Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				if err := s.Settle(t.Context(), "", all, greylist.Known{Last: storetest.Start.Add(time.Duration(i) * time.Second)}); err != nil {
					t.Fatal(err)
				}
			}
			var waiting, tries, known int
			if err := db.R.QueryRowContext(t.Context(), "SELECT (SELECT count(*) FROM grey_waiting), (SELECT count(*) FROM grey_try), (SELECT count(*) FROM grey_known)").Scan(&waiting, &tries, &known); err != nil {
				t.Fatal(err)
			}
			if waiting == 0 || waiting > rows || tries > 5*rows || known == 0 || known > rows {
				t.Errorf("%d entries, %d keys, %d sources", waiting, tries, known)
			}
			if _, err := s.GetWaiting(t.Context(), greytest.Entry(3*rows-1).ID); err != nil {
				t.Error("the newest is gone:", err)
			}
			if _, err := s.GetWaiting(t.Context(), greytest.Entry(0).ID); err == nil {
				t.Error("the oldest is still there")
			}
		})
	}
}

func BenchmarkPutOff(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "s")).Greylist()
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		w := greytest.Entry(n, fmt.Sprint(n, "a"), fmt.Sprint(n, "b"), fmt.Sprint(n, "c"), fmt.Sprint(n, "d"))
		if _, err := s.PutOff(b.Context(), w, w.First); err != nil {
			b.Fatal(err)
		}
	}
}
