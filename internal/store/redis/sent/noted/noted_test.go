package noted_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/abuse/sent"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/journal"
	"postern/internal/store/redis/redistest"
	store "postern/internal/store/redis/sent"
	"postern/internal/store/redis/sent/noted"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/senttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is one node with a journal of its own.
type node struct {
	t   *testing.T
	c   *conn.Conn
	dir string
	now time.Time
	j   *journal.Journal
	far *counted
	*noted.Store
}

// counted is the shared store, and what it was asked.
type counted struct {
	*store.Store
	mu           sync.Mutex
	begun, asked []string
}

func (c *counted) Begin(ctx context.Context, r sent.Row) error {
	c.mu.Lock()
	c.begun = append(c.begun, r.Serial)
	c.mu.Unlock()
	return c.Store.Begin(ctx, r)
}

func (c *counted) Same(ctx context.Context, texts map[string][]byte) (map[string]bool, error) {
	c.mu.Lock()
	c.asked = append(c.asked, slices.Sorted(maps.Keys(texts))...)
	c.mu.Unlock()
	return c.Store.Same(ctx, texts)
}

func newNode(t *testing.T, c *conn.Conn) *node {
	t.Helper()
	n := &node{t: t, c: c, dir: filepath.Join(t.TempDir(), "j"), now: storetest.Start}
	n.start()
	t.Cleanup(func() { _ = n.j.Close() })
	return n
}

func (n *node) start() {
	n.t.Helper()
	far, err := store.New(store.Options{Conn: n.c, Ring: redistest.Ring(n.t)})
	if err != nil {
		n.t.Fatal(err)
	}
	if n.j, err = journal.Open(journal.Options{Dir: n.dir, Now: func() time.Time { return n.now }}); err != nil {
		n.t.Fatal(err)
	}
	n.far = &counted{Store: far}
	n.Store = noted.New(n.far, n.j, noted.Options{Now: func() time.Time { return n.now }, Log: slog.New(slog.DiscardHandler)})
}

func (n *node) crash() {
	n.t.Helper()
	if err := n.j.Close(); err != nil {
		n.t.Fatal(err)
	}
	n.start()
}

func (n *node) begin(i int) sent.Row {
	n.t.Helper()
	r := senttest.Row(n.t, i, "anna@example.com")
	if err := n.Begin(n.t.Context(), r); err != nil {
		n.t.Fatal(err)
	}
	return r
}

func TestSuite(t *testing.T) {
	server := redistest.Server(t)
	senttest.Run(t, func(t *testing.T) sent.Store { return newNode(t, redistest.Empty(t, server)) })
}

// With the store away mail is written down here, and brought there later, also by the next
// life of the node.
func TestStoreAway(t *testing.T) {
	server := redistest.Server(t)
	n := newNode(t, redistest.Empty(t, server))
	server.Kill()
	r := n.begin(1)
	if err := n.Settle(t.Context(), r.Serial, []sent.Copy{{Recipient: r.Copies[0].Recipient, State: sent.Delivered}}); err != nil {
		t.Fatal(err)
	}
	if got, err := n.BySerial(t.Context(), r.Serial); err != nil || got.Copies[0].State != sent.Delivered {
		t.Errorf("%+v, %v", got, err)
	}
	n.crash()
	server.Run(t)
	other := newNode(t, n.c)
	for range 100 {
		n.Step(t.Context())
		if got, err := other.BySerial(t.Context(), r.Serial); err == nil {
			if got.Copies[0].State != sent.Delivered {
				t.Errorf("brought as %+v", got.Copies[0])
			}
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("it was not brought to the store")
}

// A row that the store was too slow or too far away to take is counted none the less: whoever
// asks how many there are has them brought first. Before that the answer is an error, and no
// number that is short.
func TestSizeCountsWhatIsDue(t *testing.T) {
	server := redistest.Server(t)
	n := newNode(t, redistest.Empty(t, server))
	n.begin(1)
	if rows, _, err := n.Size(t.Context()); rows != 1 || err != nil {
		t.Errorf("%d rows, %v", rows, err)
	}
	server.Kill()
	n.begin(2)
	if rows, _, err := n.Size(t.Context()); err == nil {
		t.Errorf("%d rows of a store that is away", rows)
	}
	server.Run(t)
	for range 300 {
		rows, bytes, err := n.Size(t.Context())
		if err == nil {
			if rows < 1 || bytes <= 0 { // the row of before is gone with a store that keeps nothing
				t.Errorf("%d rows, %d bytes", rows, bytes)
			}
			if _, err := newNode(t, n.c).BySerial(t.Context(), senttest.Row(t, 2, "anna@example.com").Serial); err != nil {
				t.Errorf("counted and not there: %v", err)
			}
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("it is never counted")
}

// After a restart the store is asked once for all rows together, and only what it does not have
// as it is here is brought: a row it lost, one whose index it lost, and one that others know more
// of, which stays as they know it.
func TestRestartBringsOnlyWhatIsMissing(t *testing.T) {
	c := redistest.Mini(t)
	n := newNode(t, c)
	var rows []sent.Row
	for i := range 8 {
		rows = append(rows, n.begin(i))
	}
	if err := n.Settle(t.Context(), rows[1].Serial, []sent.Copy{{Recipient: rows[1].Copies[0].Recipient, State: sent.Delivered, Reply: "250 <ok> & queued"}}); err != nil {
		t.Fatal(err)
	}
	lost, unlisted, told := rows[2], rows[3], rows[4]
	r := c.Client()
	if err := errors.Join(r.Del(t.Context(), c.Key("{sn:"+lost.Serial+"}")).Err(), r.ZRem(t.Context(), c.Key("{sent}", "at"), unlisted.Serial).Err()); err != nil {
		t.Fatal(err)
	}
	if err := newNode(t, c).Settle(t.Context(), told.Serial, []sent.Copy{{Recipient: told.Copies[0].Recipient, Bounced: "5.1.1"}}); err != nil {
		t.Fatal(err)
	}
	n.crash()
	n.Step(t.Context())
	want := []string{lost.Serial, unlisted.Serial, told.Serial}
	slices.Sort(n.far.begun)
	if slices.Sort(want); !slices.Equal(n.far.begun, want) || len(n.far.asked) != len(rows) {
		t.Errorf("brought %v, not %v; asked %v", n.far.begun, want, n.far.asked)
	}
	n.Step(t.Context())
	if len(n.far.begun) != len(want) || len(n.far.asked) != len(rows) {
		t.Errorf("again: brought %v, asked %v", n.far.begun, n.far.asked)
	}
	for _, r := range rows {
		got, err := n.far.BySerial(t.Context(), r.Serial)
		if err != nil || len(got.Copies) != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		if r.Serial == told.Serial && got.Copies[0].Bounced != "5.1.1" {
			t.Errorf("%+v", got.Copies[0])
		}
	}
	if score := r.ZScore(t.Context(), c.Key("{sent}", "at"), unlisted.Serial).Val(); score == 0 {
		t.Error("it is still not in the log")
	}
}

// A store that is away when it is asked is asked again.
func TestAskedAgain(t *testing.T) {
	server := redistest.Server(t)
	n := newNode(t, redistest.Empty(t, server))
	r := n.begin(1)
	if err := n.c.Client().Del(t.Context(), n.c.Key("{sn:"+r.Serial+"}")).Err(); err != nil {
		t.Fatal(err)
	}
	n.crash()
	server.Kill()
	n.Step(t.Context())
	if len(n.far.begun) > 0 {
		t.Error("brought without an answer")
	}
	server.Run(t)
	for range 300 {
		if n.Step(t.Context()); len(n.far.begun) > 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("it was not brought")
}

// What the store lost is given back, with what others settled.
func TestStoreLost(t *testing.T) {
	c := redistest.Mini(t)
	a, b := newNode(t, c), newNode(t, c)
	r := a.begin(1)
	if err := b.Settle(t.Context(), r.Serial, []sent.Copy{{Recipient: r.Copies[0].Recipient, Bounced: "5.1.1"}}); err != nil {
		t.Fatal(err)
	}
	c.Client().FlushAll(t.Context())
	for _, n := range []*node{b, a, b} { // the first finds nothing to settle yet
		if err := n.Lost(t.Context(), "flush"); err != nil {
			t.Fatal(err)
		}
		n.Step(t.Context())
	}
	got, err := newNode(t, c).BySerial(t.Context(), r.Serial)
	if err != nil || got.Copies[0].Bounced != "5.1.1" || got.Account != r.Account {
		t.Errorf("%+v, %v", got, err)
	}
	if rows, err := b.ByMessageID(t.Context(), r.MessageID); err != nil || len(rows) != 1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func TestForgottenAfterADay(t *testing.T) {
	n := newNode(t, redistest.Mini(t))
	r := n.begin(1)
	n.now = n.now.Add(noted.Keep)
	n.Step(t.Context())
	if n.j.Stats().Live != 1 {
		t.Error("forgotten too soon")
	}
	n.now = n.now.Add(time.Minute)
	n.Step(t.Context())
	if n.j.Stats().Live != 0 {
		t.Error("kept for ever")
	}
	if _, err := n.BySerial(t.Context(), r.Serial); err != nil {
		t.Error(err)
	}
}

func TestJournalThatCannotBeWritten(t *testing.T) {
	n := newNode(t, redistest.Mini(t))
	if err := n.j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.Begin(t.Context(), senttest.Row(t, 1, "a")); !errors.Is(err, journal.ErrReadOnly) {
		t.Errorf("mail would go out that nobody wrote down: %v", err)
	}
}
