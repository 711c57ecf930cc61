package held

import (
	"errors"
	"net/http"
	"strconv"

	"postern/internal/desk/held/letter"
	"postern/internal/desk/page"
)

func asRefusal(err error, to **page.Error) bool { return errors.As(err, to) }

// read is the letter of a request; it answers where there is none.
func (h *Room) read(w http.ResponseWriter, r *http.Request) *letter.Letter {
	l, refused, err := h.letter(r.Context(), r.PathValue("id"))
	if refused != nil {
		err = refused
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return nil
	}
	return l
}

// html shows the HTML of a message in a frame of its own, without links, scripts and pictures
// from elsewhere.
func (h *Room) html(w http.ResponseWriter, r *http.Request) {
	l := h.read(w, r)
	if l == nil {
		return
	}
	l.Frame(w)
}

// beyond is a link that is about to be followed.
type beyond struct {
	Hold string
	Link letter.Link
	URL  string // "" when it leads to no web page
}

// link stands between a message and where its link leads.
func (h *Room) link(w http.ResponseWriter, r *http.Request) {
	l := h.read(w, r)
	if l == nil {
		return
	}
	n, err := strconv.Atoi(r.PathValue("n"))
	x, to := l.Link(n)
	if err != nil || x.URL == nil {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
		return
	}
	h.Kit.Show(w, r, "held-link", page.View{Title: h.Kit.Language(r).Say("held.link-title"), Here: "held", Body: beyond{r.PathValue("id"), x, to}})
}

// chunk is how much of a message is fetched at once to be handed on.
const chunk = 8 << 20

// takes is the hold of a request, if the reader may take files from it: what a virus was found in
// is for those who answer for others.
func (h *Room) takes(r *http.Request) (hold, error) {
	x, err := h.show(r.Context(), r.PathValue("id"))
	if err == nil && x.Infected() && !h.can(r.Context()).Infected {
		err = &page.Error{Status: http.StatusForbidden, Words: h.Kit.Language(r).Say("held.infected-role")}
	}
	return x, err
}

// raw hands the whole message on, piece by piece. One that breaks off is shorter than it said, so
// that nobody takes it for whole.
func (h *Room) raw(w http.ResponseWriter, r *http.Request) {
	x, err := h.takes(r)
	var out raw
	if err == nil {
		err = h.Calls.Call(r.Context(), "quarantine.raw", piece{ID: x.ID, Limit: chunk}, &out)
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	letter.Inert(w, x.ID+".eml")
	if out.More {
		w.Header().Set("Content-Length", strconv.FormatInt(x.Size, 10))
	}
	for offset := int64(0); ; {
		if _, err := w.Write(out.Body); err != nil || !out.More {
			return
		}
		offset += int64(len(out.Body))
		out = raw{}
		if err := h.Calls.Call(r.Context(), "quarantine.raw", piece{ID: x.ID, Offset: offset, Limit: chunk}, &out); err != nil {
			return
		}
	}
}

func (h *Room) part(w http.ResponseWriter, r *http.Request) {
	if _, err := h.takes(r); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	l := h.read(w, r)
	if l == nil {
		return
	}
	p, body, ok := l.Part(r.PathValue("path"))
	if !ok {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
		return
	}
	letter.Inert(w, p.Disk(r.PathValue("id")))
	_, _ = w.Write(body) // the reader has gone: nobody to tell
}
