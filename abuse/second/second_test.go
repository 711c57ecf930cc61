package second_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/said"

	"go.uber.org/goleak"

	"postern/abuse/second"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type world struct {
	*second.Book
	now     time.Time
	audit   []string
	alerts  []string
	done    []string
	dropped []string
	fails   error
}

func newWorld() *world {
	w := &world{now: time.Date(2030, 1, 7, 10, 0, 0, 0, time.UTC)}
	w.Book = &second.Book{
		Store: &entities.Memory{}, Now: func() time.Time { return w.now },
		Audit: func(_ context.Context, actor, action, object string, _, _ any, note string) error {
			w.audit = append(w.audit, fmt.Sprintf("%s %s %s: %s", actor, action, object, note))
			return nil
		},
		Alert: func(key, text string, over bool) { w.alerts = append(w.alerts, fmt.Sprint(key, " ", over)) },
		Do: func(_ context.Context, p second.Proposal) error {
			if w.fails == nil {
				w.done = append(w.done, p.ID+" by "+p.By+" and "+p.Decided.By)
			}
			return w.fails
		},
		Dropped: func(_ context.Context, p second.Proposal) error {
			w.dropped = append(w.dropped, string(p.State))
			return nil
		},
	}
	return w
}

var (
	anna  = second.Person{Name: "anna", User: true}
	chief = second.Person{Name: "chief", User: true, Lead: true}
	berta = second.Person{Name: "berta", User: true, Lead: true}
	root  = second.Person{Name: "uid 0 (root)", Lead: true}
)

func (w *world) propose(t *testing.T, who second.Person) second.Proposal {
	t.Helper()
	p, err := w.Propose(t.Context(), who, second.Proposal{Act: "measure", Object: "ann@x.example", Words: "M7 on ann@x.example", Params: []byte(`{"level":"M7"}`), Reason: "the letter permits it"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAnotherPersonApproves(t *testing.T) {
	w := newWorld()
	p := w.propose(t, chief)
	if again := w.propose(t, chief); again.ID != p.ID {
		t.Errorf("twice: %+v", again)
	}
	for name, who := range map[string]second.Person{"the same": chief, "an agent": anna, "the machine": root} {
		if _, err := w.Approve(t.Context(), who, p.ID, "yes", ""); !errors.Is(err, second.ErrSecond) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(w.done) != 0 {
		t.Fatalf("%v", w.done)
	}
	got, err := w.Approve(t.Context(), berta, p.ID, "yes", "")
	if err != nil || got.State != second.Approved || !got.Done || !slices.Equal(w.done, []string{p.ID + " by chief and berta"}) {
		t.Fatalf("%+v %v %v", got, w.done, err)
	}
	if _, err := w.Approve(t.Context(), berta, p.ID, "yes", ""); !errors.Is(err, second.ErrOver) {
		t.Errorf("twice: %v", err)
	}
	if _, err := w.Refuse(t.Context(), berta, p.ID, "no"); !errors.Is(err, second.ErrOver) {
		t.Errorf("refused after: %v", err)
	}
	if _, err := w.Approve(t.Context(), berta, "p-0", "yes", ""); !errors.Is(err, entity.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if want := []string{"chief approval-propose ann@x.example: the letter permits it", "berta approval-approve ann@x.example: yes"}; !slices.Equal(w.audit, want) {
		t.Errorf("%q", w.audit)
	}
}

func TestRefusedWithdrawnExpired(t *testing.T) {
	w := newWorld()
	refused, withdrawn, late := w.propose(t, chief), w.propose(t, anna), w.propose(t, berta)
	if _, err := w.Refuse(t.Context(), berta, refused.ID, " "); !errors.Is(err, second.ErrInvalid) {
		t.Errorf("without a reason: %v", err)
	}
	if _, err := w.Refuse(t.Context(), anna, refused.ID, "no"); !errors.Is(err, second.ErrSecond) {
		t.Errorf("by an agent: %v", err)
	}
	if p, err := w.Refuse(t.Context(), berta, refused.ID, "no"); err != nil || p.State != second.Refused {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := w.Refuse(t.Context(), anna, withdrawn.ID, "a mistake"); err != nil || p.State != second.Withdrawn {
		t.Errorf("%+v %v", p, err)
	}
	w.now = w.now.Add(second.For)
	if _, err := w.Approve(t.Context(), chief, late.ID, "yes", ""); !errors.Is(err, second.ErrOver) {
		t.Errorf("too late: %v", err)
	}
	for range 2 {
		if err := w.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := w.Get(t.Context(), late.ID); err != nil || p.Decided.Said.Code != "second.nobody-decided" || p.State != second.Expired || len(w.done) > 0 || !slices.Equal(w.dropped, []string{"refused", "withdrawn", "expired"}) {
		t.Errorf("%+v %v %v", p, err, w.dropped)
	}
	page, err := w.List(t.Context(), second.Open, "", 10)
	all, err2 := w.List(t.Context(), "", "", 10)
	if err != nil || err2 != nil || len(page.Proposals) != 0 || len(all.Proposals) != 3 {
		t.Errorf("%+v %+v", page, all)
	}
}

// Somebody alone can act, but never unheard.
func TestBreakingTheGlass(t *testing.T) {
	w := newWorld()
	p := w.propose(t, root)
	if _, err := w.Approve(t.Context(), berta, p.ID, "", "nobody is here"); !errors.Is(err, second.ErrSecond) {
		t.Errorf("by a user: %v", err)
	}
	if _, err := w.Approve(t.Context(), root, p.ID, "", strings.Repeat("x", second.MaxReason+1)); !errors.Is(err, second.ErrInvalid) {
		t.Errorf("long: %v", err)
	}
	got, err := w.Approve(t.Context(), root, p.ID, "", "nobody is here")
	if err != nil || !got.Done || !got.Decided.Glass || got.Decided.By != "break-glass by uid 0 (root)" {
		t.Fatalf("%+v %v", got, err)
	}
	if !slices.Contains(w.audit, "uid 0 (root) break-glass ann@x.example: nobody is here") || !slices.Contains(w.alerts, "break-glass-M7 on ann@x.example-ann@x.example false") {
		t.Errorf("%q %q", w.audit, w.alerts)
	}
}

// What was approved and could not be done is done by approving it again.
func TestApprovedAndNotDone(t *testing.T) {
	w := newWorld()
	p := w.propose(t, chief)
	w.fails = errors.New("the store is away")
	if got, err := w.Approve(t.Context(), berta, p.ID, "yes", ""); !errors.Is(err, w.fails) || got.Done || got.Failure == "" {
		t.Errorf("%+v %v", got, err)
	}
	w.fails = nil
	if got, err := w.Approve(t.Context(), berta, p.ID, "yes", ""); err != nil || !got.Done || got.Failure != "" || len(w.done) != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

// What the program asks for, and why it ends by itself, has a code; what a person typed has none.
func TestProposalsHaveCodes(t *testing.T) {
	w := newWorld()
	p, err := w.Propose(t.Context(), chief, second.Proposal{
		Act: "pace", Object: "x", Said: said.Say("asked.call", "%s of %s", "call", "hold.delete", "object", "x"), Because: said.Say("credit.another-draft", "it is another draft now"),
	})
	if err != nil || p.Words != "hold.delete of x" || p.Said.Code != "asked.call" || p.Said.English != "" || p.Reason != "it is another draft now" || p.Because.Code != "credit.another-draft" {
		t.Fatalf("%+v %v", p, err)
	}
	if p, err = w.Refuse(t.Context(), berta, p.ID, "no"); err != nil || p.Decided.Reason != "no" || p.Decided.Said.Code != "" {
		t.Errorf("%+v %v", p.Decided, err)
	}
}

func TestWhatCannotBeProposed(t *testing.T) {
	w := newWorld()
	good := second.Proposal{Act: "measure", Object: "a@x.example", Reason: "x"}
	for name, f := range map[string]func(p *second.Proposal){
		"no reason": func(p *second.Proposal) { p.Reason = "" }, "no object": func(p *second.Proposal) { p.Object = "" }, "no act": func(p *second.Proposal) { p.Act = "" },
		"long": func(p *second.Proposal) { p.Params = make([]byte, second.MaxParams+1) },
	} {
		p := good
		f(&p)
		if _, err := w.Propose(t.Context(), chief, p); !errors.Is(err, second.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
