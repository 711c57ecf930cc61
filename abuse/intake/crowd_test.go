package intake_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/abuse/intake"
	"postern/abuse/intake/sheaf"
	"postern/abuse/intake/shelf"
	"postern/abuse/intake/verdict"
	"postern/internal/entity"
)

// crowd has mails arrive all at once, each for the desk alone, and returns the reports' IDs.
func (w *world) crowd(f from, mails []string) []string {
	w.t.Helper()
	ids := make([]string, len(mails))
	errs := make([]error, len(mails))
	var wg sync.WaitGroup
	for i, raw := range mails {
		m := w.message(f, raw)
		wg.Go(func() {
			ids[i], errs[i] = w.desk.Provisional(w.t.Context(), intake.Arrival{Message: m, Report: f.report(), To: []string{"abuse@x.test"}, Key: m.From + m.SHA256, By: intake.ByMail, Alone: true})
			if errs[i] == nil {
				errs[i] = w.desk.Confirm(w.t.Context(), ids[i])
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		w.t.Fatal(err)
	}
	return ids
}

// mails are n different ones of an unequal length.
func mails(n int, from string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("From: %s\r\nSubject: %d\r\n\r\n%s", from, i, strings.Repeat("spam\r\n", i)))
	}
	return all
}

// listed pages through a search by small pages.
func (w *world) listed(s intake.Search) (ids []string) {
	w.t.Helper()
	for s.Limit = 7; ; {
		all, next, err := w.desk.Find(w.t.Context(), s)
		if err != nil || len(all) > s.Limit {
			w.t.Fatal(len(all), err)
		}
		for i, work := range all {
			if i > 0 && all[i-1].At.Before(work.At) {
				w.t.Errorf("%s stands before a newer one", all[i-1].Report)
			}
			ids = append(ids, work.Report)
		}
		if next == "" {
			return ids
		}
		s.After = next
	}
}

func sorted(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}

// What a crowd sends within a moment is kept together, and is one report each all the same.
func TestAFloodIsKeptByTheDozen(t *testing.T) {
	w := newWorld(t)
	w.desk.Rates = intake.Rates{Network: 3, Unproved: 3}
	alone := w.crowd(unknown, mails(3, "first@nowhere.example"))
	w.now = w.now.Add(time.Second)
	all := mails(100, "then@nowhere.example")
	ids := w.crowd(unknown, all)
	if n, err := w.home.Count(t.Context(), entity.Query{Kind: shelf.KindReport, Index: "all"}, 1000); n != len(alone) || err != nil {
		t.Errorf("%d records of single reports, want %d (%v)", n, len(alone), err)
	}
	w.now = w.now.Add(time.Second)
	last := w.crowd(bob, mails(1, "bob@else.example"))
	every := sorted(slices.Concat(alone, ids, last))
	if got := sorted(w.listed(intake.Search{})); !slices.Equal(got, every) {
		t.Errorf("%d are listed, want %d", len(got), len(every))
	}
	if got := w.listed(intake.Search{State: shelf.New}); len(got) != len(every)-len(last) { // the last one is before the others
		t.Errorf("%d wait, want %d", len(got), len(every)-len(last))
	}
	for i, id := range ids {
		r, work := w.get(id)
		if r.ID != id || work.Report != id || work.State != shelf.New || r.Size != int64(len(all[i])) || w.bytes(r) != all[i] || r.From != unknown.mailFrom || r.Port != 4711 {
			t.Fatalf("report %d: %+v %+v", i, r, work)
		}
	}
	if again := w.crowd(unknown, all); !slices.Equal(again, ids) {
		t.Error("a retry is another report")
	}
	w.round()
	if w.book.reports() != len(every) || len(w.book.all) > 6 {
		t.Errorf("%d reports are told of in %d times, want %d", w.book.reports(), len(w.book.all), len(every))
	}
	_, work := w.get(ids[0])
	if n, err := w.desk.Folded(t.Context(), work.Fold); work.State != shelf.Folded || n != len(ids) || err != nil {
		t.Errorf("%+v, %d like it (%v)", work, n, err)
	}
	for name, s := range map[string]intake.Search{"case": {Case: work.Cases[0]}, "fold": {Fold: work.Fold}, "state": {State: shelf.Folded}} {
		if got := sorted(w.listed(s)); !slices.Equal(got, sorted(ids)) {
			t.Errorf("by %s there are %d, want %d", name, len(got), len(ids))
		}
	}
	r, _ := w.get(ids[42])
	if got := w.listed(intake.Search{SHA256: r.SHA256}); !slices.Equal(got, ids[42:43]) {
		t.Errorf("by its digest: %v", got)
	}
}

// asked counts what is read by name.
type asked struct {
	entity.Home
	names []string
}

func (a *asked) Get(ctx context.Context, kind entity.Kind, id string) (entity.Record, error) {
	a.names = append(a.names, string(kind)+" "+id)
	return a.Home.Get(ctx, kind, id)
}

// The reports of a page are those of its works, each what Get says, and what is kept together is
// read once for all of them.
func TestReportsOfAPage(t *testing.T) {
	w := newWorld(t)
	w.desk.Rates = intake.Rates{Network: 3, Unproved: 3}
	ids := slices.Concat(w.crowd(unknown, mails(3, "first@nowhere.example")), w.crowd(unknown, mails(90, "then@nowhere.example")))
	w.round()
	if err := w.desk.SetApart(t.Context(), ids[50]); err != nil {
		t.Fatal(err)
	}
	works, _, err := w.desk.Find(t.Context(), intake.Search{Limit: 500})
	if err != nil || len(works) != len(ids) {
		t.Fatal(len(works), err)
	}
	gone := intake.Work{Report: "q-000000000000000000000000.1"}
	count := &asked{Home: w.home}
	got, err := sheaf.Reports(t.Context(), count, append(works, gone, intake.Work{Report: "nothing"}))
	if err != nil || len(got) != len(ids) {
		t.Fatal(len(got), err)
	}
	for _, id := range ids {
		if r, _ := w.get(id); !reflect.DeepEqual(got[id], r) {
			t.Errorf("%+v is not %+v", got[id], r)
		}
	}
	slices.Sort(count.names)
	if once := slices.Compact(slices.Clone(count.names)); len(once) != len(count.names) || len(once) > 12 {
		t.Errorf("%d are read, %d different: %v", len(count.names), len(once), once)
	}
}

// A token of ours opens the door through a flood, a few times for each message.
func TestATokenAmidAFlood(t *testing.T) {
	w := newWorld(t)
	w.desk.Rates = intake.Rates{Network: 1, Unproved: 1}
	raw := w.send("anna", text, "bob@else.example")
	w.crowd(unknown, mails(20, "x@nowhere.example"))
	var about []string
	for i := range 30 {
		about = append(about, arf(fmt.Sprintf("c%d@nowhere.example", i), raw))
	}
	ids := w.crowd(unknown, about)
	w.round()
	read := 0
	for _, id := range ids {
		r, work := w.get(id)
		if w.bytes(r) != about[slices.Index(ids, id)] {
			t.Fatal(id)
		}
		if r.Traced {
			read++
			if work.State != shelf.Done || work.Proof.Account != "anna" || work.Proof.Votes != 0 {
				t.Errorf("%+v", work)
			}
		}
	}
	if read != 5 {
		t.Errorf("%d of %d about one message were read, want 5", read, len(ids))
	}
	proved := w.crowd(bob, []string{arf("bob@else.example", raw)})
	w.round()
	if _, work := w.get(proved[0]); work.Proof.Votes == 0 {
		t.Errorf("who is proved has no vote amid a flood: %+v", work.Proof)
	}
}

// People may judge one of a flood, and then it stands by itself.
func TestOneOfAFloodStandsApart(t *testing.T) {
	w := newWorld(t)
	w.desk.Rates = intake.Rates{Network: 1, Unproved: 1}
	all := mails(9, "x@nowhere.example")
	ids := w.crowd(unknown, all)
	one := slices.IndexFunc(ids, func(id string) bool { return strings.HasPrefix(id, "q-") })
	if err := w.desk.SetApart(t.Context(), ids[one]); !errors.Is(err, entity.ErrInvalid) {
		t.Errorf("before it is worked on: %v", err)
	}
	w.round()
	before := sorted(w.listed(intake.Search{}))
	for range 2 {
		if err := w.desk.SetApart(t.Context(), ids[one]); err != nil {
			t.Fatal(err)
		}
	}
	book := verdict.Book{Store: w.home, Audit: func(context.Context, string, string, string, any, any, string) error { return nil }}
	if _, err := book.Judge(t.Context(), "ann", ids[one], verdict.Wrong, ""); err != nil {
		t.Fatal(err)
	}
	r, work := w.get(ids[one])
	if work.Judged != string(verdict.Wrong) || work.Fold == "" || w.bytes(r) != all[one] {
		t.Errorf("%+v", work)
	}
	if got := sorted(w.listed(intake.Search{})); !slices.Equal(got, before) {
		t.Errorf("%d are listed, %d before", len(got), len(before))
	}
	if n, err := w.desk.Folded(t.Context(), work.Fold); n != len(ids)-1 || err != nil {
		t.Errorf("%d like it, want %d (%v)", n, len(ids)-1, err)
	}
}

// Whatever write breaks, each of a flood that was answered is there once, with its bytes.
func TestAFloodKeptTogetherWhateverBreaks(t *testing.T) {
	for at := 0; ; at++ {
		w := newWorld(t)
		w.desk.Rates = intake.Rates{Network: 1, Unproved: 1}
		all := mails(12, "x@nowhere.example")
		ids := w.crowd(unknown, all)
		n, broke := 0, false
		w.home.Fail = func() error {
			if n++; n == at+1 {
				broke = true
				return errors.New("power failed")
			}
			return nil
		}
		_, _ = w.desk.Round(t.Context())
		w.home.Fail, w.desk = nil, w.reopen()
		w.round()
		if got := sorted(w.listed(intake.Search{})); !slices.Equal(got, sorted(ids)) || w.book.reports() != len(ids) {
			t.Fatalf("broken at write %d: %d are listed and %d counted, want %d", at, len(got), w.book.reports(), len(ids))
		}
		if !broke {
			break
		}
	}
}

// What is too old goes, and its bytes.
func TestSweepOfAFlood(t *testing.T) {
	w := newWorld(t)
	w.desk.Rates = intake.Rates{Network: 1, Unproved: 1}
	ids := w.crowd(unknown, mails(10, "x@nowhere.example"))
	w.round()
	w.now = w.now.Add(200 * 24 * time.Hour)
	held := true
	for range 2 {
		if _, err := w.desk.Sweep(t.Context(), w.now.Add(-180*24*time.Hour), func(context.Context, intake.Work) (bool, error) { return held, nil }); err != nil {
			t.Fatal(err)
		}
		left, _, err := w.desk.Find(t.Context(), intake.Search{})
		if want := map[bool]int{true: len(ids)}[held]; len(left) != want || err != nil {
			t.Errorf("held %v: %d are left, want %d (%v)", held, len(left), want, err)
		}
		held = false
	}
	if sums, err := w.home.BlobsBefore(t.Context(), entity.Intake, w.now, 100); len(sums) > 0 || err != nil {
		t.Errorf("%d runs of bytes are left (%v)", len(sums), err)
	}
}
