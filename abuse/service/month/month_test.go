package month_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases/figures"
	"postern/abuse/service/book"
	"postern/abuse/service/exclusion"
	"postern/abuse/service/month"
	"postern/internal/mailtest/entities"
)

var first = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

type world struct {
	t     *testing.T
	now   time.Time
	store *entities.Memory
	src   month.Source
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: first, store: &entities.Memory{}}
	now := func() time.Time { return w.now }
	w.src = month.Source{
		Book: w.book("mx1"), Hostname: "mx1", Now: now, Zone: func() *time.Location { return time.UTC },
		Exclusions: &exclusion.Desk{Store: w.store, Now: now, Audit: func(context.Context, string, string, string, any, any, string) error { return nil }},
	}
	return w
}

func (w *world) book(node string) *book.Book {
	return &book.Book{Store: w.store, Node: node, Zone: func() *time.Location { return time.UTC }, Now: func() time.Time { return w.now }}
}

func (w *world) flush(b *book.Book) {
	w.t.Helper()
	if err := b.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// probed writes days of minutes that all were good, but for those that bad names.
func (w *world) probed(b *book.Book, from time.Time, days int, bad map[int]bool) {
	w.t.Helper()
	for i := range days * 1440 {
		at := from.Add(time.Duration(i) * time.Minute)
		var err error
		if bad[i] {
			err = errors.New("no answer")
		}
		b.Probed("smtp-in", at, err)
		if i%1440 == 1439 {
			w.flush(b)
		}
	}
	w.flush(b)
}

func (w *world) count(at time.Time) month.Report {
	w.t.Helper()
	w.now = at
	r, err := w.src.Count(w.t.Context(), "2026-06")
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func get(t *testing.T, r month.Report, id string) month.Figure {
	t.Helper()
	for _, f := range r.Figures {
		if f.ID == id {
			return f
		}
	}
	t.Fatalf("no figure %s", id)
	return month.Figure{}
}

func is(t *testing.T, f month.Figure, value float64, state month.State) {
	t.Helper()
	if f.Value == nil || math.Abs(*f.Value-value) > 1e-6 || f.State != state {
		got := math.NaN()
		if f.Value != nil {
			got = *f.Value
		}
		t.Errorf("%s: %v %s, want %v %s (%s; %v)", f.ID, got, f.State, value, state, f.Note, f.Of)
	}
}

var over = first.AddDate(0, 1, 0).Add(time.Hour)

// A month with nothing in it has no figure at all.
func TestNothingIsInvented(t *testing.T) {
	r := start(t).count(over)
	if len(r.Figures) < 20 || !r.Whole {
		t.Errorf("%d figures", len(r.Figures))
	}
	for _, f := range r.Figures {
		if f.Value != nil || f.State != month.NoData || f.Formula == "" || f.Clause == "" || f.Unit == "" {
			t.Errorf("%+v", f)
		}
	}
	text, err := json.Marshal(r)
	if err != nil || strings.Contains(string(text), "100") && strings.Contains(string(text), `"value":1`) {
		t.Errorf("%s %v", text, err)
	}
	if _, err := start(t).src.Count(t.Context(), "June"); err == nil {
		t.Error("June is a month")
	}
}

func minutes(from, n int) map[int]bool {
	out := map[int]bool{}
	for i := range n {
		out[from+i] = true
	}
	return out
}

// Forty-four minutes are kept, one more breaks; an approved exclusion takes them out, and a
// proposed one does not.
func TestReachability(t *testing.T) {
	w := start(t)
	w.probed(w.src.Book, first, 30, minutes(1000, 44))
	r := w.count(over)
	is(t, get(t, r, "unreached-minutes"), 44, month.Kept)
	is(t, get(t, r, "reachability"), 100*float64(43200-44)/43200, month.Broken)
	if len(r.Outages) != 1 || r.Outages[0].Minutes != 44 || r.Outages[0].Why != "no answer" || !r.Outages[0].Counted {
		t.Errorf("%+v", r.Outages)
	}
	w.src.Book.Probed("smtp-in", first.Add(5000*time.Minute), errors.New("gone"))
	w.flush(w.src.Book)
	is(t, get(t, w.count(over), "unreached-minutes"), 45, month.Broken)
	e, err := w.src.Exclusions.Propose(t.Context(), "lea", exclusion.Exclusion{Class: "a", From: first.Add(1000 * time.Minute), To: first.Add(1010 * time.Minute), Reason: "announced", Planned: true})
	if err != nil {
		t.Fatal(err)
	}
	is(t, get(t, w.count(over), "unreached-minutes"), 45, month.Broken)
	if _, err := w.src.Exclusions.Decide(t.Context(), "lee", e.ID, true, ""); err != nil {
		t.Fatal(err)
	}
	r = w.count(over)
	is(t, get(t, r, "unreached-minutes"), 35, month.Kept)
	is(t, get(t, r, "reachability"), 100*float64(43190-35)/43190, month.Kept)
	is(t, get(t, r, "change-minutes"), 10, month.Kept)
	if len(r.Outages) != 3 || r.Outages[0].Excluded != e.ID || r.Outages[0].Minutes != 10 {
		t.Errorf("%+v", r.Outages)
	}
	is(t, get(t, r, "availability"), 100*float64(43200-35)/43200, month.Broken)
	is(t, get(t, r, "fault-minutes"), 0, month.Kept)
}

// Minutes that nobody looked at are no good ones: what they could turn is unknown.
func TestUnobserved(t *testing.T) {
	w := start(t)
	w.probed(w.src.Book, first, 29, nil)
	r := w.count(over)
	f := get(t, r, "unreached-minutes")
	is(t, f, 0, month.Unknown)
	if f.Of["unobserved"] != 1440 || r.Groups["service"].Observed != 29*1440 {
		t.Errorf("%+v", f.Of)
	}
	is(t, get(t, r, "reachability"), 100, month.Unknown)
	is(t, get(t, w.count(first.AddDate(0, 0, 29)), "unreached-minutes"), 0, month.Kept) // the last day is to come
	is(t, get(t, r, "fault-free-days"), 29, month.Unknown)
}

// Where another node answers, the service did; what lies behind is shown apart.
func TestNodesAndGroups(t *testing.T) {
	w := start(t)
	other := w.book("mx2")
	w.probed(w.src.Book, first, 1, minutes(10, 20))
	w.probed(other, first, 1, minutes(20, 20))
	for i := range 30 {
		w.src.Book.Probed(month.Behind, first.Add(time.Duration(i)*time.Minute), errors.New("no server"))
		w.src.Book.Probed("web", first.Add(time.Duration(100+i)*time.Minute), errors.New("500"))
	}
	w.flush(w.src.Book)
	r := w.count(first.AddDate(0, 0, 1))
	is(t, get(t, r, "unreached-minutes"), 40, month.Kept)
	if g := r.Groups; g["smtp-in"].Counted != 10 || g["web"].Counted != 30 || g[month.Behind].Counted != 30 || g["service"].Observed != 1440 {
		t.Errorf("%+v", g)
	}
}

// Faults are counted once however many stand, and only from begin to end.
func TestFaults(t *testing.T) {
	w := start(t)
	w.probed(w.src.Book, first, 30, nil)
	other := w.book("mx2")
	at := func(min int) time.Time { return first.Add(time.Duration(min) * time.Minute) }
	w.src.Book.Fault("store", "away", at(100), false)
	w.src.Book.Fault("store", "away", at(160), true)
	other.Fault("store", "away", at(130), false)
	other.Fault("store", "away", at(190), true)
	w.src.Book.Fault("clamav:down", "away", at(-600), false)
	w.src.Book.Fault("clamav:down", "away", at(5), true)
	w.flush(w.src.Book)
	w.flush(other)
	r := w.count(over)
	is(t, get(t, r, "fault-minutes"), 95, month.Kept)
	is(t, get(t, r, "availability"), 100*float64(43200-95)/43200, month.Broken)
	f := get(t, r, "fault-free-days")
	if *f.Value != 29 || f.Of["faulty"] != 2 || len(r.Faults) != 3 { // the day before had one too
		t.Errorf("%+v %d", f, len(r.Faults))
	}
}

// Each domain is judged by itself: one slow one breaks the promise, whatever the others do.
func TestDelays(t *testing.T) {
	w := start(t)
	for i := range 100 {
		w.src.Book.Delayed(book.Receive, "fast.example", "m", first.Add(time.Duration(i)*time.Second), 10*time.Second)
	}
	w.src.Book.Delayed(book.Receive, "slow.example", "s1", first, 2*time.Hour)
	w.src.Book.Held(book.Receive, "held.example", first)
	w.flush(w.src.Book)
	r := w.count(over)
	is(t, get(t, r, "receive-delay-mean"), (1000.0+7200)/101, month.Broken)
	is(t, get(t, r, "receive-delay-max"), 7200, month.Stated)
	is(t, get(t, r, "receive-delay-late"), 1, month.Kept) // two are too many
	is(t, get(t, r, "receive-held"), 1, month.Stated)
	if get(t, r, "send-delay-mean").State != month.NoData {
		t.Error("nothing was sent")
	}
	if x := r.Tenants; len(x) != 3 || x[0].Domain != "slow.example" || x[0].State != month.Broken || x[2].State != month.NoData || x[2].Mean != nil {
		t.Errorf("%+v", r.Tenants)
	}
	w.src.Book.Delayed(book.Receive, "slow.example", "s2", first, 2*time.Hour)
	w.flush(w.src.Book)
	is(t, get(t, w.count(over), "receive-delay-late"), 2, month.Broken)
}

// The ages, the lists and the trials, each against its own limit.
func TestAges(t *testing.T) {
	w := start(t)
	b := w.src.Book
	b.Sample(month.Signatures, first, 20*time.Hour, "27000")
	b.Sample(month.Signatures, first.Add(time.Hour), 169*time.Hour, "27000")
	b.Sample(month.Incremental, first, 23*time.Hour, "")
	b.Sample(month.Full, first, 80*time.Hour, "")
	b.Sample(month.Oldest, first, 31*24*time.Hour, "")
	b.Sample(month.Page, first, 20*time.Millisecond, "")
	b.Sample(month.PageNarrow, first, 20*time.Second, "")
	b.Sample(month.PageNarrow, first, 50*time.Second, "")
	w.flush(b)
	near := w.book("mx2") // has the newer full one
	near.Sample(month.Full, first, 70*time.Hour, "")
	w.flush(near)
	w.src.Lists = func(context.Context, time.Time, time.Time) ([]month.List, error) {
		return []month.List{
			{ID: "1", Published: first, Applied: first.Add(5 * time.Hour), Due: first.Add(9 * time.Hour)},
			{ID: "2", Published: first, Due: first.Add(9 * time.Hour), Dropped: true},
		}, nil
	}
	w.src.Proofs = func(context.Context, time.Time, time.Time) ([]month.Proof, error) {
		return []month.Proof{{ID: "p", OK: false}}, nil
	}
	r := w.count(over)
	is(t, get(t, r, "signature-age"), 169, month.Broken)
	is(t, get(t, r, "backup-age"), 23, month.Kept)
	is(t, get(t, r, "backup-full-age"), 70, month.Kept)
	is(t, get(t, r, "backup-kept"), 31, month.Kept)
	is(t, get(t, r, "page-mean"), 0.02, month.Kept)
	is(t, get(t, r, "page-mean-narrow"), 35, month.Broken)
	is(t, get(t, r, "list-lag"), 5, month.Stated)
	is(t, get(t, r, "lists-late"), 0, month.Kept)
	is(t, get(t, r, "restore-proofs"), 0, month.Broken)
}

// The first response time is the sum of the times over the answers: 2, 4 and 6 hours are 4.
func TestFirstResponse(t *testing.T) {
	w := start(t)
	w.src.Cases = func(_ context.Context, p figures.Period) (figures.Figures, error) {
		if !p.From.Equal(first) || !p.To.Equal(first.AddDate(0, 1, 0)) {
			t.Errorf("%+v", p)
		}
		return figures.Figures{
			First:      figures.Sum([]time.Duration{2 * time.Hour, 4 * time.Hour, 6 * time.Hour}),
			FirstInDay: &figures.Share{Part: 2, Of: 3, Share: 2.0 / 3},
		}, nil
	}
	r := w.count(over)
	is(t, get(t, r, "first-response"), 4, month.Stated)
	is(t, get(t, r, "first-in-day"), 200.0/3, month.Broken)
	if get(t, r, "time-to-result").State != month.NoData {
		t.Error("no result was sent")
	}
}

// What cannot be read is no empty month.
func TestStoreAway(t *testing.T) {
	w := start(t)
	odd := errors.New("away")
	w.src.Cases = func(context.Context, figures.Period) (figures.Figures, error) { return figures.Figures{}, odd }
	w.now = over
	if _, err := w.src.Count(t.Context(), "2026-06"); !errors.Is(err, odd) {
		t.Errorf("%v", err)
	}
}
