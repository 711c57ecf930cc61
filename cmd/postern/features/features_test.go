package features_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"postern/cmd/postern/features"
	"postern/filter"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/mailtest/redisd"
	"postern/internal/spool"
	"postern/internal/store/local"
	"postern/internal/store/redis"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/rules"
	"postern/rules/replay"
)

// clock is moved by the tests.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time       { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }

// world is a book over a store.
type world struct {
	t *testing.T
	*clock
	book  *features.Book
	set   *rules.Set
	store entity.Store
	keep  features.Keep
}

func load(t *testing.T, score string) *rules.Set {
	t.Helper()
	text := "patterns:\n  - {id: OWN_PRIZE, describe: A prize, in: subject, match: 'prize', score: " + score + "}\n"
	set, err := rules.LoadFS(rules.Layer{Name: "own", FS: fstest.MapFS{"own.yaml": {Data: []byte(text)}}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newWorld(t *testing.T, store entity.Store) *world {
	w := &world{t: t, clock: newClock(), set: load(t, "3"), store: store, keep: features.Keep{For: 7 * 24 * time.Hour, Bytes: 64e6}}
	w.book = w.other("mx1")
	return w
}

func (w *world) other(node string) *features.Book {
	return features.New(features.Parts{Store: w.store, Node: node, Now: w.Now, Log: slog.New(slog.DiscardHandler), Keep: func() features.Keep { return w.keep }, Rules: func() *rules.Set { return w.set }})
}

// pass is a message that the book is told of.
func (w *world) passes(book *features.Book, symbols ...string) string {
	w.t.Helper()
	id, err := filter.NewID(w.Now(), rand.Reader)
	w.must(err)
	m := &filter.Message{ID: id, Body: bytes.NewReader(nil), Size: 2000, To: []filter.Recipient{{Address: "ann@example.com", Policy: "default"}}}
	var r filter.Report
	for _, s := range symbols {
		r.Findings = append(r.Findings, filter.Finding{Symbol: s, Step: replay.StepPatterns})
	}
	w.must(book.Done(w.t.Context(), m, filter.Outcome{Report: r, Verdicts: filter.Verdicts(w.set, m, r)}))
	return id
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// all reads everything since a time, page by page.
func (w *world) all(book *features.Book, since time.Time) (ids []string, stands float64, known int) {
	w.t.Helper()
	for after := ""; ; {
		next, damaged, err := book.Page(w.t.Context(), since, after, func(r replay.Record, p replay.Prints, s float64) {
			ids, stands = append(ids, r.ID), stands+s
			if p != nil {
				known++
			}
		})
		w.must(err)
		if damaged > 0 {
			w.t.Errorf("%d blocks cannot be read", damaged)
		}
		if next == "" {
			return ids, stands, known
		}
		after = next
	}
}

// homes are the stores that the features are kept in.
func homes(t *testing.T, f func(t *testing.T, store entity.Store)) {
	t.Run("local", func(t *testing.T) {
		h, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		f(t, h.Entities())
	})
	t.Run("redis", func(t *testing.T) {
		server := redistest.Server(t)
		h, err := redis.Open(t.Context(), redis.Options{
			Conn: conn.Options{Addrs: []string{server.Addr}, User: redistest.User, Password: redisd.Password}, Ring: redistest.Ring(t), Dir: filepath.Join(t.TempDir(), "redis"),
			Node: "mx1", Version: "v", Strict: true, Rules: func() string { return "1" }, Spool: &spool.Spool{Dir: t.TempDir(), Memory: 1 << 20}, Now: time.Now,
			Log: slog.New(slog.DiscardHandler), Event: func(string, string, bool) {}, Journal: 64 << 20, Keep: time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		ctx, stop := context.WithCancel(t.Context())
		var loops sync.WaitGroup
		t.Cleanup(func() { stop(); loops.Wait() })
		for _, loop := range h.Loops() {
			loops.Go(func() { _ = loop(ctx) })
		}
		probe := entity.Record{Kind: "probe", ID: "p", Version: 1, Data: []byte("{}")}
		if err := h.Entities.Put(ctx, probe); err != nil {
			t.Fatal(err)
		}
		probe.Version = 2 // refused while the store is taken for one that is being restored
		for err = errors.New("not yet"); err != nil; err = h.Entities.Put(ctx, probe) {
			time.Sleep(20 * time.Millisecond)
		}
		f(t, h.Entities)
	})
}

// TestBothHomesKeepFeatures: what passed on two nodes is read by either, the newest first, with
// what the patterns were then, until it is too old.
func TestBothHomesKeepFeatures(t *testing.T) {
	homes(t, func(t *testing.T, store entity.Store) {
		w := newWorld(t, store)
		two := w.other("mx2")
		old := w.passes(w.book, "OWN_PRIZE")
		w.must(w.book.Flush(t.Context()))
		w.pass(48 * time.Hour)
		w.set = load(t, "4")
		for range 20 {
			w.passes(two)
		}
		w.must(two.Flush(t.Context()))
		ids, stands, known := w.all(w.book, w.Now().Add(-72*time.Hour))
		if len(ids) != 21 || stands != 21 || known != 21 || ids[20] != old {
			t.Errorf("%d messages that stand for %v, %d of known patterns", len(ids), stands, known)
		}
		if ids, _, _ := w.all(two, w.Now().Add(-time.Hour)); len(ids) != 20 {
			t.Errorf("%d messages of the last hour", len(ids))
		}
		total, err := two.Total(t.Context(), w.Now().Add(-72*time.Hour))
		if err != nil || total.Kept != 21 || total.Seen != 21 || total.Dropped != 0 || total.Bytes == 0 {
			t.Errorf("%+v %v", total, err)
		}
		w.pass(5*24*time.Hour + time.Minute) // the first is older than a week
		w.must(w.book.Prune(t.Context()))
		if ids, _, _ := w.all(w.book, w.Now().Add(-30*24*time.Hour)); len(ids) != 20 {
			t.Errorf("%d messages after a week", len(ids))
		}
		w.pass(10 * 24 * time.Hour)
		w.must(w.book.Prune(t.Context()))
		for _, kind := range []entity.Kind{features.KindBlock, features.KindDay, features.KindRules} {
			if n, err := store.Count(t.Context(), entity.Query{Kind: kind, Index: "at"}, 10); n != 0 || err != nil {
				t.Errorf("%d records of %s are left, %v", n, kind, err)
			}
		}
	})
}

// TestSample: above its bound a share of the messages is kept, by their IDs, which is stated; and
// what is stored stays within the bound.
func TestSample(t *testing.T) {
	w := newWorld(t, &entities.Memory{})
	w.keep.Bytes = 7 * 20_000 // of seven days
	for range 6 {
		for range 300 {
			for range 20 {
				w.passes(w.book)
			}
			w.must(w.book.Flush(t.Context()))
			if total, err := w.book.Total(t.Context(), w.Now()); err != nil || total.Bytes > 20_000+8000 {
				t.Fatalf("%+v %v", total, err)
			}
			w.pass(time.Minute)
		}
		w.pass(19 * time.Hour)
	}
	w.must(w.book.Prune(t.Context()))
	total, err := w.book.Total(t.Context(), w.Now().Add(-7*24*time.Hour))
	if err != nil || total.Bytes > w.keep.Bytes || total.Kept < 300 || total.Kept > total.Seen/2 {
		t.Errorf("%+v %v", total, err)
	}
	ids, stands, _ := w.all(w.book, w.Now().Add(-7*24*time.Hour))
	if len(ids) != total.Kept || stands < float64(total.Seen)/2 || stands > float64(total.Seen)*2 {
		t.Errorf("%d messages stand for %v of %d", len(ids), stands, total.Seen)
	}
}

// TestAStoreThatIsAway: mail waits for nothing; what finds no room is dropped and counted.
func TestAStoreThatIsAway(t *testing.T) {
	away := true
	store := &entities.Memory{Fail: func() error {
		if away {
			return errors.New("away")
		}
		return nil
	}}
	w := newWorld(t, store)
	for range features.MaxBlocks {
		w.passes(w.book)
		if err := w.book.Flush(t.Context()); err == nil {
			t.Fatal("it was written")
		}
	}
	for range 30 {
		w.passes(w.book)
	}
	if n := w.book.Dropped(); n != 30 {
		t.Errorf("%d dropped", n)
	}
	away = false
	w.must(w.book.Flush(t.Context()))
	total, err := w.book.Total(t.Context(), w.Now())
	if err != nil || total.Kept != features.MaxBlocks || total.Dropped != 30 || w.book.Dropped() != 0 {
		t.Errorf("%+v %v", total, err)
	}
}

// TestLoop: a record waits a while for others, and the end of the process writes what waits.
func TestLoop(t *testing.T) {
	w := newWorld(t, &entities.Memory{})
	w.passes(w.book)
	w.must(w.book.Turn(t.Context()))
	if ids, _, _ := w.all(w.book, time.Unix(1, 0)); len(ids) != 0 {
		t.Error("it did not wait for others")
	}
	w.pass(6 * time.Minute)
	w.must(w.book.Turn(t.Context()))
	if ids, _, _ := w.all(w.book, time.Unix(1, 0)); len(ids) != 1 {
		t.Error("it waits too long")
	}
	w.passes(w.book)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.must(w.book.Loop(ctx))
	if ids, _, _ := w.all(w.book, time.Unix(1, 0)); len(ids) != 2 {
		t.Error("the end lost what waited")
	}
	w.keep.For = 0
	w.passes(w.book)
	w.must(w.book.Flush(t.Context()))
	if ids, _, _ := w.all(w.book, time.Unix(1, 0)); len(ids) != 2 {
		t.Error("kept, though nothing is to be")
	}
}

// TestADamagedBlock is passed over, and said.
func TestADamagedBlock(t *testing.T) {
	w := newWorld(t, &entities.Memory{})
	w.passes(w.book)
	w.must(w.book.Flush(t.Context()))
	page, err := w.store.Find(t.Context(), entity.Query{Kind: features.KindBlock, Index: "at"})
	w.must(err)
	r := page.Records[0]
	r.Version++
	r.Data = bytes.Replace(r.Data, []byte(`"data":"`), []byte(`"data":"AAAA`), 1)
	w.must(w.store.Put(t.Context(), r))
	_, damaged, err := w.book.Page(t.Context(), time.Unix(1, 0), "", func(replay.Record, replay.Prints, float64) { t.Error("it was read") })
	if err != nil || damaged != 1 {
		t.Errorf("%d damaged, %v", damaged, err)
	}
}

func TestMerges(t *testing.T) {
	merge := features.Merges()[features.KindDay]
	for _, c := range [][3]string{{`{"seen":3}`, `{"seen":5}`, `{"seen":5}`}, {`{"seen":7}`, `{"seen":5}`, `{"seen":7}`}} {
		if got, err := merge([]byte(c[0]), []byte(c[1])); err != nil || string(got) != c[2] {
			t.Errorf("%s %v", got, err)
		}
	}
	if _, err := merge([]byte("x"), []byte("{}")); err == nil {
		t.Error("no JSON")
	}
}

// BenchmarkStored says what a message takes in the store, with findings as real mail has them.
func BenchmarkStored(b *testing.B) {
	set, err := rules.Load()
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	book := features.New(features.Parts{Store: &entities.Memory{}, Node: "mx1", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Keep: func() features.Keep { return features.Keep{For: 7 * 24 * time.Hour, Bytes: 1e12} }, Rules: func() *rules.Set { return set }})
	names := []string{"SPF_PASS", "DKIM_PASS", "DMARC_PASS", "PTR_OK", "HAS_LIST_ID", "URL_SHORTENER", "BAYES_20", "HTML_ALONE", "DATE_FUTURE", "SPF_FAIL", "DMARC_NONE", "LINK_MISMATCH"}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(700 * time.Millisecond)
		id, err := filter.NewID(now, rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		m := &filter.Message{ID: id, Body: bytes.NewReader(nil), Size: int64(3000 + n*7919%90000), To: []filter.Recipient{{Address: fmt.Sprintf("user%d@example.com", n%400), Policy: "default"}}}
		var r filter.Report
		for i, s := range names {
			if (n*31+i*17)%7 < 4 {
				r.Findings = append(r.Findings, filter.Finding{Symbol: s, Step: "auth"})
			}
		}
		v := []filter.Verdict{{Action: filter.Accept, Rules: set.Revision(), Score: filter.Score(n % 500)}}
		if err := book.Done(b.Context(), m, filter.Outcome{Report: r, Verdicts: v}); err != nil {
			b.Fatal(err)
		}
		if n++; n%20000 == 0 {
			if err := book.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := book.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	total, err := book.Total(b.Context(), now.Add(-30*24*time.Hour))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(total.Bytes)/float64(total.Kept), "octets/message")
}
