package durable_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/store/redis/durable"
	"postern/internal/store/redis/journal"
	"postern/internal/store/redis/journal/segment"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("the store is away")

// far is a shared store in memory, whose memory can be turned back.
type far struct {
	quarantine.Store // nil: what is not here is not used

	mu     sync.Mutex
	holds  map[string]row
	born   time.Time
	stuck  string          // an ID that a Push does not bring in
	listed map[string]bool // what Enlist was told
}

type row struct {
	h      quarantine.Hold
	body   string
	owners int
}

func newFar() *far { return &far{holds: map[string]row{}, listed: map[string]bool{}} }

// dump is what is stored now, restore what is stored from now on.
func (f *far) dump() map[string]row {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.holds)
}

func (f *far) restore(d map[string]row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds = maps.Clone(d)
}

func (f *far) byKey(key string) (row, bool) {
	for _, r := range f.holds {
		if r.h.Key == key && key != "" {
			return r, true
		}
	}
	return row{}, false
}

func (f *far) Put(_ context.Context, h quarantine.Hold, body io.Reader) (quarantine.Hold, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return h, err
	}
	sum := sha256.Sum256(text)
	if hex.EncodeToString(sum[:]) != h.SHA256 {
		return h, quarantine.ErrCorrupt
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.byKey(h.Key); ok {
		r.owners++
		f.holds[r.h.ID] = r
		return r.h, nil
	}
	if _, ok := f.holds[h.ID]; ok {
		return h, quarantine.ErrTaken
	}
	h.State, h.Version = quarantine.Provisional, 1
	f.holds[h.ID] = row{h, string(text), 1}
	return h, nil
}

func (f *far) Confirm(_ context.Context, ids []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if _, ok := f.holds[id]; !ok {
			return quarantine.ErrNotFound
		}
	}
	for _, id := range ids {
		if r := f.holds[id]; r.h.State == quarantine.Provisional {
			r.h.State = quarantine.Held
			r.h.Version++
			f.holds[id] = r
		}
	}
	return nil
}

func (f *far) Drop(_ context.Context, ids []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		r, ok := f.holds[id]
		if !ok || r.h.State != quarantine.Provisional {
			continue
		}
		if r.owners--; r.owners <= 0 {
			delete(f.holds, id)
		} else {
			f.holds[id] = r
		}
	}
	return nil
}

func (f *far) Get(_ context.Context, id string) (quarantine.Hold, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.holds[id]
	if !ok {
		return quarantine.Hold{}, quarantine.ErrNotFound
	}
	return r.h, nil
}

func (f *far) FindKey(_ context.Context, key string, _ time.Time) (quarantine.Hold, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.byKey(key)
	return r.h, ok && r.h.State != quarantine.Provisional, nil
}

func (f *far) Body(_ context.Context, id string) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.holds[id]
	if !ok || r.h.State.Ended() {
		return nil, quarantine.ErrNotFound
	}
	return io.NopCloser(strings.NewReader(r.body)), nil
}

func (f *far) Change(_ context.Context, h quarantine.Hold) (quarantine.Hold, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.holds[h.ID]
	switch {
	case !ok:
		return h, quarantine.ErrNotFound
	case r.h.State.Ended():
		return h, quarantine.ErrEnded
	case r.h.Version != h.Version:
		return h, quarantine.ErrConflict
	}
	r.h.State, r.h.Release, r.h.Ended, r.h.Expires = h.State, h.Release, h.Ended, h.Expires
	r.h.Version++
	if r.h.State.Ended() {
		r.body = ""
	}
	f.holds[h.ID] = r
	return r.h, nil
}

func (f *far) Enlist(_ context.Context, holds []quarantine.Hold) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range holds {
		f.listed[h.ID] = true
	}
	return nil
}

func (f *far) Look(_ context.Context, ids []string) ([]quarantine.Hold, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]quarantine.Hold, len(ids))
	for i, id := range ids {
		out[i] = f.holds[id].h
	}
	return out, nil
}

func (f *far) Push(_ context.Context, h quarantine.Hold, body func() (io.ReadCloser, error)) (quarantine.Hold, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.holds[h.ID]
	if f.stuck == h.ID {
		return h, nil
	}
	if ok && (r.h.Version > h.Version || r.h.Version == h.Version && (!h.State.Ended() || r.h.State.Ended())) {
		return r.h, nil
	}
	if r.body == "" && !h.State.Ended() {
		b, err := body()
		if err != nil {
			return r.h, err
		}
		text, err := io.ReadAll(b)
		if err = errors.Join(err, b.Close()); err != nil {
			return r.h, err
		}
		r.body = string(text)
	}
	if h.State.Ended() {
		r.body = ""
	}
	r.h = h
	f.holds[h.ID] = r
	return h, nil
}

// link is the way of one node to the shared store.
type link struct {
	*far
	down bool // nothing passes
	deaf bool // what is asked is done, the answer is lost
}

func (l *link) do(f func() error) error {
	if l.down {
		return errAway
	}
	err := f()
	if l.deaf {
		return errAway
	}
	return err
}

func (l *link) Put(ctx context.Context, h quarantine.Hold, body io.Reader) (out quarantine.Hold, err error) {
	err = l.do(func() (err error) { out, err = l.far.Put(ctx, h, body); return err })
	return out, err
}

func (l *link) Confirm(ctx context.Context, ids []string) error {
	return l.do(func() error { return l.far.Confirm(ctx, ids) })
}

func (l *link) Drop(ctx context.Context, ids []string) error {
	return l.do(func() error { return l.far.Drop(ctx, ids) })
}

func (l *link) Get(ctx context.Context, id string) (out quarantine.Hold, err error) {
	err = l.do(func() (err error) { out, err = l.far.Get(ctx, id); return err })
	return out, err
}

func (l *link) FindKey(ctx context.Context, key string, since time.Time) (out quarantine.Hold, ok bool, err error) {
	err = l.do(func() (err error) { out, ok, err = l.far.FindKey(ctx, key, since); return err })
	return out, ok, err
}

func (l *link) Body(ctx context.Context, id string) (out io.ReadCloser, err error) {
	err = l.do(func() (err error) { out, err = l.far.Body(ctx, id); return err })
	return out, err
}

func (l *link) Change(ctx context.Context, h quarantine.Hold) (out quarantine.Hold, err error) {
	err = l.do(func() (err error) { out, err = l.far.Change(ctx, h); return err })
	return out, err
}

func (l *link) Enlist(ctx context.Context, holds []quarantine.Hold) error {
	return l.do(func() error { return l.far.Enlist(ctx, holds) })
}

func (l *link) Look(ctx context.Context, ids []string) (out []quarantine.Hold, err error) {
	err = l.do(func() (err error) { out, err = l.far.Look(ctx, ids); return err })
	return out, err
}

func (l *link) Push(ctx context.Context, h quarantine.Hold, body func() (io.ReadCloser, error)) (out quarantine.Hold, err error) {
	err = l.do(func() (err error) { out, err = l.far.Push(ctx, h, body); return err })
	return out, err
}

// quick is a disk whose syncs cost nothing.
type quick struct{ segment.OS }

func (quick) SyncDir(string) error { return nil }

func (d quick) Create(name string) (segment.File, error) {
	f, err := d.OS.Create(name)
	return quickFile{f}, err
}

type quickFile struct{ segment.File }

func (quickFile) Sync() error { return nil }

const grace = 15 * time.Second

// fleet is some nodes with one shared store and one clock.
type fleet struct {
	t      testing.TB
	far    *far
	now    time.Time
	nodes  []*node
	untold map[*node]time.Time // when a node hears that the store has lost something
}

type node struct {
	fleet  *fleet
	name   string
	dir    string
	link   *link
	jrn    *journal.Journal
	store  *durable.HoldStore
	alarms int
}

func newFleet(t testing.TB, n int) *fleet {
	t.Helper()
	f := &fleet{t: t, far: newFar(), now: storetest.Start, untold: map[*node]time.Time{}}
	for i := range n {
		nd := &node{fleet: f, name: fmt.Sprint(i), dir: filepath.Join(t.TempDir(), "j"), link: &link{far: f.far}}
		f.nodes = append(f.nodes, nd)
		nd.open()
	}
	t.Cleanup(func() {
		for _, nd := range f.nodes {
			nd.jrn.Close()
		}
	})
	f.pass(3 * grace) // the check at the start is over
	return f
}

func (n *node) open() {
	n.fleet.t.Helper()
	now := func() time.Time { return n.fleet.now }
	j, err := journal.Open(journal.Options{Dir: n.dir, Disk: quick{}, Now: now})
	if err != nil {
		n.fleet.t.Fatal(err)
	}
	n.jrn = j
	n.store = durable.NewHolds(n.link, j, durable.Options{Grace: grace, Now: now, Log: slog.New(slog.DiscardHandler), Alarm: func(string) { n.alarms++ }, Born: n.born})
}

func (n *node) born(context.Context) (out, now time.Time, err error) {
	err = n.link.do(func() error { out, now = n.fleet.far.born, n.fleet.now; return nil })
	return out, now, err
}

// restart is a crash: what is in memory is lost.
func (n *node) restart() {
	n.fleet.t.Helper()
	if err := n.jrn.Close(); err != nil {
		n.fleet.t.Fatal(err)
	}
	n.open()
}

// pass lets time pass; every node works meanwhile.
func (f *fleet) pass(d time.Duration) {
	f.t.Helper()
	for ; d > 0; d -= 5 * time.Second {
		f.now = f.now.Add(5 * time.Second)
		for _, n := range f.nodes {
			if at, ok := f.untold[n]; ok && !f.now.Before(at) && !n.link.down {
				delete(f.untold, n)
				f.tell(n, "late")
			}
			n.step()
		}
	}
}

func (n *node) step() {
	n.fleet.t.Helper()
	if err := errors.Join(n.store.Step(n.fleet.t.Context()), n.store.Refresh(n.fleet.t.Context())); err != nil && !errors.Is(err, errAway) {
		n.fleet.t.Errorf("node %s: %v", n.name, err)
	}
}

// lost tells every node that is not cut off.
func (f *fleet) lost(why string) {
	f.t.Helper()
	f.far.born = f.now
	for _, n := range f.nodes {
		f.tell(n, why)
	}
}

func (f *fleet) tell(n *node, why string) {
	f.t.Helper()
	if err := n.store.Lost(f.t.Context(), why); err != nil && !errors.Is(err, errAway) {
		f.t.Error(err)
	}
}

func (f *fleet) flush() {
	f.far.restore(nil)
	f.far.mu.Lock()
	f.far.holds = map[string]row{}
	f.far.mu.Unlock()
}

func body(n int) string { return strings.Repeat(fmt.Sprintf("line %d\r\n", n), 50) }

// hold keeps and confirms hold n on a node.
func (n *node) hold(i int) string {
	n.fleet.t.Helper()
	h, err := n.store.Put(n.fleet.t.Context(), storetest.Hold(i, body(i)), strings.NewReader(body(i)))
	if err == nil {
		err = n.store.Confirm(n.fleet.t.Context(), []string{h.ID})
	}
	if err != nil {
		n.fleet.t.Fatalf("hold %d: %v", i, err)
	}
	return h.ID
}

// begin takes a hold for its release.
func (n *node) begin(id string) (quarantine.Hold, error) {
	h, err := n.store.Get(n.fleet.t.Context(), id)
	if err != nil {
		return h, err
	}
	if h.State != quarantine.Held {
		return h, quarantine.ErrBusy
	}
	h.State, h.Release = quarantine.Releasing, &quarantine.Release{By: "me", At: n.fleet.now, Trying: true, Next: n.fleet.now.Add(15 * time.Minute)}
	return n.store.Change(n.fleet.t.Context(), h)
}

func (n *node) end(h quarantine.Hold, to quarantine.State) error {
	h.State, h.Ended = to, &quarantine.Ended{At: n.fleet.now, By: "me"}
	_, err := n.store.Change(n.fleet.t.Context(), h)
	return err
}

func (n *node) release(id string) {
	n.fleet.t.Helper()
	h, err := n.begin(id)
	if err == nil {
		err = n.end(h, quarantine.Released)
	}
	if err != nil {
		n.fleet.t.Fatalf("release of %s: %v", id, err)
	}
}

// want checks what the shared store has.
func (f *fleet) want(id string, state quarantine.State) {
	f.t.Helper()
	f.far.mu.Lock()
	defer f.far.mu.Unlock()
	r, ok := f.far.holds[id]
	if !ok || r.h.State != state {
		f.t.Errorf("%s is %q in the store, want %q", id, r.h.State, state)
	}
	if sum := sha256.Sum256([]byte(r.body)); state.Open() && hex.EncodeToString(sum[:]) != r.h.SHA256 {
		f.t.Errorf("%s has a body of %d bytes, not its own", id, len(r.body))
	}
}
