package journal_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"postern/internal/store/redis/journal"
)

// mail is 20 kB of text that compresses as mail does.
func mail(n int) string {
	line := fmt.Sprintf("This is line %d of a message with some words in it, as people write them.\r\n", n)
	return strings.Repeat(line, 100) + fmt.Sprintf("%x", noise(10_000-50*len(line)))
}

// BenchmarkPut writes messages of 20 kB one by one, synced.
func BenchmarkPut(b *testing.B) {
	j := open(b, journal.Options{Dir: folder(b), Log: slog.New(slog.DiscardHandler)})
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		put(b, j, name(n), "record", mail(n))
	}
}

// BenchmarkPutParallel is the same from 16 writers at once.
func BenchmarkPutParallel(b *testing.B) {
	j := open(b, journal.Options{Dir: folder(b), Log: slog.New(slog.DiscardHandler)})
	var n atomic.Int64
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(n.Add(1))
			if err := putErr(b, j, name(i), "record", mail(i)); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(j.Stats().Syncs)/float64(b.N), "syncs/op")
}

// BenchmarkOpen opens a journal of 20,000 entries.
func BenchmarkOpen(b *testing.B) {
	o := journal.Options{Dir: folder(b), Log: slog.New(slog.DiscardHandler)}
	j := open(b, o)
	items := make([]journal.Item, 20_000)
	for n := range items {
		items[n] = item(name(n), strings.Repeat("r", 1000))
	}
	set(b, j, items...)
	b.ReportAllocs()
	for b.Loop() {
		j = reopen(b, j, o)
	}
	if st := j.Stats(); st.Live != len(items) {
		b.Fatalf("%+v", st)
	}
}
