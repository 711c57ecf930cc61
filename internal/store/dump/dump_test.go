package dump_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/abuse"
	"postern/abuse/sent"
	"postern/blocklist"
	"postern/filter/greylist"
	"postern/filter/history"
	"postern/internal/backup"
	"postern/internal/entity"
	"postern/internal/mailtest/redisd"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/internal/report"
	"postern/internal/spool"
	"postern/internal/store/dump"
	"postern/internal/store/local"
	"postern/internal/store/move"
	"postern/internal/store/redis"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

var now = storetest.Start.Add(time.Hour)

func clock() time.Time { return now }

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

func embedded(t testing.TB) dump.Parts {
	t.Helper()
	h, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Log: slog.New(slog.DiscardHandler), Now: clock})
	ok(t, err)
	t.Cleanup(func() { h.Close() })
	return dump.Parts{History: h.History(), Parts: move.Parts{
		Holds: h.Holds(), Outbox: h.Outbox(), Lists: h.Lists(), Accounts: h.Accounts(), Audit: h.Audit(), Traffic: h.Traffic(),
		Reports: h.Reports(), Greylist: h.Greylist(), Sent: h.Sent(), Entities: h.Entities(),
	}}
}

func shared(t testing.TB) dump.Parts {
	t.Helper()
	s := redistest.Server(t)
	redistest.Flush(t, s)
	admin := s.Client()
	ok(t, admin.Set(t.Context(), conn.DefaultPrefix+":born", time.Now().Add(-time.Hour).UnixMilli(), 0).Err()) // in one just born nothing is released
	ok(t, admin.Close())
	h, err := redis.Open(t.Context(), redis.Options{
		Conn: conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: redisd.Password}, Ring: redistest.Ring(t),
		Dir: filepath.Join(t.TempDir(), "redis"), Node: "mx1", Version: "test", Rules: func() string { return "" }, Strict: true, Journal: 1 << 30,
		Spool: &spool.Spool{Memory: 1 << 20}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	ok(t, err)
	t.Cleanup(func() { h.Close() })
	return dump.Parts{History: h.History, Parts: move.Parts{
		Holds: h.Holds, Outbox: h.Outbox, Lists: h.Decisions.Lists(), Accounts: h.Decisions.Accounts(), Audit: h.Audit, Traffic: h.Traffic,
		Reports: h.Reports, Greylist: h.Greylist, Sent: h.Sent, Entities: h.Entities.(move.Entities),
	}}
}

// hold keeps one.
func hold(ctx context.Context, s quarantine.Store, n int) error {
	body := fmt.Sprintf("Subject: %d\r\n\r\nbody %d\r\n", n, n/2) // bodies of their own, for the larger part alike
	if n%3 == 0 {
		body = "the same for many"
	}
	h, err := s.Put(ctx, storetest.Hold(n, body), strings.NewReader(body))
	if err != nil {
		return err
	}
	return s.Confirm(ctx, []string{h.ID})
}

// fill puts something into every part of a home.
func fill(t testing.TB, p dump.Parts, from, holds int) {
	t.Helper()
	ctx := t.Context()
	for n := from; n < from+holds; n++ {
		ok(t, hold(ctx, p.Holds, n))
	}
	first := must(p.Holds.Get(ctx, storetest.Hold(from, "").ID))(t)
	first.State, first.Release = quarantine.Refused, &quarantine.Release{By: "me", At: now, Attempts: 2, Failure: "no"}
	must(p.Holds.Change(ctx, first))(t)
	ok(t, p.Accounts.PutAccount(ctx, abuse.Account{Name: fmt.Sprintf("user%d@example.org", from), At: now, Version: 1}))
	ok(t, p.Lists.PutListEntry(ctx, blocklist.Entry{Value: fmt.Sprintf("bad%d.example", from), Author: "me", Created: now.UTC()}))
	body := fmt.Sprint("owed ", from)
	must(p.Outbox.Add(ctx, outbox.Entry{ID: storetest.Hold(from, "").MessageID, Backend: "mail", SHA256: storetest.SHA(body), Size: int64(len(body)), Next: now.UTC(), Expires: now.UTC().Add(time.Hour)}, strings.NewReader(body)))(t)
	sum, _, err := p.Entities.PutBlob(ctx, entity.Evidence, strings.NewReader(fmt.Sprint("evidence ", from)))
	ok(t, err)
	ok(t, p.Entities.Put(ctx, entity.Record{Kind: "case", ID: fmt.Sprint("A-", from), Version: 1, Data: []byte(`{"sum":"` + sum + `"}`), Keys: []entity.Key{{Index: "all", At: int64(from)}}}))
	for n := range 5 {
		must(p.Audit.Append(ctx, record.Entry{Time: now, Actor: "me", Action: "release", Object: fmt.Sprint(from, n)}))(t)
	}
	id := storetest.Hold(from, "").MessageID
	ok(t, p.Sent.Begin(ctx, sent.Row{Serial: id, At: now.UTC(), Account: "a@example.org", From: "a@example.org", Client: netip.MustParseAddrPort("192.0.2.1:99"), Copies: []sent.Copy{{Recipient: "b@example.net"}}}))
	if !p.Traffic.Add(record.Row{ID: id, Time: now.UTC(), From: "x@example.net", Subject: "s"}) {
		t.Fatal("no room")
	}
	must(p.Reports.Add(ctx, report.Received{Key: fmt.Sprint("r", from), Kind: report.KindDMARC, At: now.UTC(), Domain: "example.org", Begin: now.UTC(), End: now.UTC()}))(t)
	must(p.Greylist.PutOff(ctx, greylist.Waiting{ID: id, From: "w@example.net", First: time.Now().UTC(), Last: time.Now().UTC(), Expires: time.Now().UTC().Add(time.Hour), Tries: 1, Keys: []string{fmt.Sprint("k", from)}}, time.Now()))(t)
	ok(t, p.Greylist.Settle(ctx, "", []string{source(from)}, greylist.Known{Source: "s", Last: time.Now().UTC(), Until: time.Now().UTC().Add(48 * time.Hour)}))
	ok(t, p.History.Mark(ctx, []history.Mark{{Key: history.Key{byte(from)}, At: now, Keep: history.Keep}, {Key: history.Key{byte(from)}, At: now, Keep: history.Keep, Bad: true}}))
}

// state is what a home has, as far as it is to be the same after a restore.
type state struct {
	Holds    map[string]quarantine.Hold
	Bodies   map[string]string
	Accounts []abuse.Account
	Lists    []blocklist.Entry
	Owed     []outbox.Entry
	Records  map[string]string
	Blobs    map[string]string
	Audit    []record.Entry
	Sent     []sent.Row
	Traffic  []record.Row
	Reports  []report.Received
	Waiting  []greylist.Waiting
}

func look(t testing.TB, p dump.Parts) state {
	t.Helper()
	ctx := t.Context()
	s := state{Holds: map[string]quarantine.Hold{}, Bodies: map[string]string{}, Records: map[string]string{}, Blobs: map[string]string{}}
	for q := (quarantine.Query{Limit: 1000}); ; {
		found := must(p.Holds.List(ctx, q))(t)
		for _, h := range found.Holds {
			s.Holds[h.ID] = h
			s.Bodies[h.ID] = text(t)(p.Holds.Body(ctx, h.ID))
		}
		if q.After = found.Next; q.After == "" {
			break
		}
	}
	s.Accounts, _, _ = p.Accounts.Accounts(ctx)
	s.Lists, _, _ = p.Lists.ListEntries(ctx)
	s.Owed = must(p.Outbox.List(ctx, "", 1000))(t)
	ok(t, p.Entities.Walk(ctx, func(all []entity.Record) error {
		for _, r := range all {
			s.Records[string(r.Kind)+r.ID] = string(r.Data) + fmt.Sprint(r.Keys)
		}
		return nil
	}))
	for _, class := range entity.Classes() {
		for _, sum := range must(p.Entities.BlobsBefore(ctx, class, time.Now().AddDate(100, 0, 0), 1000))(t) {
			s.Blobs[sum] = text(t)(p.Entities.Blob(ctx, class, sum)) + fmt.Sprint(must(p.Entities.BlobTime(ctx, class, sum))(t).UnixMilli())
		}
	}
	last := must(record.Verify(ctx, p.Audit))(t)
	for int64(len(s.Audit)) < last.Seq {
		s.Audit = append(s.Audit, must(p.Audit.Entries(ctx, int64(len(s.Audit)), 500))(t)...)
	}
	s.Sent, _, _ = p.Sent.Since(ctx, "", 1000)
	slices.SortFunc(s.Sent, func(a, b sent.Row) int { return strings.Compare(a.Serial, b.Serial) })
	s.Traffic = must(p.Traffic.Find(ctx, record.Trace{Limit: 1000}))(t).Rows
	s.Reports = must(p.Reports.Received(ctx, report.Query{Limit: 1000}))(t)
	slices.SortFunc(s.Reports, func(a, b report.Received) int { return strings.Compare(a.Key, b.Key) })
	s.Waiting = must(p.Greylist.ListWaiting(ctx, "", 1000, time.Now()))(t)
	slices.SortFunc(s.Waiting, func(a, b greylist.Waiting) int { return strings.Compare(a.ID, b.ID) })
	return s
}

func text(t testing.TB) func(r io.ReadCloser, err error) string {
	return func(r io.ReadCloser, err error) string {
		t.Helper()
		ok(t, err)
		defer r.Close()
		return string(must(io.ReadAll(r))(t))
	}
}

// same compares, but for what a restore counts anew.
func same(t testing.TB, want, got state) {
	t.Helper()
	opts := []cmp.Option{
		cmpopts.IgnoreFields(quarantine.Hold{}, "Version"), cmpopts.IgnoreFields(outbox.Entry{}, "Version", "Ambiguous"), cmpopts.IgnoreFields(abuse.Account{}, "Version"),
		cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(time.Millisecond), cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{}),
	}
	if d := cmp.Diff(want, got, opts...); d != "" {
		t.Errorf("-there was +there is\n%.4000s", d)
	}
}

func save(t testing.TB, p dump.Parts, dir, kind string, from backup.Kind, at time.Time) backup.Manifest {
	t.Helper()
	d := &dump.Dumper{From: p, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	m, err := backup.Run(t.Context(), backup.Options{Dir: dir, Kind: from, Program: "test", Home: kind, Node: "mx", Now: func() time.Time { return at }}, d.Dump)
	ok(t, err)
	if len(m.Damaged) > 0 {
		t.Errorf("damaged: %q", m.Damaged)
	}
	return m
}

func restore(t testing.TB, p dump.Parts, dir, run string) dump.Restored {
	t.Helper()
	c, err := backup.Open(dir, run)
	ok(t, err)
	defer c.Close()
	out, err := (&dump.Loader{To: p, Now: time.Now}).Load(t.Context(), c)
	ok(t, err)
	return out
}

// TestEveryPart: each home is backed up in full and in increments, and restored into each.
func TestEveryPart(t *testing.T) {
	kinds := map[string]func(testing.TB) dump.Parts{"local": embedded, "redis": shared}
	for from, open := range kinds {
		p, dir := open(t), filepath.Join(t.TempDir(), "backup")
		fill(t, p, 0, 20)
		full := save(t, p, dir, from, backup.Full, now)
		before := look(t, p)
		fill(t, p, 100, 10)
		gone := must(p.Holds.Get(t.Context(), storetest.Hold(5, "").ID))(t)
		gone.State, gone.Ended = quarantine.Deleted, &quarantine.Ended{At: now, By: "me"}
		must(p.Holds.Change(t.Context(), gone))(t)
		next := save(t, p, dir, from, backup.Incremental, now.Add(time.Hour))
		if next.Kind != backup.Incremental || next.Written["holds"] != 10 || next.Live["holds"] != 29 || next.Written["audit"] != 5 || next.Written["blobs"] != 1 || next.Written["bodies"] > 7 {
			t.Errorf("%s: %s wrote %v of %v", from, next.Kind, next.Written, next.Live)
		}
		after := look(t, p)
		for to, open := range kinds {
			t.Run(from+" to "+to, func(t *testing.T) {
				for run, want := range map[string]state{full.Run: before, next.Run: after} {
					there := open(t)
					restore(t, there, dir, run)
					same(t, want, look(t, there))
					learnt(t, there, map[string]int{full.Run: 1, next.Run: 2}[run])
					c, err := backup.Open(dir, run)
					ok(t, err)
					if _, err := (&dump.Loader{To: there, Now: time.Now}).Load(t.Context(), c); !errors.Is(err, dump.ErrNotEmpty) {
						t.Errorf("restored into a home that is not empty: %v", err)
					}
					ok(t, c.Close())
				}
			})
		}
	}
}

// source is a key of the greylist as it writes them.
func source(n int) string { return fmt.Sprintf("%032x", n) }

// learnt checks what was learnt from the mail of a home.
func learnt(t *testing.T, p dump.Parts, fills int) {
	t.Helper()
	for n := range fills {
		past := must(p.History.Past(t.Context(), []history.Question{{Key: history.Key{byte(n * 100)}, Since: now.Add(-24 * time.Hour)}}, now))(t)
		if d := cmp.Diff([]history.Past{{Good: 1, Bad: 1, Days: 1}}, past); d != "" {
			t.Errorf("history %d: %s", n, d)
		}
		found := must(p.Greylist.Find(t.Context(), nil, []string{source(n * 100)}, time.Now()))(t)
		if found.Known == nil || found.Known.Source != "s" {
			t.Errorf("known %d: %+v", n, found)
		}
	}
}

// TestWhileMailFlows backs up many holds while others come and go: what stood throughout is in
// the backup just as it was, the audit chain verifies, and one flipped byte is named. Both homes.
func TestWhileMailFlows(t *testing.T) {
	for home, open := range map[string]func(testing.TB) dump.Parts{"local": embedded, "redis": shared} {
		t.Run(home, func(t *testing.T) { whileMailFlows(t, home, open) })
	}
}

func whileMailFlows(t *testing.T, home string, open func(testing.TB) dump.Parts) {
	t.Helper()
	holds := 500
	if os.Getenv("POSTERN_CAMPAIGN") != "" {
		holds = 10_000
	}
	if n, err := strconv.Atoi(os.Getenv("POSTERN_HOLDS")); err == nil {
		holds = n
	}
	p, dir := open(t), filepath.Join(t.TempDir(), "backup")
	began := time.Now()
	fill(t, p, 0, holds)
	t.Logf("%d holds made in %s", holds, time.Since(began))
	before := look(t, p)
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	came := 0
	writer.Go(func() {
		for n := holds + 1; ctx.Err() == nil; n++ {
			if err := hold(t.Context(), p.Holds, n); err != nil {
				t.Error(err)
				return
			}
			came++
			_, err := p.Audit.Append(t.Context(), record.Entry{Time: now, Actor: "me", Action: "hold", Object: fmt.Sprint(n)})
			h, gerr := p.Holds.Get(t.Context(), storetest.Hold(n, "").ID)
			if h.State, h.Ended = quarantine.Deleted, (&quarantine.Ended{At: now, By: "me"}); n%2 == 0 && gerr == nil {
				_, gerr = p.Holds.Change(t.Context(), h)
			}
			if err := errors.Join(err, gerr); err != nil {
				t.Error(err)
				return
			}
		}
	})
	began = time.Now()
	full := save(t, p, dir, home, backup.Full, now)
	took := time.Since(began)
	next := save(t, p, dir, home, backup.Incremental, now.Add(time.Hour))
	stop()
	writer.Wait()

	t.Logf("%d holds in %s, %.1f MB, %d bodies; %d came meanwhile", full.Live["holds"], took, float64(full.Bytes())/1e6, full.Written["bodies"], came)
	for into, open := range map[string]func(testing.TB) dump.Parts{"embedded": embedded, "redis": shared} {
		there := open(t)
		began = time.Now()
		out := restore(t, there, dir, next.Run)
		t.Logf("restored into %s in %s: %v", into, time.Since(began), out)
		restored(t, before, look(t, there))
	}
	began = time.Now()
	flip(t, dir, next)
	t.Logf("a flipped byte in each file is named, in %s", time.Since(began))
}

// going is a store whose hold is deleted by another while its body is read.
type going struct {
	quarantine.Store
	id string
}

func (g going) Body(ctx context.Context, id string) (io.ReadCloser, error) {
	r, err := g.Store.Body(ctx, id)
	if err != nil || id != g.id {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, 3), readFunc(func([]byte) (int, error) {
		h, err := g.Get(ctx, id)
		if err == nil && !h.State.Ended() {
			h.State, h.Ended = quarantine.Deleted, &quarantine.Ended{At: now, By: "me"}
			_, err = g.Change(ctx, h)
		}
		return 0, errors.Join(err, quarantine.ErrCorrupt)
	})), r}, nil
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// TestDeletedWhileRead tells a hold that went while it was read from one that is damaged.
func TestDeletedWhileRead(t *testing.T) {
	for home, open := range map[string]func(testing.TB) dump.Parts{"local": embedded, "redis": shared} {
		p := open(t)
		for n := range 4 {
			ok(t, hold(t.Context(), p.Holds, n))
		}
		p.Holds = going{p.Holds, storetest.Hold(1, "").ID}
		if m := save(t, p, filepath.Join(t.TempDir(), "backup"), home, backup.Full, now); m.Live["holds"] != 3 {
			t.Errorf("%s: %v", home, m.Live)
		}
	}
}

// restored checks that all is there that was there before the backup began; what came while it ran
// may be there as well.
func restored(t *testing.T, before, got state) {
	t.Helper()
	if len(got.Audit) < len(before.Audit) {
		t.Fatal("the audit is shorter")
	}
	audit := got.Audit[:len(before.Audit)]
	maps.DeleteFunc(got.Holds, func(id string, _ quarantine.Hold) bool { _, was := before.Holds[id]; return !was })
	maps.DeleteFunc(got.Bodies, func(id, _ string) bool { _, was := before.Bodies[id]; return !was })
	got.Audit = audit
	same(t, before, got)
}

// flip flips one byte in each file: a restore names the file and the record, and writes nothing.
func flip(t *testing.T, dir string, last backup.Manifest) {
	t.Helper()
	there := embedded(t)
	for _, run := range last.Chain {
		entries, err := os.ReadDir(filepath.Join(dir, run))
		ok(t, err)
		for _, e := range entries {
			path := filepath.Join(dir, run, e.Name())
			whole, err := os.ReadFile(path)
			ok(t, err)
			bad := slices.Clone(whole)
			bad[len(bad)/2] ^= 1
			ok(t, os.WriteFile(path, bad, 0o600))
			c, err := backup.Open(dir, last.Run)
			if err == nil {
				_, err = (&dump.Loader{To: there, Now: time.Now}).Load(t.Context(), c)
				ok(t, c.Close())
			}
			ok(t, os.WriteFile(path, whole, 0o600))
			var d *backup.DamageError
			if !errors.As(err, &d) || d.Run != run || strings.TrimSuffix(d.File, ".json") != strings.TrimSuffix(strings.TrimSuffix(e.Name(), ".json"), ".sha256") {
				t.Fatalf("%s/%s: %v", run, e.Name(), err)
			}
			if strings.HasSuffix(d.File, ".rec") && len(whole) > 100 && d.Record == 0 {
				t.Errorf("%s/%s: no record is named: %v", run, e.Name(), err)
			}
		}
	}
	if err := (&dump.Loader{To: there}).Empty(t.Context()); err != nil {
		t.Error(err)
	}
}
