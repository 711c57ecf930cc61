package appeal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/appeal"
	"postern/filter"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

type world struct {
	*appeal.Book
	t     *testing.T
	now   time.Time
	audit []string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)}
	w.Book = &appeal.Book{Store: &entities.Memory{}, Now: func() time.Time { return w.now }, Audit: func(_ context.Context, actor, action, object string, _, _ any, note string) error {
		w.audit = append(w.audit, strings.Join([]string{actor, action, object, note}, " "))
		return nil
	}}
	return w
}

// ref is the n-th reference.
func ref(t *testing.T, n int) string {
	t.Helper()
	id, err := filter.NewID(time.UnixMilli(1_900_000_000_000), strings.NewReader(fmt.Sprintf("%010d", n)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func asked(reference string) appeal.Appeal {
	return appeal.Appeal{Refusal: appeal.Refusal{Reference: reference, Cause: "spf", Reply: "550 no"}, Language: "en", Text: "please look"}
}

func (w *world) add(n int) appeal.Appeal {
	w.t.Helper()
	w.now = w.now.Add(time.Minute)
	a, err := w.Add(w.t.Context(), "public page", asked(ref(w.t, n)))
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func TestOnePerReference(t *testing.T) {
	w := newWorld(t)
	if a := w.add(1); a.State != appeal.Open || !a.At.Equal(w.now) {
		t.Errorf("%+v", a)
	}
	if _, err := w.Add(t.Context(), "public page", asked(ref(t, 1))); !errors.Is(err, appeal.ErrTwice) {
		t.Error(err)
	}
	w.add(2)
	if n, err := w.Waiting(t.Context()); n != 2 || err != nil {
		t.Error(n, err)
	}
	if want := []string{"public page appeal " + ref(t, 1) + " ", "public page appeal " + ref(t, 2) + " "}; !slices.Equal(w.audit, want) {
		t.Errorf("%q", w.audit)
	}
}

func TestWhatIsKept(t *testing.T) {
	w := newWorld(t)
	a := asked(ref(t, 1))
	a.Text, a.Email = "  one\x00\x1b[31m\u202e two\nthree\xff ", " Ann@far.example "
	a.State, a.By, a.Answer, a.From = appeal.Granted, "me", "granted by myself", strings.Repeat("x", 5000)
	got, err := w.Add(t.Context(), "public page", a)
	if err != nil || got.Text != "one[31m two\nthree" || got.Email != "Ann@far.example" || got.State != appeal.Open || got.By != "" || got.Answer != "" || len(got.From) != 400 {
		t.Errorf("%+v %v", got, err)
	}
	for name, edit := range map[string]func(*appeal.Appeal){
		"no reference":    func(a *appeal.Appeal) { a.Refusal.Reference = "../x" },
		"nothing said":    func(a *appeal.Appeal) { a.Text = " \x01\n" },
		"too long":        func(a *appeal.Appeal) { a.Text = strings.Repeat("я", appeal.MaxText/2+1) },
		"no address":      func(a *appeal.Appeal) { a.Email = "ann" },
		"two addresses":   func(a *appeal.Appeal) { a.Email = "a@b.example, c@d.example" },
		"a header":        func(a *appeal.Appeal) { a.Email = "a@b.example\r\nBcc: c@d.example" },
		"a long address":  func(a *appeal.Appeal) { a.Email = strings.Repeat("a", 260) + "@b.example" },
		"odd language":    func(a *appeal.Appeal) { a.Language = "tlh" },
		"several of them": func(a *appeal.Appeal) { a.Language = "en zh-CN" },
	} {
		a := asked(ref(t, 2))
		edit(&a)
		if _, err := w.Add(t.Context(), "public page", a); !errors.Is(err, appeal.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecisions(t *testing.T) {
	w := newWorld(t)
	id := w.add(1).Refusal.Reference
	for name, d := range map[string]appeal.Decision{
		"no state":           {Reference: id},
		"odd state":          {Reference: id, State: "lost"},
		"an empty answer":    {Reference: id, State: appeal.Answered, Answer: " "},
		"opened without why": {Reference: id, State: appeal.Open},
		"a long answer":      {Reference: id, State: appeal.Refused, Answer: strings.Repeat("x", appeal.MaxText+1)},
		"a long note":        {Reference: id, State: appeal.Refused, Note: strings.Repeat("x", appeal.MaxNote+1)},
	} {
		if _, err := w.Decide(t.Context(), "olga", d); !errors.Is(err, appeal.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Decide(t.Context(), "olga", appeal.Decision{Reference: id, State: appeal.Open, Note: "x"}); !errors.Is(err, appeal.ErrState) {
		t.Error(err)
	}
	if _, err := w.Decide(t.Context(), "olga", appeal.Decision{Reference: ref(t, 9), State: appeal.Granted}); !errors.Is(err, entity.ErrNotFound) {
		t.Error(err)
	}
	w.now = w.now.Add(time.Hour)
	a, err := w.Decide(t.Context(), "olga", appeal.Decision{Reference: id, State: appeal.Granted, Answer: "Sorry.", Note: "a partner"})
	if err != nil || a.State != appeal.Granted || a.By != "olga" || a.Answer != "Sorry." || a.Note != "a partner" || !a.Decided.Equal(w.now) {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := w.Decide(t.Context(), "oleg", appeal.Decision{Reference: id, State: appeal.Granted, Answer: "Sorry."}); !errors.Is(err, appeal.ErrState) {
		t.Error("decided twice alike:", err)
	}
	if a, err = w.Decide(t.Context(), "oleg", appeal.Decision{Reference: id, State: appeal.Open, Note: "not him"}); err != nil || a.State != appeal.Open || !a.Decided.IsZero() {
		t.Errorf("%+v %v", a, err)
	}
	if got := w.audit[len(w.audit)-2:]; got[0] != "olga appeal-granted "+id+" a partner" || got[1] != "oleg appeal-open "+id+" not him" {
		t.Errorf("%q", got)
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	if since, err := w.Oldest(t.Context()); err != nil || !since.IsZero() {
		t.Error(since, err)
	}
	var ids []string
	for i := range 5 {
		ids = append(ids, w.add(i).Refusal.Reference)
	}
	if _, err := w.Decide(t.Context(), "olga", appeal.Decision{Reference: ids[1], State: appeal.Refused}); err != nil {
		t.Fatal(err)
	}
	list := func(q appeal.Query) (out []string, next string) {
		t.Helper()
		p, err := w.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range p.Appeals {
			out = append(out, a.Refusal.Reference)
		}
		return out, p.Next
	}
	if got, _ := list(appeal.Query{State: appeal.Open}); !slices.Equal(got, []string{ids[0], ids[2], ids[3], ids[4]}) {
		t.Errorf("those that wait: %v", got)
	}
	first, next := list(appeal.Query{Limit: 3})
	rest, end := list(appeal.Query{Limit: 3, After: next})
	if want := []string{ids[4], ids[3], ids[2], ids[1], ids[0]}; !slices.Equal(append(first, rest...), want) || end != "" {
		t.Errorf("all: %v %v %q", first, rest, end)
	}
	if _, err := w.List(t.Context(), appeal.Query{State: "x"}); !errors.Is(err, appeal.ErrInvalid) {
		t.Error(err)
	}
	if since, err := w.Oldest(t.Context()); err != nil || !since.Equal(time.Date(2026, 3, 4, 5, 1, 0, 0, time.UTC)) {
		t.Error(since, err)
	}
}

func TestFullAndForgotten(t *testing.T) {
	w := newWorld(t)
	for i := range appeal.MaxOpen {
		if _, err := w.Add(t.Context(), "public page", asked(ref(t, i))); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := w.Add(t.Context(), "public page", asked(ref(t, appeal.MaxOpen))); !errors.Is(err, appeal.ErrFull) {
		t.Error(err)
	}
	w.now = w.now.Add(appeal.Keep - time.Hour)
	if _, err := w.Decide(t.Context(), "olga", appeal.Decision{Reference: ref(t, 7), State: appeal.Answered, Answer: "Who are you?"}); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(2 * time.Hour)
	if err := w.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := w.List(t.Context(), appeal.Query{})
	if err != nil || len(p.Appeals) != 1 || p.Appeals[0].Refusal.Reference != ref(t, 7) {
		t.Errorf("%d are left, %v", len(p.Appeals), err)
	}
}
