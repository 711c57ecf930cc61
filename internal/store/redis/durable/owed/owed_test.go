package owed_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/filter"
	"postern/internal/relay/outbox"
	"postern/internal/relay/outbox/outboxtest"
	"postern/internal/store/redis/durable/owed"
	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("the store is away")

// far is a shared store in memory, whose memory can be lost. Ends are marked in it too.
type far struct {
	mu    sync.Mutex
	mem   *outboxtest.Memory
	marks map[string]bool
}

func newFar() *far {
	f := &far{}
	f.flush()
	return f
}

func (f *far) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mem, f.marks = outboxtest.NewMemory(), map[string]bool{}
}

// link is the way of one node to the shared store.
type link struct {
	*far
	down bool
}

func (l *link) store() (*outboxtest.Memory, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, errAway
	}
	return l.mem, nil
}

func (l *link) Add(ctx context.Context, e outbox.Entry, body io.Reader) (string, error) {
	m, err := l.store()
	if err != nil {
		return "", err
	}
	return m.Add(ctx, e, body)
}

func (l *link) Claim(ctx context.Context, now time.Time, lease time.Duration) (outbox.Entry, bool, bool, error) {
	m, err := l.store()
	if err != nil {
		return outbox.Entry{}, false, false, err
	}
	return m.Claim(ctx, now, lease)
}

func (l *link) ClaimID(ctx context.Context, id string, now time.Time, lease time.Duration) (outbox.Entry, bool, error) {
	m, err := l.store()
	if err != nil {
		return outbox.Entry{}, false, err
	}
	return m.ClaimID(ctx, id, now, lease)
}

func (l *link) Retry(ctx context.Context, e outbox.Entry) error {
	m, err := l.store()
	if err != nil {
		return err
	}
	return m.Retry(ctx, e)
}

func (l *link) End(ctx context.Context, e outbox.Entry) error {
	m, err := l.store()
	if err != nil {
		return err
	}
	return m.End(ctx, e)
}

func (l *link) Body(ctx context.Context, id string) (outbox.Body, error) {
	m, err := l.store()
	if err != nil {
		return nil, err
	}
	return m.Body(ctx, id)
}

func (l *link) Get(ctx context.Context, id string) (outbox.Entry, error) {
	m, err := l.store()
	if err != nil {
		return outbox.Entry{}, err
	}
	return m.Get(ctx, id)
}

func (l *link) List(ctx context.Context, after string, limit int) ([]outbox.Entry, error) {
	m, err := l.store()
	if err != nil {
		return nil, err
	}
	return m.List(ctx, after, limit)
}

func (l *link) Hurry(ctx context.Context, id string, now time.Time) error {
	m, err := l.store()
	if err != nil {
		return err
	}
	return m.Hurry(ctx, id, now)
}

func (l *link) Due(ctx context.Context) (time.Time, bool, error) {
	m, err := l.store()
	if err != nil {
		return time.Time{}, false, err
	}
	return m.Due(ctx)
}

func (l *link) Count(context.Context) (int, error) {
	m, err := l.store()
	if err != nil {
		return 0, err
	}
	return m.Len(), nil
}

func (l *link) Look(ctx context.Context, ids []string) ([]outbox.Entry, error) {
	m, err := l.store()
	if err != nil {
		return nil, err
	}
	out := make([]outbox.Entry, len(ids))
	for i, id := range ids {
		e, err := m.Get(ctx, id)
		if err != nil && !errors.Is(err, outbox.ErrNotFound) {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

func (l *link) Push(ctx context.Context, e outbox.Entry, body func() (io.ReadCloser, error)) error {
	m, err := l.store()
	if err != nil {
		return err
	}
	if old, err := m.Get(ctx, e.ID); err == nil && old.Version >= e.Version {
		return nil
	}
	r, err := body()
	if err != nil {
		return err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return m.Put(e, text)
}

func (l *link) Mark(_ context.Context, ids []string) error {
	if _, err := l.store(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.marks[id] = true
	}
	return nil
}

func (l *link) Ended(_ context.Context, ids []string) ([]bool, error) {
	if _, err := l.store(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]bool, len(ids))
	for i, id := range ids {
		out[i] = l.marks[id]
	}
	return out, nil
}

const grace = 15 * time.Second

type fleet struct {
	t     *testing.T
	far   *far
	now   time.Time
	nodes []*node
}

type node struct {
	fleet  *fleet
	dir    string
	link   *link
	jrn    *journal.Journal
	store  *owed.Store
	alarms int
}

func newFleet(t *testing.T, n int) *fleet {
	t.Helper()
	f := &fleet{t: t, far: newFar(), now: storetest.Start}
	for range n {
		nd := &node{fleet: f, dir: filepath.Join(t.TempDir(), "j"), link: &link{far: f.far}}
		f.nodes = append(f.nodes, nd)
		nd.open()
	}
	t.Cleanup(func() {
		for _, nd := range f.nodes {
			nd.jrn.Close()
		}
	})
	f.pass(3 * grace)
	return f
}

func (n *node) open() {
	n.fleet.t.Helper()
	now := func() time.Time { return n.fleet.now }
	j, err := journal.Open(journal.Options{Dir: n.dir, Now: now})
	if err != nil {
		n.fleet.t.Fatal(err)
	}
	n.jrn = j
	n.store = owed.New(n.link, n.link, j, phase.Options{Grace: grace, Now: now, Log: slog.New(slog.DiscardHandler), Alarm: func(string) { n.alarms++ }})
}

func (n *node) restart() {
	n.fleet.t.Helper()
	if err := n.jrn.Close(); err != nil {
		n.fleet.t.Fatal(err)
	}
	n.open()
}

func (f *fleet) pass(d time.Duration) {
	f.t.Helper()
	for ; d > 0; d -= 5 * time.Second {
		f.now = f.now.Add(5 * time.Second)
		for _, n := range f.nodes {
			if err := errors.Join(n.store.Step(f.t.Context()), n.store.Refresh(f.t.Context())); err != nil && !errors.Is(err, errAway) {
				f.t.Error(err)
			}
		}
	}
}

func (f *fleet) lost() {
	f.t.Helper()
	for _, n := range f.nodes {
		if err := n.store.Lost(f.t.Context(), "flush"); err != nil && !errors.Is(err, errAway) {
			f.t.Error(err)
		}
	}
}

func (n *node) add(i int) string {
	n.fleet.t.Helper()
	e := storetest.Entry(i, "body")
	e.To = append(e.To, filter.Recipient{Address: "v@example.com", Backend: "mail"})
	id, err := n.store.Add(n.fleet.t.Context(), e, strings.NewReader("body"))
	if err != nil {
		n.fleet.t.Fatal(err)
	}
	return id
}

func (n *node) claim(id string) outbox.Entry {
	n.fleet.t.Helper()
	e, _, err := n.store.ClaimID(n.fleet.t.Context(), id, n.fleet.now, time.Minute)
	if err != nil {
		n.fleet.t.Fatal(err)
	}
	return e
}

func (f *fleet) want(id string, there bool, to int, ambiguous bool) {
	f.t.Helper()
	e, err := f.far.mem.Get(f.t.Context(), id)
	if there != (err == nil) || there && (len(e.To) != to || e.Ambiguous != ambiguous) {
		f.t.Errorf("%s: %d recipients, ambiguous %v, %v; want there %v, %d, %v", id, len(e.To), e.Ambiguous, err, there, to, ambiguous)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// With the shared store away the journal alone is enough; the entry is brought when it is back.
func TestAddWhileAway(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	a.link.down = true
	id := a.add(1)
	if n, err := f.nodes[0].store.Count(t.Context()); n != 0 || !errors.Is(err, errAway) {
		t.Errorf("Count: %d, %v", n, err)
	}
	f.pass(10 * time.Second)
	if st := a.store.Status(); st.Live != 1 || st.OldestUnpushed.IsZero() || st.Bytes == 0 {
		t.Errorf("%+v", st)
	}
	a.link.down = false
	f.pass(5 * time.Second)
	f.want(id, true, 2, false)
	if st := a.store.Status(); !st.OldestUnpushed.IsZero() || st.Pushed != 1 {
		t.Errorf("%+v", st)
	}
	b, err := a.store.Body(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size())); string(text) != "body" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// The node dies before the entry was brought.
func TestRestartWhileAway(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	a.link.down = true
	id := a.add(1)
	a.restart()
	f.pass(10 * time.Second)
	a.link.down = false
	f.pass(2 * grace)
	if _, err := f.far.mem.Get(t.Context(), id); err != nil {
		t.Error(err)
	}
}

func TestAddRefused(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	_, err := a.store.Add(t.Context(), storetest.Entry(1, "body"), strings.NewReader("BODY"))
	wantErr(t, "wrong digest", err, quarantine.ErrCorrupt)
	id, err := a.store.Add(t.Context(), outbox.Entry{SHA256: storetest.SHA("x")}, strings.NewReader("x"))
	if err != nil || id == "" {
		t.Errorf("no ID: %q, %v", id, err)
	}
	a.jrn.Close()
	_, err = a.store.Add(t.Context(), storetest.Entry(2, "body"), strings.NewReader("body"))
	wantErr(t, "closed journal", err, quarantine.ErrReadOnly)
	if n, err := a.store.Count(t.Context()); n != 1 || err != nil {
		t.Errorf("%d in the store, %v", n, err)
	}
}

// What the store lost comes back with the recipients that are still owed, as ambiguous; what
// was delivered does not.
func TestFlush(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	fresh, half, done, away := a.add(1), a.add(2), a.add(3), a.add(4)
	e := b.claim(half)
	e.To = e.To[1:]
	if err := b.store.Retry(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if err := b.store.End(t.Context(), b.claim(done)); err != nil {
		t.Fatal(err)
	}
	sending := b.claim(away)
	f.far.flush() // before anybody looked
	f.lost()
	f.pass(5 * time.Second)
	if _, _, ok, err := b.store.Claim(t.Context(), f.now.Add(time.Hour), time.Minute); ok || err != nil {
		t.Errorf("claimed while restoring: %v", err)
	}
	_, _, err := a.store.ClaimID(t.Context(), fresh, f.now, time.Minute)
	wantErr(t, "ClaimID while restoring", err, phase.ErrRestoring)
	sending.To = sending.To[1:]
	wantErr(t, "Retry of what was lost", b.store.Retry(t.Context(), sending), outbox.ErrNotFound)
	f.pass(3 * grace)
	f.want(fresh, true, 2, true)
	f.want(half, true, 1, true)
	f.want(done, false, 0, false)
	f.want(away, true, 1, true)
	if st := a.store.Status(); st.Live != 3 || st.Tombstones != 1 {
		t.Errorf("%+v", st)
	}
	for _, id := range []string{fresh, half, away} {
		if err := a.store.End(t.Context(), a.claim(id)); err != nil {
			t.Error(err)
		}
	}
	f.pass(3 * grace)
	if n := f.far.mem.Len(); n != 0 || a.store.Status().Live+b.store.Status().Live != 0 {
		t.Errorf("%d in the store, %+v, %+v", n, a.store.Status(), b.store.Status())
	}
}

// The end of a delivery that the store cannot be told is brought later, and by nobody sent again.
func TestEndWhileAway(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	id := a.add(1)
	e := b.claim(id)
	b.link.down = true
	wantErr(t, "End", b.store.End(t.Context(), e), errAway)
	b.restart()
	b.link.down = false
	f.pass(2 * time.Minute) // the lease runs out
	f.want(id, false, 0, false)
	if a.store.Status().Live != 0 {
		t.Error("the node that added it did not see its end")
	}
}

// Who lost the claim to somebody else changes nothing.
func TestClaimLost(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	id := a.add(1)
	old := b.claim(id)
	f.now = f.now.Add(2 * time.Minute)
	a.claim(id)
	old.To = nil
	wantErr(t, "Retry", b.store.Retry(t.Context(), old), outbox.ErrLost)
	wantErr(t, "End", b.store.End(t.Context(), old), outbox.ErrLost)
	f.pass(time.Minute)
	f.want(id, true, 2, false)
	if st := b.store.Status(); st.Live != 0 || st.Tombstones != 0 {
		t.Errorf("%+v", st)
	}
}

// An entry that is missing without a word is noticed by the node that has it.
func TestSilentLoss(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	id := a.add(1)
	f.pass(10 * time.Second)
	f.far.flush()
	f.pass(10 * time.Second)
	if a.alarms != 1 || !a.store.Restoring() {
		t.Errorf("%d alarms", a.alarms)
	}
	f.pass(3 * grace)
	f.want(id, true, 2, true)
}

// How far an entry of another node came is not kept for ever.
func TestOrphan(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	id := a.add(1)
	if err := b.store.Retry(t.Context(), b.claim(id)); err != nil {
		t.Fatal(err)
	}
	a.jrn.Close() // for good
	f.nodes = f.nodes[1:]
	f.far.flush()
	f.lost()
	f.pass(3 * grace)
	if b.store.Status().Live != 1 {
		t.Error("forgotten at once")
	}
	f.now = f.now.Add(7 * 24 * time.Hour)
	f.pass(10 * time.Second)
	if b.store.Status().Live != 0 {
		t.Error("kept for ever")
	}
}
