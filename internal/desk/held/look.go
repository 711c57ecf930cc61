package held

import (
	"net/http"
	"strconv"

	"postern/internal/desk/held/letter"
	"postern/internal/desk/held/take"
	"postern/internal/desk/page"
)

// read is the letter of a request; it answers where there is none.
func (h *Room) read(w http.ResponseWriter, r *http.Request) *letter.Letter {
	l, refused, err := take.View(r.Context(), h.Calls, r.PathValue("id"))
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
