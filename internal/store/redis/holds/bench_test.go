package holds_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/holds/holdstest"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// filled is a store with many holds, written without syncing.
func filled(t testing.TB, n int) *holds.Store {
	t.Helper()
	server := redistest.Server(t, "--appendonly", "no")
	s := holds.New(holds.Options{Conn: redistest.Empty(t, server), Ring: redistest.Ring(t), Now: func() time.Time { return storetest.Start }})
	if err := holdstest.Fill(t.Context(), s, n, storetest.Start.Add(-30*24*time.Hour), 30*24*time.Hour/time.Duration(n)); err != nil {
		t.Fatal(err)
	}
	return s
}

// searches are what people ask most.
func searches(n int) map[string]quarantine.Query {
	return map[string]quarantine.Query{
		"newest 50": {}, "recipient": {To: "user17@example.com"}, "word": {Words: []string{"prize"}}, "rare word": {Words: []string{strconv.Itoa(n / 100)}},
		"beginning": {Words: []string{"rech*"}}, "sender": {From: "@domain31.example"}, "symbol": {Symbol: "BAYES_99"}, "recipient and word": {To: "@example.com", Words: []string{"invoice", "order"}},
	}
}

// BenchmarkList asks a store of 100,000 holds.
func BenchmarkList(b *testing.B) {
	const n = 100_000
	s := filled(b, n)
	for name, q := range searches(n) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if page, err := s.List(b.Context(), q); err != nil || len(page.Holds) == 0 {
					b.Fatal(len(page.Holds), err)
				}
			}
		})
	}
	b.Run("page 100", func(b *testing.B) {
		q := quarantine.Query{}
		for range 99 {
			page, err := s.List(b.Context(), q)
			if err != nil {
				b.Fatal(err)
			}
			q.After = page.Next
		}
		for b.Loop() {
			if page, err := s.List(b.Context(), q); err != nil || len(page.Holds) != 50 {
				b.Fatal(len(page.Holds), err)
			}
		}
	})
}

// BenchmarkHold keeps and confirms messages of 20 kB.
func BenchmarkHold(b *testing.B) {
	s := on(b, redistest.Empty(b, redistest.Server(b)))
	noise := make([]byte, 9000)
	if _, err := rand.Read(noise); err != nil {
		b.Fatal(err)
	}
	tail := base64.StdEncoding.EncodeToString(noise)
	for n := 0; b.Loop(); n++ {
		body := strings.Repeat(fmt.Sprintf("This is line %d of a message with some words in it.\r\n", n), 150) + tail
		put(b, s, storetest.Hold(n, body), body)
		if err := s.Confirm(b.Context(), []string{storetest.Hold(n, "").ID}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFindKey asks for the key of ordinary mail.
func BenchmarkFindKey(b *testing.B) {
	s := on(b, redistest.Empty(b, redistest.Server(b)))
	for b.Loop() {
		if _, ok, err := s.FindKey(b.Context(), "of no hold", storetest.Start); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// TestFill writes holds in bulk and finds them as if they had come one by one. POSTERN_HOLDS
// says how many; with it, times and memory are measured.
func TestFill(t *testing.T) {
	n, measure := 3000, false
	if text := os.Getenv("POSTERN_HOLDS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		measure = true
	}
	began := time.Now()
	s := filled(t, n)
	t.Logf("%d holds written in %v", n, time.Since(began))
	if st := stats(t, s); st.States[quarantine.Held] != n || st.Bodies != n {
		t.Errorf("%+v, want %d", st, n)
	}
	for name, q := range searches(n) {
		var times []time.Duration
		for range 20 {
			began := time.Now()
			page, err := s.List(t.Context(), q)
			times = append(times, time.Since(began))
			if err != nil || len(page.Holds) == 0 {
				t.Fatalf("%s: %d, %v", name, len(page.Holds), err)
			}
		}
		slices.Sort(times)
		t.Logf("%-20s p50 %v p95 %v", name, times[10], times[18])
	}
	first := holdstest.Hold(0, storetest.Start.Add(-30*24*time.Hour), time.Second)
	if got, err := readAll(t, s, first.Hold.ID); err != nil || got != string(first.Body) {
		t.Errorf("%q, %v", got, err)
	}
	e, err := s.Estimate(t.Context())
	if err != nil || e.Holds != int64(n) || e.Bodies <= 0 || e.Records <= 0 || e.Indexes <= 0 || e.PerHold != e.Total()/int64(n) || e.Days < 29 || e.Days > 30 || e.PerDay < int64(n/31) {
		t.Errorf("%+v, %v", e, err)
	}
	t.Logf("%+v: a hold takes %d of bodies, %d of record, %d of indexes", e, e.Bodies/e.Holds, e.Records/e.Holds, e.Indexes/e.Holds)
	if !measure {
		got, err := s.Reindex(t.Context(), nil)
		if err != nil || got.Holds != n || got.Entries != 0 || got.Keys != 0 || got.Damaged != 0 || got.Bodies != n {
			t.Errorf("nothing was out of order: %+v, %v", got, err)
		}
	}
}
