package snippet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/notice/snippet"
	"postern/internal/mailtest/entities"
)

type world struct {
	*snippet.Book
	t       *testing.T
	audited []string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t}
	w.Book = &snippet.Book{Store: &entities.Memory{}, Now: func() time.Time { return time.Unix(1_900_000_000, 0) }, Audit: func(_ context.Context, actor, action, object string, before, after any, _ string) error {
		w.audited = append(w.audited, fmt.Sprint(actor, " ", action, " ", before != nil, " ", after != nil))
		return nil
	}}
	return w
}

func (w *world) save(who, title, short string, shared bool) snippet.Snippet {
	w.t.Helper()
	s, err := w.Save(w.t.Context(), who, snippet.Snippet{Language: "ru", Title: title, Short: short, Text: " Спасибо.\r\nДо связи. \n"}, shared)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) titles(who, language string) (out []string) {
	w.t.Helper()
	all, err := w.List(w.t.Context(), who, language)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		out = append(out, s.Title)
	}
	return out
}

func TestOwnAndShared(t *testing.T) {
	w := newWorld(t)
	own := w.save("anna", "  thanks  a lot ", ";спс", false)
	if own.Title != "thanks a lot" || own.Short != "спс" || own.Text != "Спасибо.\nДо связи." || own.Shared() || own.By != "anna" {
		t.Errorf("%+v", own)
	}
	shared := w.save("lea", "Greeting", "спс", true)
	if got := w.titles("anna", "ru"); !slices.Equal(got, []string{"Greeting", "thanks a lot"}) {
		t.Errorf("%v", got)
	}
	if got := w.titles("bert", ""); !slices.Equal(got, []string{"Greeting"}) {
		t.Errorf("somebody else sees %v", got)
	}
	if got := w.titles("anna", "el"); len(got) != 0 {
		t.Errorf("another language: %v", got)
	}
	shared.Title = "Hello"
	changed, err := w.Save(t.Context(), "lena", shared, true)
	if err != nil || changed.Title != "Hello" || changed.By != "lena" || changed.Changes != 2 || changed.ID != shared.ID {
		t.Errorf("%+v %v", changed, err)
	}
	if _, err := w.Save(t.Context(), "lea", shared, true); !errors.Is(err, snippet.ErrChanged) {
		t.Errorf("over the change of another: %v", err)
	}
	for who, s := range map[string]snippet.Snippet{"bert": own, "anna": changed, "lea": {ID: "nothing", Language: "en", Title: "x", Text: "x"}} {
		s.Short = ""
		if _, err := w.Save(t.Context(), who, s, false); !errors.Is(err, snippet.ErrNotFound) {
			t.Errorf("%s saves %s: %v", who, s.ID, err)
		}
		if _, err := w.Remove(t.Context(), who, s.ID, false); !errors.Is(err, snippet.ErrNotFound) {
			t.Errorf("%s removes %s: %v", who, s.ID, err)
		}
	}
	if _, err := w.Remove(t.Context(), "lea", own.ID, true); !errors.Is(err, snippet.ErrNotFound) {
		t.Errorf("a text of somebody is no shared one: %v", err)
	}
	if _, err := w.Remove(t.Context(), "anna", own.ID, false); err != nil {
		t.Error(err)
	}
	if _, err := w.Remove(t.Context(), "lea", changed.ID, true); err != nil {
		t.Error(err)
	}
	// What people keep for themselves is no matter of the audit.
	if want := []string{"lea snippet-saved false true", "lena snippet-saved true true", "lea snippet-removed true false"}; !slices.Equal(w.audited, want) {
		t.Errorf("%q", w.audited)
	}
}

func TestWhatIsNoSnippet(t *testing.T) {
	w := newWorld(t)
	w.save("anna", "one", "thx", false)
	for _, c := range []struct {
		s    snippet.Snippet
		want string
	}{
		{
			s:    snippet.Snippet{Language: "de", Title: "x", Text: "x"},
			want: "language: one of",
		},
		{
			s:    snippet.Snippet{Language: "en", Title: " ", Text: "x"},
			want: "title: 1 to 80",
		},
		{
			s:    snippet.Snippet{Language: "en", Title: strings.Repeat("ж", 81), Text: "x"},
			want: "title: 1 to 80",
		},
		{
			s:    snippet.Snippet{Language: "en", Title: "x", Text: "\n"},
			want: "text: 1 to 2048",
		},
		{
			s:    snippet.Snippet{Language: "en", Title: "x", Text: strings.Repeat("x", snippet.MaxText+1)},
			want: "text: 1 to 2048",
		},
		{
			s:    snippet.Snippet{Language: "en", Title: "x", Text: "Dear {{.Account}}"},
			want: "no variables",
		},
		{
			s:    snippet.Snippet{Language: "en", Title: "x", Text: "\xff"},
			want: "text:",
		},
		{
			s:    snippet.Snippet{Language: "en", Title: "x", Short: "two words", Text: "x"},
			want: "short: up to 20",
		},
		{
			s:    snippet.Snippet{Language: "ru", Title: "x", Short: ";THX", Text: "x"},
			want: `"one" has ;THX already`,
		},
	} {
		if _, err := w.Save(t.Context(), "anna", c.s, false); !errors.Is(err, snippet.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+.40v: %v, want %s", c.s, err, c.want)
		}
	}
}

func TestNobodyKeepsTooMany(t *testing.T) {
	w := newWorld(t)
	for i := range snippet.MaxEach {
		w.save("anna", fmt.Sprint("t", i), "", false)
	}
	if _, err := w.Save(t.Context(), "anna", snippet.Snippet{Language: "en", Title: "x", Text: "x"}, false); !errors.Is(err, snippet.ErrFull) {
		t.Error(err)
	}
	w.save("bert", "mine", "", false)
}
