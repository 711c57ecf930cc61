package notice_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/notice"
	"postern/abuse/notice/letter"
	"postern/internal/entity"
)

func (w *world) list(state string) []notice.Notice {
	w.t.Helper()
	all, _, err := w.d.List(w.t.Context(), w.c.ID, state, "", 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func anna() cases.Actor { return cases.Actor{Name: "anna", Role: flow.Agent} }

func TestADraftIsSent(t *testing.T) {
	w := newWorld(t)
	n, err := w.d.Prepare(t.Context(), anna(), w.c.ID, "", "en", letter.Rejected)
	if err != nil || n.State != notice.Drafted || n.To != "vic@y.example" || n.By != "anna" || !strings.Contains(n.Body, "terms of use forbid") || len(w.posts)+len(w.told) != 0 {
		t.Fatalf("%+v %v %v", n, err, w.told)
	}
	for name, bad := range map[string][2]string{"no UTF-8": {"", "\xff"}, "long": {"", strings.Repeat("x", letter.MaxBody+1)}, "the account": {"", "It was ANNA@x.example."}, "subject": {strings.Repeat("x", 301), ""}} {
		if _, err := w.d.Edit(t.Context(), anna(), n.ID, bad[0], bad[1]); !errors.Is(err, letter.ErrLetter) {
			t.Errorf("%s: %v", name, err)
		}
	}
	berta := cases.Actor{Name: "berta", Role: flow.Lead}
	if n, err = w.d.Edit(t.Context(), berta, n.ID, "About\r\nBcc: x", "We looked.\r\nIt is over.\n"); err != nil || n.By != "berta" || n.Subject != "["+w.c.ID+"] About Bcc: x" {
		t.Fatalf("%+v %v", n, err)
	}
	if n, err = w.d.Send(t.Context(), berta, n.ID, true); err != nil || n.State != notice.Sent || len(w.posts) != 1 || !slices.Equal(w.told, []string{"result sent=true barred="}) {
		t.Fatalf("%+v %v %v", n, err, w.told)
	}
	if h := w.posts[0].msg.Header; h.Get("Auto-Submitted") != "" || h.Get("Bcc") != "" || decode(t, w.posts[0]) != "We looked.\r\nIt is over.\r\n" {
		t.Errorf("%v", w.posts[0])
	}
	for range 2 {
		if _, err := w.d.Send(t.Context(), berta, n.ID, true); !errors.Is(err, notice.ErrNoDraft) {
			t.Errorf("twice: %v", err)
		}
	}
	// What a person said is not said again by the program.
	if w.event("state", "", flow.Rejected); len(w.posts) != 1 || w.told[len(w.told)-1] != "result sent=true barred=" {
		t.Errorf("%d letters, %v", len(w.posts), w.told)
	}
	if w.event("state", "", flow.Resolved); len(w.posts) != 2 { // another result is
		t.Errorf("%d letters", len(w.posts))
	}
}

func TestDraftsThatCannotBe(t *testing.T) {
	w := newWorld(t)
	w.c.Source.IP, w.c.Source.Login = netip.MustParseAddr("203.0.113.7"), "annalogin"
	if _, err := w.d.Prepare(t.Context(), anna(), w.c.ID, "", "", letter.Warning); !errors.Is(err, letter.ErrLetter) {
		t.Errorf("a letter to the account: %v", err)
	}
	n, err := w.d.Prepare(t.Context(), anna(), w.c.ID, "", "", letter.NeedInfo)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.d.Send(t.Context(), anna(), n.ID, false); !errors.Is(err, letter.ErrLetter) {
		t.Errorf("without saying what is needed: %v", err)
	}
	for _, text := range []string{"From 203.0.113.7 it came", "the login AnnaLogin"} {
		if _, err := w.d.Edit(t.Context(), anna(), n.ID, "", text); !errors.Is(err, letter.ErrLetter) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if n, err = w.d.Discard(t.Context(), anna(), n.ID, "not needed"); err != nil || n.State != notice.Discarded {
		t.Errorf("%+v %v", n, err)
	}
	if _, err := w.d.Edit(t.Context(), anna(), n.ID, "x", "y"); !errors.Is(err, notice.ErrNoDraft) {
		t.Errorf("%v", err)
	}
	own, err := w.d.Prepare(t.Context(), anna(), w.c.ID, "r1", "", "")
	if err != nil || own.Kind != notice.Own {
		t.Fatalf("%+v %v", own, err)
	}
	if _, err := w.d.Send(t.Context(), anna(), own.ID, false); !errors.Is(err, letter.ErrLetter) {
		t.Errorf("an empty letter: %v", err)
	}
	if _, err := w.d.Send(t.Context(), anna(), "nothing", false); !errors.Is(err, entity.ErrNotFound) {
		t.Errorf("%v", err)
	}
	w.parties["r1"] = notice.Party{To: ""}
	if _, err := w.d.Prepare(t.Context(), anna(), w.c.ID, "r1", "", ""); !errors.Is(err, notice.ErrBarred) {
		t.Errorf("%v", err)
	}
	w.links = nil
	if _, err := w.d.Prepare(t.Context(), anna(), w.c.ID, "", "", ""); !errors.Is(err, notice.ErrBarred) {
		t.Errorf("nobody reported it: %v", err)
	}
}

// Before the result is due, it lies ready; what a person decides takes its place.
func TestResultsArePreparedBeforeTheyAreDue(t *testing.T) {
	w := newWorld(t)
	w.c.Grade, w.c.State = 4, flow.Triage
	mark := func(clock flow.Name) {
		t.Helper()
		if err := w.d.Follow(t.Context(), w.c, cases.Event{Case: w.c.ID, At: w.now, Action: "clock", Data: map[string]string{"clock": string(clock), "percent": "50"}}); err != nil {
			t.Fatal(err)
		}
	}
	if mark(flow.First); len(w.list("")) != 0 {
		t.Fatalf("%+v", w.list(""))
	}
	mark(flow.Result)
	mark(flow.Result) // 80 %
	all := w.list(notice.Drafted)
	if len(all) != 1 || len(w.posts)+len(w.told) != 0 || all[0].Kind != letter.Result || all[0].By != "" || strings.Contains(all[0].Body, "anna@x.example") {
		t.Fatalf("%+v %v", all, w.told)
	}
	if w.event("state", "", flow.Suspended); len(w.list(notice.Drafted)) != 0 || len(w.list(notice.Discarded)) != 1 {
		t.Errorf("%+v", w.list(""))
	}
	before := len(w.posts)
	if err := w.d.Tend(t.Context()); err != nil || len(w.posts) != before {
		t.Errorf("%d letters, %v", len(w.posts), err)
	}
}

// A draft on which a person works stays although the case is decided meanwhile.
func TestWhatAPersonWorksOnStays(t *testing.T) {
	w := newWorld(t)
	w.c.State = flow.Triage
	if err := w.d.Follow(t.Context(), w.c, cases.Event{Action: "clock", Data: map[string]string{"clock": string(flow.Result)}}); err != nil {
		t.Fatal(err)
	}
	id := w.list(notice.Drafted)[0].ID
	if _, err := w.d.Edit(t.Context(), anna(), id, "", "My own words.\n"); err != nil {
		t.Fatal(err)
	}
	if w.event("state", "", flow.Rejected); len(w.list(notice.Drafted)) != 1 {
		t.Errorf("%+v", w.list(""))
	}
}

// A crash between the words and the outbox: the case hears first, and once more at most.
func TestSentAfterACrash(t *testing.T) {
	w := newWorld(t)
	n, err := w.d.Prepare(t.Context(), anna(), w.c.ID, "r1", "", letter.Result)
	if err != nil {
		t.Fatal(err)
	}
	w.away = errors.New("the outbox is away")
	if _, err := w.d.Send(t.Context(), anna(), n.ID, true); !errors.Is(err, w.away) {
		t.Fatal(err)
	}
	w.away = nil
	for range 2 {
		if err := w.d.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.d.Get(t.Context(), n.ID); err != nil || got.State != notice.Sent || len(w.posts) != 1 || w.told[0] != "result sent=true barred=" {
		t.Errorf("%+v %v %v", got, err, w.told)
	}
}
