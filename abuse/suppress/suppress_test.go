package suppress_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases/dossier"
	"postern/abuse/suppress"
	"postern/filter"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

// world is the list of two nodes on one store.
type world struct {
	t     *testing.T
	now   time.Time
	a, b  *suppress.Book
	audit []string
	links map[string]dossier.Link
	err   error
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC), links: map[string]dossier.Link{}}
	store := &entities.Memory{}
	book := func() *suppress.Book {
		return &suppress.Book{
			Store: store, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
			Audit: func(_ context.Context, actor, action, object string, _, _ any, _ string) error {
				w.audit = append(w.audit, actor+" "+action+" "+object)
				return nil
			},
			Link: func(_ context.Context, id string) (dossier.Link, error) { return w.links[id], w.err },
		}
	}
	w.a, w.b = book(), book()
	w.load()
	return w
}

func (w *world) load() {
	w.t.Helper()
	for _, b := range []*suppress.Book{w.a, w.b} {
		if err := b.Load(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) add(account, recipient string) suppress.Entry {
	w.t.Helper()
	e, err := w.a.Add(w.t.Context(), suppress.Entry{Account: account, Recipient: recipient, By: "olga", Reason: "asked by phone"})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// wants is what both nodes say.
func (w *world) wants(account, recipient string, want bool) {
	w.t.Helper()
	for i, b := range []*suppress.Book{w.a, w.b} {
		if got := b.Wants(account, recipient); got != want {
			w.t.Errorf("node %d: %s takes mail of %s: %v", i, recipient, account, got)
		}
	}
}

func TestAddAndLift(t *testing.T) {
	w := newWorld(t)
	w.wants("shop@x.example", "ada@isp.example", true)
	e := w.add("Shop@X.example", "Ada@ISP.Example")
	if w.a.Wants("shop@x.example", "ada@isp.example") || !w.b.Wants("shop@x.example", "ada@isp.example") {
		t.Error("the node that noted it knows at once, the other after a look")
	}
	w.load()
	w.wants("shop@x.example", "ADA@isp.example", false)
	w.wants("other@x.example", "ada@isp.example", true)
	w.wants("shop@x.example", "bob@isp.example", true)
	if again := w.add("shop@x.example", "ada@isp.example"); again.ID != e.ID || !again.At.Equal(e.At) {
		t.Errorf("%+v", again)
	}
	if _, err := w.b.Lift(t.Context(), "olga", e.ID, " "); !errors.Is(err, suppress.ErrInvalid) {
		t.Error(err)
	}
	w.now = w.now.Add(time.Hour)
	if _, err := w.b.Lift(t.Context(), "olga", e.ID, "asked for it again"); err != nil {
		t.Fatal(err)
	}
	w.load()
	w.wants("shop@x.example", "ada@isp.example", true)
	if _, err := w.b.Lift(t.Context(), "olga", e.ID, "twice"); !errors.Is(err, entity.ErrNotFound) {
		t.Error(err)
	}
	if p, err := w.a.List(t.Context(), suppress.Query{Account: "shop@x.example"}); err != nil || len(p.Entries) != 0 {
		t.Errorf("%+v %v", p, err)
	}
	w.add("shop@x.example", "ada@isp.example")
	w.load()
	w.wants("shop@x.example", "ada@isp.example", false)
	if want := []string{"olga suppress-add shop@x.example", "olga suppress-add shop@x.example", "olga suppress-lift shop@x.example", "olga suppress-add shop@x.example"}; !slices.Equal(w.audit, want) {
		t.Errorf("%q", w.audit)
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.now = w.now.Add(time.Second)
		w.add(fmt.Sprintf("a%d@x.example", i%3), fmt.Sprintf("r%d@isp.example", i/3))
	}
	for q, want := range map[suppress.Query]int{
		{}: 30, {Account: "A1@x.example"}: 10, {Recipient: "r4@ISP.example"}: 3, {Account: "a1@x.example", Recipient: "r4@isp.example"}: 1, {Account: "none"}: 0,
	} {
		p, err := w.a.List(t.Context(), q)
		if err != nil || len(p.Entries) != want {
			t.Errorf("%+v: %d entries, want %d, %v", q, len(p.Entries), want, err)
		}
	}
	first, err := w.a.List(t.Context(), suppress.Query{Limit: 20})
	if err != nil || len(first.Entries) != 20 || first.Next == "" || first.Entries[0].Recipient != "r9@isp.example" {
		t.Fatalf("%+v %v", first, err)
	}
	rest, err := w.a.List(t.Context(), suppress.Query{Limit: 20, After: first.Next})
	if err != nil || len(rest.Entries) != 10 || rest.Next != "" {
		t.Errorf("%+v %v", rest, err)
	}
}

// TestReports has reports come: what asks for no more mail and is proved to be about the copy of
// that recipient is granted, nothing else.
func TestReports(t *testing.T) {
	good := dossier.Link{Complaint: dossier.Complaint{Report: "r", Grade: 3, Account: "shop@x.example", To: "ada@isp.example", Feedback: suppress.OptOut}}
	for name, c := range map[string]struct {
		change func(l *dossier.Link, k *dossier.Case, e *dossier.Event)
		want   bool
	}{
		"opt-out":          {func(*dossier.Link, *dossier.Case, *dossier.Event) {}, true},
		"of a list":        {func(l *dossier.Link, _ *dossier.Case, _ *dossier.Event) { l.Feedback = suppress.OptOutList }, true},
		"opened by it":     {func(_ *dossier.Link, _ *dossier.Case, e *dossier.Event) { e.Action = "opened" }, true},
		"abuse":            {func(l *dossier.Link, _ *dossier.Case, _ *dossier.Event) { l.Feedback = "abuse" }, false},
		"half proved":      {func(l *dossier.Link, _ *dossier.Case, _ *dossier.Event) { l.Grade = 2 }, false},
		"transplanted":     {func(l *dossier.Link, _ *dossier.Case, _ *dossier.Event) { l.Class = "TRANSPLANT" }, false},
		"nobody's copy":    {func(l *dossier.Link, _ *dossier.Case, _ *dossier.Event) { l.To = "" }, false},
		"no address":       {func(l *dossier.Link, _ *dossier.Case, _ *dossier.Event) { l.To = "nobody" }, false},
		"a drill":          {func(_ *dossier.Link, k *dossier.Case, _ *dossier.Event) { k.Drill = true }, false},
		"another event":    {func(_ *dossier.Link, _ *dossier.Case, e *dossier.Event) { e.Action = "state" }, false},
		"without a report": {func(_ *dossier.Link, _ *dossier.Case, e *dossier.Event) { e.Report = "" }, false},
	} {
		w := newWorld(t)
		l, k, e := good, dossier.Case{ID: "A-2026-000001"}, dossier.Event{Report: "r", Action: "report"}
		c.change(&l, &k, &e)
		w.links["r"] = l
		for range 2 { // told twice is noted once
			if err := w.a.Follow(t.Context(), k, e); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := !w.a.Wants("shop@x.example", "ada@isp.example"); got != c.want {
			t.Errorf("%s: suppressed %v, want %v", name, got, c.want)
		}
	}
	w := newWorld(t)
	w.err = errors.New("the store is away")
	if err := w.a.Follow(t.Context(), dossier.Case{}, dossier.Event{Report: "r", Action: "report"}); !errors.Is(err, w.err) {
		t.Error("a report that could not be read is not asked for again:", err)
	}
}

func TestInvalid(t *testing.T) {
	w := newWorld(t)
	for name, e := range map[string]suppress.Entry{
		"no account": {Recipient: "a@b.example", By: "x"}, "no address": {Account: "a", Recipient: "b", By: "x"}, "nobody": {Account: "a", Recipient: "a@b.example"},
		"a long reason": {Account: "a", Recipient: "a@b.example", By: "x", Reason: strings.Repeat("x", suppress.MaxReason+1)}, "a long account": {Account: strings.Repeat("x", 400), Recipient: "a@b.example", By: "x"},
	} {
		if _, err := w.a.Add(t.Context(), e); !errors.Is(err, suppress.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForgotten has entries that were lifted go after a month, and the others stay.
func TestForgotten(t *testing.T) {
	w := newWorld(t)
	e := w.add("shop@x.example", "ada@isp.example")
	w.add("shop@x.example", "bob@isp.example")
	if _, err := w.a.Lift(t.Context(), "olga", e.ID, "asked"); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(31 * 24 * time.Hour)
	if err := w.a.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.a.Store.Get(t.Context(), suppress.Kind, e.ID); !errors.Is(err, entity.ErrNotFound) {
		t.Error(err)
	}
	fresh := newWorld(t)
	fresh.a.Store = w.a.Store
	if err := fresh.a.Load(t.Context()); err != nil || fresh.a.Wants("shop@x.example", "bob@isp.example") || !fresh.a.Wants("shop@x.example", "ada@isp.example") {
		t.Error(err)
	}
}

// TestCheck has outbound mail go to one who wants it and to one who does not.
func TestCheck(t *testing.T) {
	w := newWorld(t)
	m := &filter.Message{Direction: filter.Outbound, Account: "shop@x.example", To: []filter.Recipient{{Address: "Ada@isp.example"}, {Address: "bob@isp.example"}}}
	found := func(c filter.Check, m *filter.Message) []string {
		t.Helper()
		all, err := c.Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, f := range all {
			out = append(out, f.Symbol+" "+f.For)
		}
		return out
	}
	if got := found(w.a.Recipient(), m); got != nil {
		t.Error(got)
	}
	w.add("shop@x.example", "ada@isp.example")
	want := []string{"RECIPIENT_OPTED_OUT Ada@isp.example"}
	if got := found(w.a.Recipient(), m); !slices.Equal(got, want) {
		t.Error(got)
	}
	if got := found(w.a.Content(), m); !slices.Equal(got, want) {
		t.Error("an account that a header named:", got)
	}
	m.Seen = []filter.Finding{{Symbol: suppress.Symbol, For: "Ada@isp.example"}}
	if got := found(w.a.Content(), m); len(got) != 0 {
		t.Error("found twice:", got)
	}
	for _, other := range []*filter.Message{
		{Direction: filter.Inbound, Account: "shop@x.example", To: m.To}, {Direction: filter.Outbound, To: m.To}, {Direction: filter.Outbound, Account: "other@x.example", To: m.To},
	} {
		if got := found(w.a.Recipient(), other); len(got) != 0 {
			t.Errorf("%+v: %v", other, got)
		}
	}
}
