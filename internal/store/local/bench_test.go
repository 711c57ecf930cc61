package local_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/record"
	"postern/internal/store/local"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

func benchHome(b *testing.B) *local.Home {
	b.Helper()
	h, err := local.Open(b.Context(), local.Options{Dir: filepath.Join(b.TempDir(), "s"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { h.Close() })
	return h
}

// textBody is 20 kB of text that compresses as mail does.
func textBody(n int) string {
	line := fmt.Sprintf("This is line %d of a message with some words in it, as people write them.\r\n", n)
	return strings.Repeat(line, 100) + randomBody(20_000-100*len(line))
}

// BenchmarkHold keeps and confirms messages of 20 kB, synced.
func BenchmarkHold(b *testing.B) {
	h := benchHome(b)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		body := textBody(n)
		if _, err := h.Holds().Put(b.Context(), storetest.Hold(n, body), strings.NewReader(body)); err != nil {
			b.Fatal(err)
		}
		if err := h.Holds().Confirm(b.Context(), []string{storetest.Hold(n, "").ID}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHoldParallel is the same from many sessions at once.
func BenchmarkHoldParallel(b *testing.B) {
	h := benchHome(b)
	var n atomic.Int64
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(n.Add(1))
			body := textBody(i)
			hold := storetest.Hold(i, body)
			_, err := h.Holds().Put(b.Context(), hold, strings.NewReader(body))
			if err == nil {
				err = h.Holds().Confirm(b.Context(), []string{hold.ID})
			}
			if err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkSearch finds the newest 50 of one recipient among 5,000 holds.
func BenchmarkSearch(b *testing.B) {
	h := benchHome(b)
	for n := range 5000 {
		hold := storetest.Hold(n, "x")
		hold.To = []string{fmt.Sprintf("user%d@example.com", n%100)}
		if _, err := h.Holds().Put(b.Context(), hold, strings.NewReader("x")); err != nil {
			b.Fatal(err)
		}
		if err := h.Holds().Confirm(b.Context(), []string{hold.ID}); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]quarantine.Query{
		"recipient": {To: "user7@example.com"}, "words": {Words: []string{"hello"}}, "all": {}, "symbol": {Symbol: "SPF_FAIL"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if page, err := h.Holds().List(b.Context(), q); err != nil || len(page.Holds) != 50 {
					b.Fatal(len(page.Holds), err)
				}
			}
		})
	}
}

// BenchmarkFindKey asks for the key of ordinary mail, and for that of a hold.
func BenchmarkFindKey(b *testing.B) {
	h := benchHome(b)
	var last quarantine.Hold
	for n := range 500 {
		last = storetest.Hold(n, "x")
		if _, err := h.Holds().Put(b.Context(), last, strings.NewReader("x")); err != nil {
			b.Fatal(err)
		}
		if err := h.Holds().Confirm(b.Context(), []string{last.ID}); err != nil {
			b.Fatal(err)
		}
	}
	for name, key := range map[string]string{"nobody": "of no hold", "hold": last.Key} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok, err := h.Holds().FindKey(b.Context(), key, storetest.Start); err != nil || ok != (name == "hold") {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

// BenchmarkTraffic adds rows as fast as the disk takes them.
func BenchmarkTraffic(b *testing.B) {
	h := benchHome(b)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		row := record.Row{ID: fmt.Sprintf("%026d", n), Time: time.Now(), From: "a@example.org", Subject: "hello world", To: []record.Fate{{Address: "u@example.com"}}, Symbols: []string{"A", "B"}}
		for !h.Traffic().Add(row) {
			if _, err := h.Traffic().Find(b.Context(), record.Trace{Limit: 1}); err != nil {
				b.Fatal(err)
			}
		}
	}
}
