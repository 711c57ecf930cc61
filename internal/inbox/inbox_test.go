package inbox_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/entity"
	"postern/internal/inbox"
	"postern/internal/mailtest/entities"
)

// world is a test inbox with a clock of its own.
type world struct {
	*inbox.Box
	t      *testing.T
	mu     sync.Mutex
	now    time.Time
	limits inbox.Limits
}

func newWorld(t *testing.T, home entity.Home) *world {
	w := &world{t: t, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), limits: inbox.Limits{Messages: 100, Bytes: 1 << 20, Keep: time.Hour}}
	w.Box = (&inbox.Box{
		Home: home, Node: "mx1", Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		Now:    func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
		Limits: func() inbox.Limits { return w.limits },
		Has:    func(d string) bool { return strings.HasSuffix(d, "test.example") },
	}).Open()
	return w
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// keep puts a message in.
func (w *world) keep(to, subject, body string) inbox.Message {
	w.t.Helper()
	raw := "Subject: " + subject + "\r\nTo: " + to + "\r\n\r\n" + body
	sum, n, err := w.Put(w.t.Context(), int64(len(raw)), strings.NewReader(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := w.Add(w.t.Context(), inbox.Message{Reference: "ref", From: "app@x.example", To: []string{to}, Subject: subject, Size: n, SHA256: sum}, filter.Verdict{})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) subjects(q inbox.Query) (all string) {
	w.t.Helper()
	for {
		p, err := w.List(w.t.Context(), q)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, m := range p.Messages {
			all += m.Subject + " "
		}
		if q.After = p.Next; q.After == "" {
			return strings.TrimSpace(all)
		}
		all += "| "
	}
}

func TestFindsByRecipientSubjectAndTime(t *testing.T) {
	w := newWorld(t, &entities.Memory{})
	w.keep("Ada@test.example", "one", "1")
	w.pass(time.Second)
	at := w.Now()
	w.keep("bob@test.example", "Two", "2")
	w.pass(time.Second)
	w.keep("ada@test.example", "three", "3")
	for q, want := range map[inbox.Query]string{
		{}: "three Two one", {To: "ADA@test.example"}: "three one", {Subject: "tWO"}: "Two", {Since: at}: "three Two", {To: "ada@test.example", Since: at}: "three",
		{Subject: "no"}: "", {To: "c@test.example"}: "", {Since: at.Add(time.Hour)}: "",
	} {
		if got := w.subjects(q); got != want {
			t.Errorf("%+v: %q, want %q", q, got, want)
		}
	}
	if got := strings.ReplaceAll(w.subjects(inbox.Query{Limit: 1}), "| ", ""); got != "three Two one" {
		t.Errorf("page by page: %q", got)
	}
	for _, q := range []inbox.Query{{Limit: -1}, {Limit: inbox.MaxPage + 1}, {To: strings.Repeat("a", 600)}, {Subject: strings.Repeat("a", 600)}} {
		if _, err := w.List(t.Context(), q); !errors.Is(err, inbox.ErrInvalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestOldestGoesFirst(t *testing.T) {
	home := &entities.Memory{}
	w := newWorld(t, home)
	w.limits.Messages = 3
	for i := range 6 {
		w.keep("a@test.example", fmt.Sprint(i), fmt.Sprint("body ", i))
		w.pass(time.Second)
	}
	if got := w.subjects(inbox.Query{}); got != "5 4 3" {
		t.Errorf("of six with room for three: %q", got)
	}
	w.limits.Messages = 1
	if err := w.Tend(t.Context()); err != nil || w.subjects(inbox.Query{}) != "5" {
		t.Errorf("after another limit: %q, %v", w.subjects(inbox.Query{}), err)
	}
	w.pass(2 * time.Hour)
	if err := w.Tend(t.Context()); err != nil || w.subjects(inbox.Query{}) != "" {
		t.Errorf("after its time: %q, %v", w.subjects(inbox.Query{}), err)
	}
	if used, _, err := home.BlobBytes(t.Context(), entity.Inbox); err != nil || used != 0 {
		t.Errorf("%d bytes are left: %v", used, err)
	}
}

func TestBytesAreBounded(t *testing.T) {
	home := &entities.Memory{}
	w := newWorld(t, home)
	w.limits.Bytes = 10_000
	for i := range 5 {
		w.keep("a@test.example", fmt.Sprint(i), strings.Repeat(fmt.Sprint(i), 3000))
		w.pass(time.Second)
		if used, _, _ := home.BlobBytes(t.Context(), entity.Inbox); used > 10_000 {
			t.Fatalf("%d bytes", used)
		}
	}
	if got := w.subjects(inbox.Query{}); got != "4 3 2" {
		t.Errorf("%q", got)
	}
	if _, _, err := w.Put(t.Context(), 10_001, strings.NewReader("x")); !errors.Is(err, inbox.ErrTooLarge) {
		t.Error(err)
	}
	if got := w.subjects(inbox.Query{}); got != "4 3 2" {
		t.Errorf("one too large pushed others out: %q", got)
	}
}

// The same bytes twice are forgotten with the second.
func TestSameBytes(t *testing.T) {
	w := newWorld(t, &entities.Memory{})
	a, b := w.keep("a@test.example", "s", "x"), w.keep("a@test.example", "s", "x")
	if a.SHA256 != b.SHA256 || a.ID == b.ID {
		t.Fatal(a, b)
	}
	if _, err := w.Delete(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	if full, err := w.Read(t.Context(), b.ID); err != nil || full.Text != "x" {
		t.Errorf("%q, %v", full.Text, err)
	}
	if _, err := w.Delete(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Body(t.Context(), b, 100); !errors.Is(err, entity.ErrNotFound) {
		t.Error(err)
	}
	if _, err := w.Delete(t.Context(), b.ID); !errors.Is(err, entity.ErrNotFound) {
		t.Error(err)
	}
}

// Bytes of a message that never came to be are forgotten.
func TestOrphansGo(t *testing.T) {
	home := &entities.Memory{}
	w := newWorld(t, home)
	if _, _, err := w.Put(t.Context(), 1, strings.NewReader("lost")); err != nil {
		t.Fatal(err)
	}
	sum, _, err := w.Put(t.Context(), 1, strings.NewReader("aborted"))
	if err != nil || w.Forget(t.Context(), sum) != nil {
		t.Fatal(err)
	}
	if used, _, _ := home.BlobBytes(t.Context(), entity.Inbox); used == 0 {
		t.Fatal("nothing is kept")
	}
	w.mu.Lock()
	w.now = time.Now().Add(48 * time.Hour) // the store's own clock wrote them
	w.mu.Unlock()
	if err := w.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if used, _, _ := home.BlobBytes(t.Context(), entity.Inbox); used != 0 {
		t.Errorf("%d bytes", used)
	}
}

func TestClear(t *testing.T) {
	w := newWorld(t, &entities.Memory{})
	for i := range 120 {
		w.keep([]string{"a@test.example", "b@test.example"}[i%2], fmt.Sprint(i), "x")
	}
	if n, err := w.Clear(t.Context(), "A@test.example"); n != 60 && w.limits.Messages > 120 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if got := w.subjects(inbox.Query{To: "a@test.example"}); got != "" {
		t.Errorf("left: %q", got)
	}
	if w.subjects(inbox.Query{To: "b@test.example"}) == "" {
		t.Error("those of others are gone")
	}
	if _, err := w.Clear(t.Context(), ""); err != nil || w.subjects(inbox.Query{}) != "" {
		t.Error(err)
	}
}

func TestWait(t *testing.T) {
	home := &entities.Memory{}
	w, other := newWorld(t, home), newWorld(t, home)
	if _, found, err := w.Wait(t.Context(), inbox.Query{To: "a@test.example"}, time.Millisecond); found || err != nil {
		t.Error(found, err)
	}
	got := make(chan inbox.Message, 1)
	go func() {
		m, _, _ := w.Wait(t.Context(), inbox.Query{To: "a@test.example", Subject: "code"}, time.Minute)
		got <- m
	}()
	other.keep("b@test.example", "your code", "of another")
	other.keep("a@test.example", "hello", "x")
	want := other.keep("a@test.example", "your code is 7", "x")
	if m := <-got; m.ID != want.ID {
		t.Errorf("%+v", m)
	}
	if m, found, err := w.Wait(t.Context(), inbox.Query{To: "a@test.example", Subject: "code"}, time.Second); !found || err != nil || m.ID != want.ID {
		t.Errorf("one that was there: %+v %v %v", m, found, err)
	}
	for _, d := range []time.Duration{0, -1, inbox.MaxWait + 1} {
		if _, _, err := w.Wait(t.Context(), inbox.Query{}, d); !errors.Is(err, inbox.ErrInvalid) {
			t.Errorf("%s: %v", d, err)
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range inbox.MaxWaiting {
		wg.Go(func() {
			for err := inbox.ErrBusy; errors.Is(err, inbox.ErrBusy) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
				_, _, err = w.Wait(ctx, inbox.Query{To: "nobody@test.example"}, time.Minute)
			}
		})
	}
	for {
		_, found, err := w.Wait(t.Context(), inbox.Query{To: "nobody@test.example"}, time.Millisecond)
		if found {
			t.Fatal("found")
		}
		if errors.Is(err, inbox.ErrBusy) {
			break
		}
	}
	leave()
	wg.Wait()
}

func TestCounters(t *testing.T) {
	home := &entities.Memory{}
	one, two := newWorld(t, home), newWorld(t, home)
	two.Node = "mx2"
	done := func(w *world, action filter.Action, states ...filter.FateState) {
		t.Helper()
		o := filter.Outcome{}
		for i, s := range states {
			o.Fates = append(o.Fates, filter.Fate{Recipient: []string{"a@test.example", "b@x.test.example", "c@real.example"}[i], State: s})
			o.Verdicts = append(o.Verdicts, filter.Verdict{Action: action})
		}
		if err := w.Done(t.Context(), &filter.Message{}, o); err != nil {
			t.Fatal(err)
		}
	}
	done(one, filter.Accept, filter.Delivered, filter.Delivered, filter.Delivered)
	done(one, filter.Quarantine, filter.Delivered)
	done(two, filter.Reject, filter.Rejected)
	done(two, filter.Reject, filter.Held) // beside others
	done(two, filter.Defer, filter.Deferred)
	if _, err := two.Counters(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := one.Counters(t.Context())
	if err != nil || c.Counts != (inbox.Counts{Kept: 3, Held: 1, Blocked: 2, Deferred: 1}) || c.Domains["x.test.example"].Kept != 1 || len(c.Domains) != 2 || c.Since.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	if err := one.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c, err = two.Counters(t.Context()); err != nil || c.Counts != (inbox.Counts{}) {
		t.Errorf("%+v, %v", c, err)
	}
}

// What could not be written is counted when it can.
func TestCountersOutliveAFault(t *testing.T) {
	home := &entities.Memory{}
	broken := errors.New("away")
	home.Fail = func() error { return broken }
	w := newWorld(t, home)
	_ = w.Done(t.Context(), nil, filter.Outcome{Fates: []filter.Fate{{Recipient: "a@test.example", State: filter.Rejected}}})
	if _, err := w.Counters(t.Context()); err != nil {
		t.Fatal(err)
	}
	home.Fail = nil
	if c, err := w.Counters(t.Context()); err != nil || c.Blocked != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestRunWritesCountersAndEnds(t *testing.T) {
	home := &entities.Memory{}
	w, other := newWorld(t, home), newWorld(t, home)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	_ = w.Done(t.Context(), nil, filter.Outcome{Fates: []filter.Fate{{Recipient: "a@test.example", State: filter.Rejected}}})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := other.Counters(t.Context()); err == nil && c.Blocked == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the other node never sees it")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
