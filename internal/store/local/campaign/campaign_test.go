package campaign_test

import (
	"bytes"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/filter/campaign/simhash"
	home "postern/internal/store/local/campaign"
	"postern/internal/store/storetest/campaigntest"
)

func open(t testing.TB, path string, prints int) *home.Store {
	t.Helper()
	script, err := os.ReadFile("../schema/campaign-1.sql")
	if err != nil {
		t.Fatal(err)
	}
	s, err := home.Open(t.Context(), path, []string{string(script)}, home.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), MaxPrints: prints})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fresh(t testing.TB) *home.Store { return open(t, filepath.Join(t.TempDir(), "campaign.db"), 0) }

func TestStore(t *testing.T) {
	campaigntest.Run(t, func(t testing.TB) campaigntest.Store { return fresh(t) })
}

func nth(n int) simhash.Print { return simhash.Print(n+1) * 0x9e3779b97f4a7c15 }

// TestReopen finds what was there before, what waited at the end included.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "campaign.db")
	s := open(t, path, 0)
	if err := s.Add(t.Context(), campaigntest.Copy(nth(1), 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(t.Context(), campaigntest.Copy(nth(1), 2)); err == nil {
		t.Error("a closed store takes copies")
	}
	s = open(t, path, 0)
	got, err := s.Near(t.Context(), nth(1), nth(1).Bands())
	if err != nil || len(got) != 1 || got[0].Messages != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestEviction forgets the prints seen longest ago, with all that belongs to them.
func TestEviction(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "campaign.db"), 100)
	for n := range 130 {
		campaigntest.Add(t, s, campaigntest.Copy(nth(n), n))
	}
	prints, _, err := s.Size(t.Context())
	if err != nil || prints > 100 {
		t.Errorf("%d prints are kept, %v", prints, err)
	}
	for n, want := range map[int]int{0: 0, 129: 1} {
		groups, err := s.Near(t.Context(), nth(n), nth(n).Wide())
		copies, err2 := s.Copies(t.Context(), []simhash.Print{nth(n)}, 10)
		if err != nil || err2 != nil || len(groups) != want || len(copies) != want {
			t.Errorf("letter %d: %v, %v, %v, %v", n, groups, copies, err, err2)
		}
	}
}

func TestPrune(t *testing.T) {
	s := fresh(t)
	for n := range 20 {
		campaigntest.Add(t, s, campaigntest.Copy(nth(n), n))
	}
	gone, err := s.Prune(t.Context(), campaigntest.Noon().Add(15*time.Second))
	if err != nil || gone != 15 {
		t.Errorf("%d are forgotten, %v", gone, err)
	}
	if left, err := s.Recent(t.Context(), time.Time{}, 100); err != nil || len(left) != 5 {
		t.Errorf("%d are left, %v", len(left), err)
	}
	if groups, err := s.Near(t.Context(), nth(1), nth(1).Bands()); err != nil || len(groups) != 0 {
		t.Errorf("forgotten, and found: %v, %v", groups, err)
	}
}

func BenchmarkNear(b *testing.B) {
	s := fresh(b)
	for n := range 20_000 {
		if err := s.Add(b.Context(), campaigntest.Copy(nth(n), n%200)); err != nil {
			b.Fatal(err)
		}
		if n%1000 == 0 {
			_ = s.Sync(b.Context())
		}
	}
	_ = s.Sync(b.Context())
	for name, bands := range map[string][]simhash.Band{"parts": nth(7).Bands(), "wide": nth(7).Wide()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Near(b.Context(), nth(7), bands); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestBrokenFile counts what could not be written, and says so once.
func TestBrokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "campaign.db")
	script, err := os.ReadFile("../schema/campaign-1.sql")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s, err := home.Open(t.Context(), path, []string{string(script)}, home.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(t.Context(), "DROP TABLE copy"); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		campaigntest.Add(t, s, campaigntest.Copy(nth(n), n))
	}
	if got := s.Dropped(); got != 3 {
		t.Errorf("%d of 3 are counted as lost", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "are lost"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
}
