package storetest

import (
	"errors"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"postern/internal/relay/outbox"
)

// owed is what the model knows of one entry.
type owed struct {
	e       outbox.Entry
	body    string
	lease   time.Time // zero: given back
	claimed bool      // by a try that ended neither in Retry nor in End
}

// free reports whether somebody may claim the entry.
func (o *owed) free(now time.Time) bool { return !o.lease.After(now) }

func (o *owed) due() time.Time {
	if o.lease.After(o.e.Next) {
		return o.lease
	}
	return o.e.Next
}

// outboxModel is an outbox.Store in the plainest words.
type outboxModel struct {
	s      outbox.Store
	t      testing.TB
	now    time.Time
	owed   map[string]*owed
	claims []outbox.Entry // all that were ever given out
	ended  []string
	next   int
	looks  int
}

// maxOwed keeps the number of entries so small that every home looks at all of them.
const maxOwed = 12

// OutboxModel runs random operations on empty stores and on a model side by side, and returns
// how many it ran.
func OutboxModel(t *testing.T, open func(t testing.TB) outbox.Store) (done int) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &outboxModel{s: open(t), t: t, now: Start, owed: map[string]*owed{}}
		rt.Repeat(map[string]func(*rapid.T){
			"add":     m.add,
			"claim":   m.claim,
			"claimID": m.claimID,
			"retry":   m.retry,
			"end":     m.end,
			"hurry":   m.hurry,
			"wait":    m.wait,
			"":        m.compare,
		})
		done += m.looks - 1 // one before the first
	})
	return done
}

func (m *outboxModel) ids() []string { return slices.Sorted(maps.Keys(m.owed)) }

func (m *outboxModel) pick(rt *rapid.T) *owed {
	if len(m.owed) == 0 {
		rt.Skip("nothing is owed")
	}
	return m.owed[rapid.SampledFrom(m.ids()).Draw(rt, "entry")]
}

func (m *outboxModel) wait(rt *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
}

func (m *outboxModel) add(rt *rapid.T) {
	if len(m.owed) == maxOwed {
		rt.Skip("enough")
	}
	body := rapid.SampledFrom([]string{"", "a", "b", strings.Repeat("c", 3000)}).Draw(rt, "body")
	m.next++
	e := Entry(m.next, body)
	e.Next = m.now.Add(time.Duration(rapid.IntRange(-60, 60).Draw(rt, "second")) * time.Second)
	id, err := m.s.Add(m.t.Context(), e, strings.NewReader(body))
	if err != nil || id != e.ID {
		rt.Fatalf("add: %q, %v", id, err)
	}
	m.owed[id] = &owed{e: e, body: body}
}

// oldest is the entry that Claim must find.
func (m *outboxModel) oldest() *owed {
	var best *owed
	for _, id := range m.ids() {
		o := m.owed[id]
		if o.e.Next.After(m.now) || !o.free(m.now) {
			continue
		}
		if best == nil || o.e.Next.Before(best.e.Next) {
			best = o
		}
	}
	return best
}

// lease draws how long a claim lasts.
func (m *outboxModel) lease(rt *rapid.T) time.Duration {
	return time.Duration(rapid.IntRange(1, 60).Draw(rt, "lease")) * time.Second
}

// took checks a claim and notes it.
func (m *outboxModel) took(rt *rapid.T, o *owed, got outbox.Entry, crashed bool, lease time.Duration) {
	if got.Version <= o.e.Version || crashed != o.claimed {
		rt.Fatalf("claim of %s: version %d after %d, crashed %v", got.ID, got.Version, o.e.Version, crashed)
	}
	o.e.Version = got.Version
	m.same(rt, o, got)
	o.lease, o.claimed = m.now.Add(lease), true
	m.claims = append(m.claims, got)
}

func (m *outboxModel) claim(rt *rapid.T) {
	lease := m.lease(rt)
	got, crashed, ok, err := m.s.Claim(m.t.Context(), m.now, lease)
	want := m.oldest()
	if err != nil || ok != (want != nil) {
		rt.Fatalf("claim: %v, %v; want one %v", ok, err, want != nil)
	}
	if !ok {
		return
	}
	if got.ID != want.e.ID {
		rt.Fatalf("claim of %s, not of the older %s", got.ID, want.e.ID)
	}
	m.took(rt, want, got, crashed, lease)
}

func (m *outboxModel) claimID(rt *rapid.T) {
	o, lease := m.pick(rt), m.lease(rt)
	got, crashed, err := m.s.ClaimID(m.t.Context(), o.e.ID, m.now, lease)
	if !o.free(m.now) {
		if !errors.Is(err, outbox.ErrLost) {
			rt.Fatalf("claim of what somebody has: %v", err)
		}
		return
	}
	if err != nil {
		rt.Fatalf("claim of %s: %v", o.e.ID, err)
	}
	m.took(rt, o, got, crashed, lease)
}

// held draws one of all claims; stands says whether it still counts.
func (m *outboxModel) held(rt *rapid.T) (e outbox.Entry, o *owed, stands bool) {
	if len(m.claims) == 0 {
		rt.Skip("no claim yet")
	}
	e = rapid.SampledFrom(m.claims).Draw(rt, "claim")
	o = m.owed[e.ID]
	return e, o, o != nil && o.e.Version == e.Version && !o.lease.IsZero()
}

// lost checks that a claim that no longer counts changes nothing.
func (m *outboxModel) lost(rt *rapid.T, err error) {
	if !errors.Is(err, outbox.ErrLost) && !errors.Is(err, outbox.ErrNotFound) {
		rt.Fatalf("a lost claim was written: %v", err)
	}
}

func (m *outboxModel) retry(rt *rapid.T) {
	e, o, stands := m.held(rt)
	e.Attempts++
	e.LastReply = rapid.SampledFrom([]string{"", "451 later", "\x00\u00e9"}).Draw(rt, "reply")
	e.Ambiguous = rapid.Bool().Draw(rt, "ambiguous")
	e.Next = m.now.Add(time.Duration(rapid.IntRange(-10, 120).Draw(rt, "next")) * time.Second)
	err := m.s.Retry(m.t.Context(), e)
	if !stands {
		m.lost(rt, err)
		return
	}
	if err != nil {
		rt.Fatalf("retry: %v", err)
	}
	o.e, o.lease, o.claimed = e, time.Time{}, false
	m.changed(rt, o)
}

// changed reads the version of an entry that was written.
func (m *outboxModel) changed(rt *rapid.T, o *owed) {
	got, err := m.s.Get(m.t.Context(), o.e.ID)
	if err != nil || got.Version <= o.e.Version {
		rt.Fatalf("%s: version %d after %d, %v", o.e.ID, got.Version, o.e.Version, err)
	}
	o.e.Version = got.Version
}

func (m *outboxModel) end(rt *rapid.T) {
	e, _, stands := m.held(rt)
	err := m.s.End(m.t.Context(), e)
	if !stands {
		m.lost(rt, err)
		return
	}
	if err != nil {
		rt.Fatalf("end: %v", err)
	}
	delete(m.owed, e.ID)
	m.ended = append(m.ended, e.ID)
}

func (m *outboxModel) hurry(rt *rapid.T) {
	o := m.pick(rt)
	if err := m.s.Hurry(m.t.Context(), o.e.ID, m.now); err != nil {
		rt.Fatalf("hurry: %v", err)
	}
	if o.free(m.now) {
		o.e.Next = m.now
		m.changed(rt, o)
	}
}

func (m *outboxModel) same(rt *rapid.T, o *owed, got outbox.Entry) {
	want := o.e
	if o.e.Version == 0 { // as the home chose at Add
		o.e.Version, want.Version = got.Version, got.Version
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		rt.Fatalf("%s: -want +got\n%s", want.ID, d)
	}
}

// compare checks everything that can be read.
func (m *outboxModel) compare(rt *rapid.T) {
	m.looks++
	ctx := m.t.Context()
	list, err := m.s.List(ctx, "", maxOwed+1)
	if err != nil || len(list) != len(m.owed) {
		rt.Fatalf("list: %d of %d, %v", len(list), len(m.owed), err)
	}
	var next time.Time
	for i, id := range m.ids() {
		o := m.owed[id]
		m.same(rt, o, list[i])
		if next.IsZero() || o.due().Before(next) {
			next = o.due()
		}
	}
	if at, ok, err := m.s.Due(ctx); err != nil || ok != (len(m.owed) > 0) || ok && !at.Equal(next) {
		rt.Fatalf("due: %v, %v, %v; want %v", at, ok, err, next)
	}
	if len(m.owed) > 0 {
		o := m.pick(rt)
		got, err := m.s.Get(ctx, o.e.ID)
		if err != nil {
			rt.Fatalf("get: %v", err)
		}
		m.same(rt, o, got)
		b, err := m.s.Body(ctx, o.e.ID)
		if err != nil {
			rt.Fatalf("body of %s: %v", o.e.ID, err)
		}
		defer b.Close()
		if text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size())); string(text) != o.body || err != nil {
			rt.Fatalf("body of %s: %d bytes, %v", o.e.ID, len(text), err)
		}
	}
	for _, id := range m.ended[max(0, len(m.ended)-2):] {
		if _, err := m.s.Get(ctx, id); !errors.Is(err, outbox.ErrNotFound) {
			rt.Fatalf("%s has ended and is there: %v", id, err)
		}
	}
}
