// Package take hands held messages and their parts to a reader's disk. What a virus was found in
// is for those who answer for others, with a written reason.
package take

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"postern/internal/desk/held/letter"
	"postern/internal/desk/page"
)

// Room is what answers.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds what it answers to.
func (t *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /held/{id}/raw", t.take)
	handle("GET /held/{id}/part/{path}", t.take)
	handle("POST /held/{id}/take", t.take)
}

// Virus reports whether a reason of this symbol says that a virus was found.
func Virus(symbol string) bool { return symbol == "VIRUS" || symbol == "STRIP_FAILED" }

// May reports whether the reader may take what a virus was found in: who answers for others may.
func May(ctx context.Context, calls page.Caller) bool { return calls.May(ctx, "approval.approve") }

// hold is what is known of a message before its bytes are.
type hold struct {
	ID      string   `json:"id"`
	Size    int64    `json:"size"`
	SHA256  string   `json:"sha256"`
	Reasons []reason `json:"reasons"`
}

type reason struct {
	Symbol string `json:"symbol"`
}

func (h hold) infected() bool {
	return slices.ContainsFunc(h.Reasons, func(r reason) bool { return Virus(r.Symbol) })
}

// take hands on a message, or one part of it.
func (t *Room) take(w http.ResponseWriter, r *http.Request) {
	var h hold
	err := t.Calls.Call(r.Context(), "quarantine.show", id{r.PathValue("id")}, &h)
	if err == nil {
		err = t.guard(r, h)
	}
	if err != nil {
		t.Kit.Fail(w, r, err)
		return
	}
	part := r.PathValue("path")
	if r.Method == http.MethodPost {
		part = r.PostFormValue("part")
	}
	if part == "" {
		t.whole(w, r, h)
		return
	}
	t.part(w, r, h, part)
}

type id struct {
	ID string `json:"id"`
}

// guard refuses what the reader may not take, and what a reason is missing for.
func (t *Room) guard(r *http.Request, h hold) error {
	switch {
	case !h.infected():
		return nil
	case !May(r.Context(), t.Calls):
		return &page.Error{Status: http.StatusForbidden, Words: t.Kit.Language(r).Say("held.infected-role")}
	case r.Method != http.MethodPost || r.PostFormValue("note") == "":
		return &page.Error{Status: http.StatusBadRequest, Words: t.Kit.Language(r).Say("held.take-needs")}
	}
	return nil
}

func (t *Room) part(w http.ResponseWriter, r *http.Request, h hold, path string) {
	var out raw
	if err := t.Calls.Call(r.Context(), "quarantine.raw", piece{ID: h.ID, Limit: letter.MaxRead, Note: r.PostFormValue("note")}, &out); err != nil {
		t.Kit.Fail(w, r, err)
		return
	}
	p, body, ok := letter.Read(out.Body, out.More).Part(path)
	if !ok {
		t.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
		return
	}
	letter.Inert(w, p.Disk(h.ID))
	_, _ = w.Write(body) // the reader has gone: nobody to tell
}

// whole hands the message on, or the range of it that was asked for. One that breaks off is
// shorter than it said, so that nobody takes it for whole.
func (t *Room) whole(w http.ResponseWriter, r *http.Request, h hold) {
	s := &source{ctx: r.Context(), calls: t.Calls, hold: h, note: r.PostFormValue("note"), next: first}
	if h.infected() {
		s.next = chunk // each piece is a line of the audit
	}
	if err := s.fetch(); err != nil {
		t.Kit.Fail(w, r, err)
		return
	}
	letter.Inert(w, h.ID+".eml")
	w.Header().Set("ETag", `"`+h.SHA256+`"`)
	http.ServeContent(w, r, "", time.Time{}, s)
}

// View is what the pages show of a message: of a large one its beginning; where a virus was found
// in it, its headers and texts, which files says. A refusal that is for the page to say is refused.
func View(ctx context.Context, calls page.Caller, of string) (l *letter.Letter, refused *page.Error, err error) {
	var out raw
	if err := calls.Call(ctx, "quarantine.view", id{of}, &out); err != nil {
		if errors.As(err, &refused) && refused.Status == http.StatusConflict {
			return nil, refused, nil
		}
		return nil, nil, err
	}
	return letter.Read(out.Body, out.More), nil, nil
}
