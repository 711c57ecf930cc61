package decisions

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"postern/abuse"
	"postern/blocklist"
	"postern/internal/store/redis/redistest"
)

// BenchmarkLargeSite measures a site with 100,000 list entries and 10,000 accounts: giving all
// to an empty store, a new node, a look when nothing changed, and the longest wait of a reader
// while everything is compared.
func BenchmarkLargeSite(b *testing.B) {
	s := redistest.Server(b)
	for b.Loop() {
		ring := redistest.Ring(b)
		c := redistest.Empty(b, s)
		o := Options{File: filepath.Join(b.TempDir(), "a"), Conn: c, Ring: ring, Node: "a"}
		d, err := Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		var all []*held
		for i := range 110_000 {
			r := record{Kind: KindList, Version: 1, At: time.Now().UTC(), By: "a"}
			var payload any
			if i < 10_000 {
				r.Kind, r.Name = KindAccount, fmt.Sprintf("account%d@example.com", i)
				payload = abuse.Account{Name: r.Name, State: abuse.Suspended, Reason: "sent 500 messages in a minute", By: "rules", Version: 1}
			} else {
				e := blocklist.Entry{Value: fmt.Sprintf("2001:db8::%x", i), Scope: "all", Reason: "spam", Author: "me", Created: r.At}
				r.Name, payload = e.Key(), e
			}
			h, err := encode('1', r, payload, nil)
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, h)
		}
		for ; len(all) > 0; all = all[min(page, len(all)):] {
			if err := d.take(all[:min(page, len(all))]); err != nil {
				b.Fatal(err)
			}
		}
		measure(b, "give-all-ms", func() { d.next = time.Time{}; must(b, d.Sync(b.Context())); must(b, d.Sync(b.Context())) })
		measure(b, "unchanged-ms", func() { must(b, d.Sync(b.Context())) })
		measure(b, "entries-ms", func() { d.Lists().ListEntries(b.Context()) })
		var worst atomic.Int64
		done, end := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(end)
			for {
				select {
				case <-done:
					return
				default:
				}
				began := time.Now()
				_, _ = d.Accounts().Account(context.Background(), "account1@example.com")
				worst.Store(max(worst.Load(), int64(time.Since(began))))
			}
		}()
		measure(b, "compare-all-ms", func() { d.next = time.Time{}; must(b, d.Sync(b.Context())) })
		close(done)
		<-end
		b.ReportMetric(float64(worst.Load())/1e6, "reader-worst-ms")
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		o.File, o.Node = filepath.Join(b.TempDir(), "b"), "b"
		var n *Decisions
		measure(b, "new-node-ms", func() {
			if n, err = Open(b.Context(), o); err != nil {
				b.Fatal(err)
			}
			must(b, n.Sync(b.Context()))
		})
		if len(n.records) != 110_000 {
			b.Fatalf("%d records", len(n.records))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
		measure(b, "restart-ms", func() {
			n.Close()
			if n, err = Open(b.Context(), o); err != nil {
				b.Fatal(err)
			}
		})
		n.Close()
		d.Close()
	}
}

func measure(b *testing.B, unit string, f func()) {
	began := time.Now()
	f()
	b.ReportMetric(float64(time.Since(began))/1e6, unit)
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
