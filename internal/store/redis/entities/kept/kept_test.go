package kept_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/entity"
	"postern/internal/mailtest/redisd"
	"postern/internal/spool"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/entities"
	"postern/internal/store/redis/entities/kept"
	"postern/internal/store/redis/journal"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest/entitytest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a store, and a clock that nodes share.
type world struct {
	server *redisd.Server
	ahead  atomic.Int64 // of the real time
}

func (w *world) now() time.Time       { return time.Now().Add(time.Duration(w.ahead.Load())) }
func (w *world) pass(d time.Duration) { w.ahead.Add(int64(d)) }

// node is one of several.
type node struct {
	*kept.Store
	dir  string
	conn *conn.Conn
	jrn  *journal.Journal
}

const grace = time.Minute

func (w *world) node(t *testing.T) *node {
	t.Helper()
	return w.open(t, filepath.Join(t.TempDir(), "journal"))
}

func (w *world) open(t *testing.T, dir string) *node {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	c := redistest.Connect(t, conn.Options{Addrs: []string{w.server.Addr}, User: redistest.User, Password: redisd.Password, Log: log})
	j, err := journal.Open(journal.Options{Dir: dir, Now: w.now, Log: log})
	must(t, err)
	t.Cleanup(func() { _ = j.Close() })
	sp := &spool.Spool{Memory: 1 << 20}
	far, err := entities.New(entities.Options{Conn: c, Ring: redistest.Ring(t), Now: w.now, Log: log, Spool: sp})
	must(t, err)
	return &node{kept.New(far, j, sp, phase.Options{Grace: grace, Now: w.now, Log: log}), dir, c, j}
}

// reopen is the node after its process was killed.
func (w *world) reopen(t *testing.T, n *node) *node {
	t.Helper()
	must(t, n.jrn.Close())
	return w.open(t, n.dir)
}

func start(t *testing.T, args ...string) *world {
	t.Helper()
	w := &world{server: redistest.Server(t, args...)}
	return w
}

func rec(id string, version uint64, keys ...string) entity.Record {
	r := entity.Record{Kind: "case", ID: id, Version: version, Data: []byte(fmt.Sprintf(`{"v":%d}`, version))}
	for _, k := range keys {
		r.Keys = append(r.Keys, entity.Key{Index: "state", Value: k, At: 1})
	}
	return r
}

// version is what a node reads of a record; 0 = none.
func version(t *testing.T, s entity.Store, id string) uint64 {
	t.Helper()
	r, err := s.Get(t.Context(), "case", id)
	if errors.Is(err, entity.ErrNotFound) {
		return 0
	}
	must(t, err)
	if string(r.Data) != fmt.Sprintf(`{"v":%d}`, r.Version) {
		t.Errorf("%s has version %d and says %s", id, r.Version, r.Data)
	}
	return r.Version
}

func found(t *testing.T, s entity.Store, value string) (n int) {
	t.Helper()
	n, err := s.Count(t.Context(), entity.Query{Kind: "case", Index: "state", Value: value}, 100)
	must(t, err)
	return n
}

func text(t *testing.T, s entity.Blobs, class entity.Class, sum string) string {
	t.Helper()
	r, err := s.Blob(t.Context(), class, sum)
	if errors.Is(err, entity.ErrNotFound) {
		return ""
	}
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b)
}

func put(t *testing.T, s entity.Blobs, class entity.Class, text string) string {
	t.Helper()
	sum, _, err := s.PutBlob(t.Context(), class, strings.NewReader(text))
	must(t, err)
	return sum
}

// restore tells the nodes of a loss and lets them give back what they have.
func (w *world) restore(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		must(t, n.Lost(t.Context(), "test"))
	}
	w.pass(grace + time.Second)
	for _, n := range nodes {
		must(t, n.Step(t.Context()))
	}
	w.pass(grace)
	for _, n := range nodes {
		must(t, n.Step(t.Context()))
		if n.Restoring() {
			t.Error("it is still being restored")
		}
	}
}

func TestConformance(t *testing.T) {
	w := start(t)
	entitytest.Home(t, func(t *testing.T) entity.Home {
		redistest.Flush(t, w.server)
		return w.node(t)
	})
}

// TestFlushed: what two nodes wrote, changed and removed is as it was after the store was
// emptied, and changes wait until then.
func TestFlushed(t *testing.T) {
	w := start(t)
	a, b := w.node(t), w.node(t)
	ctx := t.Context()
	must(t, a.Put(ctx, rec("one", 1, "open")))
	must(t, a.Put(ctx, rec("two", 1, "open")))
	must(t, b.Put(ctx, rec("two", 2, "shut")))
	must(t, a.Put(ctx, rec("three", 1, "open")))
	must(t, b.Remove(ctx, "case", "three", 1))
	must(t, a.Put(ctx, rec("again", 1, "open")))
	must(t, a.Remove(ctx, "case", "again", 1))
	must(t, b.Put(ctx, rec("again", 1, "open")))
	x, y := put(t, a, entity.Evidence, "x"), put(t, a, entity.Papers, "y")
	must(t, b.RemoveBlob(ctx, entity.Papers, y))
	before := must1(a.Revision(ctx, "case"))(t)
	redistest.Flush(t, w.server)
	if v := version(t, a, "one"); v != 1 {
		t.Errorf("what the node has itself it reads as version %d", v)
	}
	for _, n := range []*node{a, b} {
		must(t, n.Lost(ctx, "test"))
		for what, err := range map[string]error{"a change": n.Put(ctx, rec("two", 3)), "a removal": n.Remove(ctx, "case", "one", 1)} {
			if !errors.Is(err, conn.ErrAway) {
				t.Errorf("%s while it is restored: %v", what, err)
			}
		}
	}
	must(t, a.Put(ctx, rec("new", 1, "open"))) // a new one waits in the journal
	w.restore(t, a, b)
	for id, want := range map[string]uint64{"one": 1, "two": 2, "three": 0, "again": 1, "new": 1} {
		for _, n := range []*node{a, b} {
			if got := version(t, n, id); got != want {
				t.Errorf("%s has version %d, want %d", id, got, want)
			}
		}
	}
	if n, m := found(t, b, "open"), found(t, a, "shut"); n != 3 || m != 1 {
		t.Errorf("%d open and %d shut are found", n, m)
	}
	if text(t, b, entity.Evidence, x) != "x" || text(t, b, entity.Papers, y) != "" {
		t.Errorf("blobs: %q, %q", text(t, b, entity.Evidence, x), text(t, b, entity.Papers, y))
	}
	if after := must1(b.Revision(ctx, "case"))(t); after <= before {
		t.Errorf("the revision went from %d to %d", before, after)
	}
	must(t, b.Put(ctx, rec("one", 2)))
	must(t, a.Put(ctx, rec("one", 3)))
}

func must1[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// copied is a copy of what the store has now.
func copied(t *testing.T, w *world) (restore func()) {
	t.Helper()
	admin := w.server.Client()
	defer admin.Close()
	dumps := map[string]string{}
	for _, key := range must1(admin.Keys(t.Context(), "*").Result())(t) {
		dumps[key] = must1(admin.Dump(t.Context(), key).Result())(t)
	}
	return func() {
		redistest.Flush(t, w.server)
		admin := w.server.Client()
		defer admin.Close()
		for key, dump := range dumps {
			must(t, admin.Restore(t.Context(), key, 0, dump).Err())
		}
	}
}

// TestOldDump: a store that went back does not take anything with it.
func TestOldDump(t *testing.T) {
	w := start(t)
	a, b := w.node(t), w.node(t)
	ctx := t.Context()
	for _, id := range []string{"changed", "removed", "anew", "same"} {
		must(t, a.Put(ctx, rec(id, 1, "old")))
	}
	y := put(t, a, entity.Papers, "y")
	old := copied(t, w)
	must(t, b.Put(ctx, rec("changed", 2, "new")))
	must(t, a.Put(ctx, rec("changed", 3, "new")))
	must(t, b.Remove(ctx, "case", "removed", 1))
	must(t, b.Remove(ctx, "case", "anew", 1))
	must(t, b.Put(ctx, rec("anew", 1, "new")))
	must(t, b.Put(ctx, rec("fresh", 1, "new")))
	must(t, b.RemoveBlob(ctx, entity.Papers, y))
	z := put(t, b, entity.Papers, "z")
	old()
	if err := b.Put(ctx, rec("changed", 2, "twice")); !errors.Is(err, entity.ErrConflict) && err != nil {
		t.Errorf("a change of an old version: %v", err)
	}
	w.restore(t, a, b)
	for id, want := range map[string]uint64{"changed": 3, "removed": 0, "anew": 1, "same": 1, "fresh": 1} {
		if got := version(t, b, id); got != want {
			t.Errorf("%s has version %d, want %d", id, got, want)
		}
	}
	if n, m := found(t, b, "old"), found(t, a, "new"); n != 1 || m != 3 {
		t.Errorf("%d old and %d new are found", n, m)
	}
	if text(t, a, entity.Papers, y) != "" || text(t, a, entity.Papers, z) != "z" {
		t.Error("blobs are not as they were")
	}
}

// TestAway: with the store away new records and intake are taken, by nodes that may be killed,
// and all else says that it is away.
func TestAway(t *testing.T) {
	w := start(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b := w.node(t), w.node(t)
	ctx := t.Context()
	must(t, a.Put(ctx, rec("old", 1, "open")))
	x := put(t, a, entity.Evidence, "x")
	w.server.Kill()
	must(t, a.Put(ctx, rec("new", 1, "open")))
	must(t, a.Put(ctx, rec("twin", 1, "open")))
	must(t, b.Put(ctx, rec("twin", 1, "open")))
	sum := put(t, a, entity.Intake, "a complaint")
	if err := a.Put(ctx, rec("new", 1)); !errors.Is(err, entity.ErrExists) {
		t.Errorf("a new record twice: %v", err)
	}
	if version(t, a, "new") != 1 || text(t, a, entity.Intake, sum) != "a complaint" || text(t, a, entity.Evidence, x) != "x" {
		t.Error("what the node has itself is not read")
	}
	_, _, blob := a.PutBlob(ctx, entity.Evidence, strings.NewReader("z"))
	_, get := b.Get(ctx, "case", "old")
	_, find := a.Find(ctx, entity.Query{Kind: "case", Index: "state", Value: "open"})
	for what, err := range map[string]error{
		"a change": a.Put(ctx, rec("old", 2)), "a change of what is new": a.Put(ctx, rec("new", 2)), "a removal": a.Remove(ctx, "case", "old", 1),
		"evidence": blob, "a read": get, "a search": find, "a removed blob": a.RemoveBlob(ctx, entity.Evidence, x),
	} {
		if !errors.Is(err, conn.ErrAway) {
			t.Errorf("%s: %v", what, err)
		}
	}
	a = w.reopen(t, a) // killed
	if version(t, a, "new") != 1 || a.Status().OldestUnpushed.IsZero() {
		t.Errorf("after a kill: %+v", a.Status())
	}
	w.server.Run(t)
	again(t, func() error { _, err := a.Revision(ctx, "case"); return err })
	again(t, func() error { _, err := b.Revision(ctx, "case"); return err })
	w.pass(3 * grace)
	must(t, b.Step(ctx))
	must(t, a.Step(ctx))
	must(t, a.Step(ctx))
	for id, want := range map[string]uint64{"new": 1, "old": 1, "twin": 1} {
		if got := version(t, b, id); got != want {
			t.Errorf("%s has version %d, want %d", id, got, want)
		}
	}
	if found(t, b, "open") != 3 || text(t, b, entity.Intake, sum) != "a complaint" || !a.Status().OldestUnpushed.IsZero() {
		t.Errorf("%d are found; %+v", found(t, b, "open"), a.Status())
	}
	must(t, b.Put(ctx, rec("new", 2)))
	must(t, a.Step(ctx))
	if version(t, a, "new") != 2 {
		t.Error("it went back")
	}
}

// again repeats what a store that has just come back may not answer yet.
func again(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for range 400 {
		if err = f(); err == nil {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal(err)
}

// TestFound: a node finds the loss by itself, says so, and puts it right.
func TestFound(t *testing.T) {
	w := start(t)
	a := w.node(t)
	w.pass(3 * grace)
	must(t, a.Step(t.Context())) // the check at the start
	must(t, a.Put(t.Context(), rec("one", 1, "open")))
	sum := put(t, a, entity.Papers, "x")
	redistest.Flush(t, w.server)
	must(t, a.Refresh(t.Context()))
	if !a.Restoring() {
		t.Fatal("a flush went unseen")
	}
	w.pass(grace + time.Second)
	must(t, a.Step(t.Context()))
	w.pass(grace)
	if version(t, a.Store.Store, "one") != 1 || text(t, a.Store.Store, entity.Papers, sum) != "x" || a.Restoring() {
		t.Error("it is not as it was")
	}
}

// TestLetGo: after a day the shared store alone keeps it; what is removed is remembered for
// longer than that.
func TestLetGo(t *testing.T) {
	w := start(t)
	a, b := w.node(t), w.node(t)
	ctx := t.Context()
	for _, id := range []string{"one", "two", "three"} {
		must(t, a.Put(ctx, rec(id, 1)))
	}
	put(t, a, entity.Papers, "x")
	must(t, b.Put(ctx, rec("two", 2)))
	must(t, b.Remove(ctx, "case", "three", 1))
	must(t, a.Refresh(ctx))
	if st := a.Status(); st.Live != 2 || st.Tombstones != 1 {
		t.Errorf("%+v", st)
	}
	w.pass(phase.Keep + time.Minute)
	must(t, a.Refresh(ctx))
	if st := a.Status(); st.Live != 0 || st.Tombstones != 1 {
		t.Errorf("after a day: %+v", st)
	}
	a = w.reopen(t, a)
	if st := a.Status(); st.Live != 0 || st.Tombstones != 1 {
		t.Errorf("after a restart: %+v", st)
	}
	w.pass(entities.Marked)
	must(t, a.Step(ctx))
	if st := a.Status(); st.Tombstones != 0 {
		t.Errorf("after eight days: %+v", st)
	}
	if version(t, b, "one") != 1 || version(t, b, "two") != 2 || version(t, b, "three") != 0 {
		t.Error("the store has something else")
	}
}

// TestFullJournal: what the journal does not take was not promised.
func TestFullJournal(t *testing.T) {
	w := start(t)
	j, err := journal.Open(journal.Options{Dir: filepath.Join(t.TempDir(), "j"), Max: 1})
	must(t, err)
	defer j.Close()
	a := w.node(t)
	s := kept.New(a.Store.Store, j, &spool.Spool{Memory: 1 << 20}, phase.Options{})
	_ = s.Put(t.Context(), rec("one", 1))
	if _, _, err := s.PutBlob(t.Context(), entity.Intake, strings.NewReader("x")); !errors.Is(err, entity.ErrFull) {
		t.Errorf("a blob in a full journal: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, rec("two", 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("with nobody waiting: %v", err)
	}
}
