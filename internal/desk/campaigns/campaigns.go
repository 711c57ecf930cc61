// Package campaigns is the desk's pages of letters that came in many copies: who got them, and
// whether they are bad or good.
package campaigns

import (
	"embed"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
)

//go:embed all:html
var Pages embed.FS

// PerPage is how many letters the list shows.
const PerPage = 100

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /campaigns", h.list)
	handle("GET /campaigns/{print}", h.one)
	handle("POST /campaigns/{print}", h.mark)
}

type opinion struct {
	Word string    `json:"word"`
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	Why  string    `json:"why"`
}

// campaign is one letter.
type campaign struct {
	Print     string    `json:"print"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Messages  int64     `json:"messages"`
	Delivered int64     `json:"delivered"`
	Sources   int64     `json:"sources"`
	Subject   string    `json:"subject"`
	Senders   []string  `json:"senders"`
	Said      *opinion  `json:"said"`
}

// Path is where its page is.
func (c campaign) Path() string { return "/campaigns/" + url.PathEscape(c.Print) }

type copied struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	From    string    `json:"from"`
	Source  string    `json:"source"`
	Subject string    `json:"subject"`
	To      []string  `json:"to"`
	More    int64     `json:"more"`
	State   string    `json:"state"`
}

type listPage struct {
	Word      string
	Campaigns []campaign `json:"campaigns"`
	More      bool       `json:"more"`
}

// Words are what the list can be narrowed to.
func (listPage) Words() []string { return []string{"reported", "bad", "good"} }

func (h *Room) list(w http.ResponseWriter, r *http.Request) {
	p := listPage{Word: r.FormValue("word")}
	if !slices.Contains(p.Words(), p.Word) {
		p.Word = ""
	}
	ask := map[string]any{"word": p.Word, "limit": PerPage}
	if err := h.Calls.Call(r.Context(), "campaign.list", ask, &p); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.show(w, r, http.StatusOK, "campaigns", h.Kit.Language(r).Say("campaigns.title"), p)
}

func (h *Room) show(w http.ResponseWriter, r *http.Request, status int, name, title string, body any) {
	h.Kit.ShowStatus(w, r, status, name, page.View{Title: title, Here: "held", Under: "campaigns.nav", Wide: true, Body: body})
}

type onePage struct {
	campaign
	Copies   []copied `json:"copies"`
	MayAct   bool     `json:"-"`
	MayTrace bool     `json:"-"`
	Marked   bool     `json:"-"`
	Reason   string   `json:"-"`
	Problem  string   `json:"-"`
}

type named struct {
	Print string `json:"print"`
}

func (h *Room) one(w http.ResponseWriter, r *http.Request) {
	h.page(w, r, http.StatusOK, onePage{Marked: r.FormValue("said") == "marked"})
}

func (h *Room) page(w http.ResponseWriter, r *http.Request, status int, p onePage) {
	p.MayAct, p.MayTrace = h.Calls.May(r.Context(), "campaign.mark"), h.Calls.May(r.Context(), "trace.show")
	if err := h.Calls.Call(r.Context(), "campaign.show", named{r.PathValue("print")}, &p); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.show(w, r, status, "campaign", h.Kit.Language(r).Say("campaigns.one"), p)
}

// mark says that a letter is bad or good, or takes that back.
func (h *Room) mark(w http.ResponseWriter, r *http.Request) {
	reason := strings.TrimSpace(r.PostFormValue("reason"))
	ask := map[string]any{"print": r.PathValue("print"), "word": r.PostFormValue("word"), "reason": reason}
	err := h.Calls.Call(r.Context(), "campaign.mark", ask, new(onePage))
	if refused := new(page.Error); errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		h.page(w, r, refused.Status, onePage{Problem: refused.Words, Reason: reason})
		return
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	to := "/campaigns/" + url.PathEscape(r.PathValue("print")) + "?said=marked"
	if r.PostFormValue("word") == "forget" {
		to = "/campaigns"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
