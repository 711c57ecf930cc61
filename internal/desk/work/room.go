package work

import (
	"context"
	"embed"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"time"

	"postern/internal/desk/page"
)

//go:embed all:html
var Pages embed.FS

// Room is the pages of work.
type Room struct {
	Kit  *page.Kit
	Desk *Desk
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /work/{id}", h.show)
	handle("POST /work/{id}/stop", h.stop)
	handle("GET /work/{id}/file", h.file)
}

// soon is how long a reader waits for work that may be over at once.
const soon = 300 * time.Millisecond

// Start begins a task and leads the reader to its page.
func (h *Room) Start(w http.ResponseWriter, r *http.Request, t Task) {
	id, err := h.Desk.Begin(r.Context(), owner(r), t)
	if errors.Is(err, ErrBusy) {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusTooManyRequests, Words: h.Kit.Language(r).Say("work.busy")})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), soon)
	defer cancel()
	_ = h.Desk.Wait(ctx, owner(r), id) // the page shows either
	http.Redirect(w, r, "/work/"+id, http.StatusSeeOther)
}

func owner(r *http.Request) string {
	if u := page.Of(r.Context()).User; u != nil {
		return u.Name
	}
	return ""
}

// of is the work that a request names; it answers where there is none.
func (h *Room) of(w http.ResponseWriter, r *http.Request) (s State, ok bool) {
	s, err := h.Desk.Show(owner(r), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound, Words: h.Kit.Language(r).Say("work.gone")})
	}
	return s, err == nil
}

func (h *Room) show(w http.ResponseWriter, r *http.Request) {
	if s, ok := h.of(w, r); ok {
		h.Kit.Show(w, r, "work", page.View{Title: s.Task.Title, Here: s.Task.Here, Body: s})
	}
}

func (h *Room) stop(w http.ResponseWriter, r *http.Request) {
	s, ok := h.of(w, r)
	if !ok {
		return
	}
	_ = h.Desk.Stop(s.Owner, s.ID) // it was there just now
	ctx, cancel := context.WithTimeout(r.Context(), soon)
	defer cancel()
	_ = h.Desk.Wait(ctx, s.Owner, s.ID) // the page shows either
	http.Redirect(w, r, "/work/"+s.ID, http.StatusSeeOther)
}

func (h *Room) file(w http.ResponseWriter, r *http.Request) {
	s, ok := h.of(w, r)
	if !ok {
		return
	}
	f := s.Result.File
	if f == nil {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
		return
	}
	Save(w, f)
}

// Save hands a file out, to be saved and never shown.
func Save(w http.ResponseWriter, f *File) {
	head := w.Header()
	head.Set("Content-Type", f.Type)
	head.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	head.Set("Content-Length", strconv.Itoa(len(f.Body)))
	head.Set("Cache-Control", "no-store")
	_, _ = w.Write(f.Body) // the reader has gone: nobody to tell
}
