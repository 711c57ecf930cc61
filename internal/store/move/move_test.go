package move_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/abuse"
	"postern/blocklist"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/internal/report"
	"postern/internal/store/local"
	"postern/internal/store/move"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/greytest"
	"postern/quarantine"
)

func home(t *testing.T) move.Parts {
	t.Helper()
	h, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return move.Parts{
		Holds: h.Holds(), Outbox: h.Outbox(), Lists: h.Lists(), Accounts: h.Accounts(), Audit: h.Audit(), Traffic: h.Traffic(),
		Reports: h.Reports(), Greylist: h.Greylist(), Sent: h.Sent(), Entities: h.Entities(),
	}
}

var now = storetest.Start.Add(time.Hour)

func mover(from, to move.Parts) *move.Mover {
	return &move.Mover{From: from, To: to, Name: "there", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// held keeps hold number n in a state.
func held(t *testing.T, s quarantine.Store, n int, state quarantine.State) quarantine.Hold {
	t.Helper()
	body := fmt.Sprintf("body %d", n)
	h := must(s.Put(t.Context(), storetest.Hold(n, body), strings.NewReader(body)))(t)
	if state == quarantine.Provisional {
		return h
	}
	ok(t, s.Confirm(t.Context(), []string{h.ID}))
	h = must(s.Get(t.Context(), h.ID))(t)
	switch h.State = state; state {
	case quarantine.Held:
		return h
	case quarantine.Releasing, quarantine.Refused:
		h.Release = &quarantine.Release{By: "me", At: now, Attempts: 2, Failure: "later"}
		if state == quarantine.Releasing {
			h.Release.Next = now.Add(time.Minute)
		}
	default:
		h.Ended = &quarantine.Ended{At: now, By: "me"}
	}
	return must(s.Change(t.Context(), h))(t)
}

func readBody(t testing.TB, s quarantine.Store, id string) string {
	t.Helper()
	r := must(s.Body(t.Context(), id))(t)
	defer r.Close()
	return string(must(io.ReadAll(r))(t))
}

// TestHolds moves holds in every state, each broken off at every step and run again.
func TestHolds(t *testing.T) {
	for fail := 0; ; fail++ {
		from, to := home(t), home(t)
		states := []quarantine.State{quarantine.Held, quarantine.Releasing, quarantine.Refused, quarantine.Released, quarantine.Held, quarantine.Provisional}
		var want []quarantine.Hold
		for n, s := range states {
			if h := held(t, from.Holds, n, s); s.Open() {
				want = append([]quarantine.Hold{h}, want...)
			}
		}
		// One mail is held in the new home already: its retry came in there.
		twin := storetest.Hold(40, "body 4")
		twin.Key = storetest.Hold(4, "").Key
		must(to.Holds.Put(t.Context(), twin, strings.NewReader("body 4")))(t)
		ok(t, to.Holds.Confirm(t.Context(), []string{twin.ID}))
		want[0].ID, want[0].MessageID, want[0].At, want[0].Expires = twin.ID, twin.MessageID, twin.At, twin.Expires

		b := &breaking{at: fail}
		m := mover(from, to)
		m.From.Holds, m.To.Holds = &brokenHolds{from.Holds, b}, &brokenHolds{to.Holds, b}
		_, err := m.Run(t.Context())
		if fail > 0 && b.calls >= fail && !errors.Is(err, errBroken) {
			t.Fatalf("call %d failed, and Run said %v", fail, err)
		}
		if err != nil {
			must(mover(from, to).Run(t.Context()))(t)
		}
		got := must(to.Holds.List(t.Context(), quarantine.Query{}))(t).Holds
		if d := cmp.Diff(want, got, cmpopts.IgnoreFields(quarantine.Hold{}, "Version")); d != "" {
			t.Errorf("broken at call %d: -want +got\n%s", fail, d)
		}
		for _, h := range got {
			if text := readBody(t, to.Holds, h.ID); storetest.SHA(text) != h.SHA256 {
				t.Errorf("broken at call %d: %s has the body %q", fail, h.ID, text)
			}
		}
		if left := must(from.Holds.List(t.Context(), quarantine.Query{}))(t).Holds; len(left) > 0 {
			t.Errorf("broken at call %d: %d stay in the old home", fail, len(left))
		}
		if fail > b.calls {
			t.Logf("%d calls of the stores, each failed once", b.calls)
			return
		}
	}
}

// TestReleaseMeanwhile releases each hold in the old home just before it would be ended
// there: it is not shown in the new one.
func TestReleaseMeanwhile(t *testing.T) {
	from, to := home(t), home(t)
	h := held(t, from.Holds, 1, quarantine.Held)
	busy := held(t, from.Holds, 2, quarantine.Releasing)
	busy.Release.Trying = true
	busy = must(from.Holds.Change(t.Context(), busy))(t)
	m := mover(from, to)
	m.To.Holds = &before{to.Holds, func() {
		h.State, h.Ended = quarantine.Released, &quarantine.Ended{At: now, By: "other"}
		must(from.Holds.Change(t.Context(), h))(t)
	}}
	out := must(m.Run(t.Context()))(t)
	if out.Holds != 0 || len(out.Busy) != 2 {
		t.Errorf("%+v", out)
	}
	if _, err := to.Holds.Get(t.Context(), h.ID); !errors.Is(err, quarantine.ErrNotFound) {
		t.Errorf("a released hold is in the new home: %v", err)
	}
	if got := must(from.Holds.Get(t.Context(), busy.ID))(t); got.State != quarantine.Releasing {
		t.Errorf("a hold that is being released is %s", got.State)
	}
}

func TestOutbox(t *testing.T) {
	for fail := 0; ; fail++ {
		from, to := home(t), home(t)
		for n := range 3 {
			must(from.Outbox.Add(t.Context(), storetest.Entry(n, "body"), strings.NewReader("body")))(t)
		}
		claimed := storetest.Entry(1, "").ID
		if _, _, err := from.Outbox.ClaimID(t.Context(), claimed, now, time.Hour); err != nil {
			t.Fatal(err)
		}
		b := &breaking{at: fail}
		m := mover(from, to)
		m.From.Outbox, m.To.Outbox = &brokenOutbox{from.Outbox, b}, &brokenOutbox{to.Outbox, b}
		out, err := m.Run(t.Context())
		if err != nil {
			late := mover(from, to)
			late.Now = func() time.Time { return now.Add(11 * time.Minute) } // the lease of the broken move is over
			out = must(late.Run(t.Context()))(t)
		}
		if len(out.Busy) != 1 || out.Busy[0] != claimed {
			t.Errorf("broken at call %d: busy %v", fail, out.Busy)
		}
		got := must(to.Outbox.List(t.Context(), "", 10))(t)
		if left := must(from.Outbox.List(t.Context(), "", 10))(t); len(got) != 2 || len(left) != 1 {
			t.Errorf("broken at call %d: %d there, %d here", fail, len(got), len(left))
		}
		for _, e := range got {
			body := must(to.Outbox.Body(t.Context(), e.ID))(t)
			if text := must(io.ReadAll(io.NewSectionReader(body, 0, body.Size())))(t); string(text) != "body" {
				t.Errorf("body %q", text)
			}
			ok(t, body.Close())
		}
		if fail > b.calls {
			return
		}
	}
}

func TestDecisions(t *testing.T) {
	from, to := home(t), home(t)
	put := func(p move.Parts, name string, version uint64, state abuse.State, at time.Time) {
		ok(t, p.Accounts.PutAccount(t.Context(), abuse.Account{Name: name, State: state, At: at, Version: version}))
	}
	put(from, "only", 1, abuse.Suspended, now)
	put(from, "later", 1, abuse.Suspended, now)
	put(to, "later", 1, abuse.Active, now.Add(-time.Hour))
	put(from, "earlier", 1, abuse.Active, now.Add(-time.Hour))
	put(to, "earlier", 1, abuse.Suspended, now)
	for _, e := range []blocklist.Entry{{Value: "a.example", Scope: "all", Created: now}, {Value: "b.example", Scope: "all", Reason: "old", Created: now.Add(-time.Hour)}} {
		ok(t, from.Lists.PutListEntry(t.Context(), e))
	}
	ok(t, to.Lists.PutListEntry(t.Context(), blocklist.Entry{Value: "b.example", Scope: "all", Reason: "new", Created: now}))
	for range 2 { // a second run changes nothing
		must(mover(from, to).Run(t.Context()))(t)
		for _, name := range []string{"only", "later", "earlier"} {
			if a := must(to.Accounts.Account(t.Context(), name))(t); a.State != abuse.Suspended {
				t.Errorf("%s is %s", name, a.State)
			}
		}
		all, _, err := to.Lists.ListEntries(t.Context())
		if err != nil || len(all) != 2 {
			t.Errorf("%d entries, %v", len(all), err)
		}
		for _, e := range all {
			if e.Reason == "old" {
				t.Error("a newer entry was overwritten")
			}
		}
	}
}

func TestAudit(t *testing.T) {
	from, to := home(t), home(t)
	write := func(p move.Parts, object string) {
		must(p.Audit.Append(t.Context(), record.Entry{Time: now, Actor: "me", Action: "x", Object: object}))(t)
	}
	write(to, "new 1")
	for n := range 450 {
		write(from, fmt.Sprint(n))
	}
	if out := must(mover(from, to).Run(t.Context()))(t); out.Audit != 450 {
		t.Errorf("%d entries", out.Audit)
	}
	write(from, "450")
	if out := must(mover(from, to).Run(t.Context()))(t); out.Audit != 1 {
		t.Errorf("%d entries at the second run", out.Audit)
	}
	must(record.Verify(t.Context(), to.Audit))(t)
	next := 0
	for after := int64(0); ; {
		entries := must(to.Audit.Entries(t.Context(), after, 100))(t)
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			after = e.Seq
			if e.Action == "x" && e.Object != "new 1" {
				if e.Object != fmt.Sprint(next) {
					t.Fatalf("entry %q, want %d", e.Object, next)
				}
				next++
			}
		}
	}
	if next != 451 {
		t.Errorf("%d entries arrived", next)
	}
}

func TestRecords(t *testing.T) {
	from, to := home(t), home(t)
	for n := range 3 {
		must(from.Greylist.PutOff(t.Context(), greytest.Entry(n, fmt.Sprintf("%032x", n)), storetest.Start))(t)
	}
	for n := range 1500 {
		row := record.Row{ID: fmt.Sprintf("01jd9x%020d", n), Time: now.Add(time.Duration(n) * time.Second), To: []record.Fate{}, Symbols: []string{}}
		for !from.Traffic.Add(row) {
			must(from.Traffic.Find(t.Context(), record.Trace{Limit: 1}))(t) // what waits is written first
		}
	}
	must(from.Reports.Add(t.Context(), report.Received{Key: "k", Kind: report.KindTLS, At: now, Begin: now, End: now, TLS: []byte(`{"a":1}`)}))(t)
	day := report.DayOf(now)
	ok(t, from.Reports.Count(t.Context(), row(day, "a.example", 3), row(day, "b.example", 5)))
	ok(t, to.Reports.Count(t.Context(), row(day, "b.example", 7)))
	for range 2 {
		must(mover(from, to).Run(t.Context()))(t)
		if all := must(to.Greylist.ListWaiting(t.Context(), "", 10, storetest.Start))(t); len(all) != 3 || all[0].Tries != 1 {
			t.Errorf("greylist: %+v", all)
		}
		if page := must(to.Traffic.Find(t.Context(), record.Trace{ID: fmt.Sprintf("01jd9x%020d", 1)}))(t); len(page.Rows) != 1 {
			t.Errorf("traffic: %d rows", len(page.Rows))
		}
		if r, ok, err := to.Reports.Report(t.Context(), "k"); !ok || err != nil || string(r.TLS) != `{"a":1}` {
			t.Errorf("report: %+v %v %v", r, ok, err)
		}
		for domain, want := range map[string]int64{"a.example": 3, "b.example": 7} {
			if rows := must(to.Reports.Rows(t.Context(), day, domain, 10))(t); len(rows) != 1 || rows[0].Record.Row.Count != want {
				t.Errorf("%s: %+v", domain, rows)
			}
		}
	}
}

func row(day, domain string, n int64) report.Row {
	r := report.Row{Day: day, Domain: domain, DMARC: "v=DMARC1; p=none; rua=mailto:r@" + domain}
	r.Record.Row.Count = n
	return r
}

// TestDamage leaves what cannot be read where it is.
func TestDamage(t *testing.T) {
	from, to := home(t), home(t)
	h := held(t, from.Holds, 1, quarantine.Held)
	held(t, from.Holds, 2, quarantine.Held)
	m := mover(from, to)
	m.From.Holds = &damaged{from.Holds, h.ID}
	out := must(m.Run(t.Context()))(t)
	if out.Holds != 1 || len(out.Damaged) != 1 || out.Damaged[0] != h.ID {
		t.Errorf("%+v", out)
	}
	if got := must(from.Holds.Get(t.Context(), h.ID))(t); got.State != quarantine.Held {
		t.Errorf("the damaged one is %s", got.State)
	}
}

var errBroken = errors.New("broken off")

// breaking fails one call of many, and all after it: the process died.
type breaking struct{ calls, at int }

func (b *breaking) step() error {
	b.calls++
	if b.at > 0 && b.calls >= b.at {
		return errBroken
	}
	return nil
}

type brokenHolds struct {
	quarantine.Store
	*breaking
}

func (s *brokenHolds) Put(ctx context.Context, h quarantine.Hold, body io.Reader) (quarantine.Hold, error) {
	if err := s.step(); err != nil {
		return h, err
	}
	h, err := s.Store.Put(ctx, h, body)
	return h, errors.Join(err, s.step())
}

func (s *brokenHolds) Change(ctx context.Context, h quarantine.Hold) (quarantine.Hold, error) {
	if err := s.step(); err != nil {
		return h, err
	}
	h, err := s.Store.Change(ctx, h)
	return h, errors.Join(err, s.step())
}

func (s *brokenHolds) Confirm(ctx context.Context, ids []string) error {
	if err := s.step(); err != nil {
		return err
	}
	return errors.Join(s.Store.Confirm(ctx, ids), s.step())
}

type brokenOutbox struct {
	outbox.Store
	*breaking
}

func (s *brokenOutbox) Add(ctx context.Context, e outbox.Entry, body io.Reader) (string, error) {
	if err := s.step(); err != nil {
		return "", err
	}
	id, err := s.Store.Add(ctx, e, body)
	return id, errors.Join(err, s.step())
}

func (s *brokenOutbox) End(ctx context.Context, e outbox.Entry) error {
	if err := s.step(); err != nil {
		return err
	}
	return errors.Join(s.Store.End(ctx, e), s.step())
}

// before does something after the first Put.
type before struct {
	quarantine.Store
	do func()
}

func (s *before) Put(ctx context.Context, h quarantine.Hold, body io.Reader) (quarantine.Hold, error) {
	h, err := s.Store.Put(ctx, h, body)
	s.do()
	return h, err
}

type damaged struct {
	quarantine.Store
	id string
}

func (s *damaged) Body(ctx context.Context, id string) (io.ReadCloser, error) {
	if id == s.id {
		return io.NopCloser(strings.NewReader("other")), nil
	}
	return s.Store.Body(ctx, id)
}
