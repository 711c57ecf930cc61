package page_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"postern/internal/desk/page"
	"postern/internal/desk/words"
	"postern/internal/said"
)

// refusing refuses each call with its own error.
type refusing struct{ err error }

func (r refusing) Call(context.Context, string, any, any) error { return r.err }
func (r refusing) May(context.Context, string) bool             { return false }

func TestSpoken(t *testing.T) {
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	waits := &page.Error{Status: http.StatusConflict, Words: "that is more than 10", Waits: "p-1"}
	for lang, want := range map[string]string{"": "Approvals", "en": "Approvals", "zh-CN": "审批", "ru": "Утверждение", "el": "Εγκρίσεις"} {
		ctx := page.With(t.Context(), page.Visit{Language: lang})
		var e *page.Error
		if err := page.Spoken(refusing{waits}, book).Call(ctx, "x", nil, nil); !errors.As(err, &e) || e.Status != http.StatusConflict || !strings.Contains(e.Words, want) || !strings.Contains(e.Words, "p-1") {
			t.Errorf("%s: %v", lang, err)
		}
	}
	if waits.Words != "that is more than 10" {
		t.Error("the error of the call was changed")
	}
	other := &page.Error{Status: http.StatusBadRequest, Words: "as it is"}
	for _, err := range []error{nil, errors.New("away"), other} {
		if got := page.Spoken(refusing{err}, book).Call(t.Context(), "x", nil, nil); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	greek := page.With(t.Context(), page.Visit{Language: "el"})
	var e *page.Error
	if err := page.Spoken(refusing{other}, book).Call(greek, "x", nil, nil); !errors.As(err, &e) || !strings.Contains(e.Words, "as it is") || !strings.Contains(e.Words, "φόρμα") {
		t.Errorf("in Greek: %v", err)
	}
	coded := &page.Error{Status: http.StatusBadRequest, Words: "hours: 1 to 720", Said: said.Say("list.hours-1-to", "hours: 1 to %d", "most", 720)}
	for lang, want := range map[string]string{"en": "hours: 1 to 720", "zh-CN": "小时：1 到 720", "ru": "часы: от 1 до 720", "el": "ώρες: 1 έως 720"} {
		ctx := page.With(t.Context(), page.Visit{Language: lang})
		if err := page.Spoken(refusing{coded}, book).Call(ctx, "x", nil, nil); !errors.As(err, &e) || e.Words != want {
			t.Errorf("%s: %v", lang, err)
		}
	}
	if page.Spoken(refusing{}, book).May(t.Context(), "x") {
		t.Error("more may be called than before")
	}
}
