// Package part is what the parts of the pages of rules share: their tabs, and how they read
// forms.
package part

import (
	"context"
	"errors"
	"net/http"

	"postern/internal/desk/page"
)

// Part writes pages.
type Part struct {
	Kit   *page.Kit
	Calls page.Caller
}

// tab is one part of these pages.
type tab struct {
	Key, Path string
	Here      bool
}

// tabs are the parts that the reader may see.
func (h Part) tabs(ctx context.Context, here string) []tab {
	var out []tab
	for _, t := range []struct{ key, path, call string }{
		{"rules", "/rules", "rules.list"}, {"files", "/rules/files", "rules.files"}, {"changes", "/rules/changes", "rules.history"},
		{"lists", "/rules/lists", "blocklist.list"}, {"calendar", "/rules/calendar", "calendar.show"}, {"audit", "/rules/audit", "audit.find"},
	} {
		if h.Calls.May(ctx, t.call) {
			out = append(out, tab{t.key, t.path, t.key == here})
		}
	}
	return out
}

// view is a page with its tabs.
type view struct {
	Tabs []tab
	Data any
}

// Show writes a page with its tabs.
func (h Part) Show(w http.ResponseWriter, r *http.Request, status int, name, here, title string, data any) {
	h.Kit.ShowStatus(w, r, status, name, page.View{Title: title, Here: "rules", Wide: true, Body: view{h.tabs(r.Context(), here), data}})
}

// Say is a text of these pages in the reader's language.
func (h Part) Say(r *http.Request, key string, pairs ...any) string {
	return h.Kit.Language(r).Say("rules."+key, pairs...)
}

// Refusal is what a call says that it does not do; false: it is a fault.
func Refusal(err error) (string, int, bool) {
	var e *page.Error
	if errors.As(err, &e) && e.Status < http.StatusInternalServerError && e.Status != http.StatusForbidden {
		return e.Words, e.Status, true
	}
	return "", 0, false
}

// Number is a whole number as a form has it, or 0.
func Number(s string) (n int) {
	for _, c := range s {
		if c < '0' || c > '9' || n > 1_000_000 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}
