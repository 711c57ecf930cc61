// Package letters is the desk's pages of what its letters say in each language, with their
// history, and of short texts that people put into theirs.
package letters

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/diff"
	"postern/internal/said"
)

//go:embed all:html
var Pages embed.FS

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /templates", h.list)
	handle("GET /templates/{language}/{kind}", h.show)
	handle("POST /templates/{language}/{kind}", h.save)
	handle("POST /templates/{language}/{kind}/check", h.check)
	handle("GET /templates/{language}/{kind}/{n}", h.change)
	handle("POST /templates/{language}/{kind}/{n}", h.rollback)
	handle("GET /snippets", h.snippets)
	handle("POST /snippets", h.keep)
}

// which names a letter.
type which struct {
	Language string `json:"language"`
	Kind     string `json:"kind"`
}

// Path is where its page is.
func (w which) Path() string { return "/templates/" + w.Language + "/" + w.Kind }

// Lang is the language as HTML says it.
func (w which) Lang() string { return lang(w.Language) }

func lang(l string) string {
	if l == "zh" {
		return "zh-CN"
	}
	return l
}

// source is the words of a letter.
type source struct {
	Subject string `json:"subject"`
	Body    string `json:"body"`
}

// row is one letter of the list.
type row struct {
	which
	From    string    `json:"from"`
	Changes int       `json:"changes"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Broken  string    `json:"broken"`
}

// kindRow is one letter in all languages.
type kindRow struct {
	Kind string
	Rows []row
}

type listPage struct {
	Languages []string
	Kinds     []kindRow
}

func (h *Room) list(w http.ResponseWriter, r *http.Request) {
	var out struct {
		Templates []row    `json:"templates"`
		Languages []string `json:"languages"`
		Kinds     []string `json:"kinds"`
	}
	if err := h.Calls.Call(r.Context(), "template.list", struct{}{}, &out); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	p := listPage{Languages: out.Languages}
	for _, k := range out.Kinds {
		one := kindRow{Kind: k}
		for _, t := range out.Templates {
			if t.Kind == k {
				one.Rows = append(one.Rows, t)
			}
		}
		p.Kinds = append(p.Kinds, one)
	}
	h.page(w, r, http.StatusOK, "templates", h.say(r, "title"), p)
}

// problem is one thing that is wrong with the words.
type problem struct {
	Field   string     `json:"field"`
	Line    int        `json:"line"`
	Column  int        `json:"column"`
	Message string     `json:"message"`
	Said    said.Words `json:"said"`
}

// Checked is what a check says.
type checked struct {
	OK       bool        `json:"ok"`
	Problems []problem   `json:"problems"`
	Preview  source      `json:"preview"`
	Unsaid   []string    `json:"unsaid"`
	Diff     []diff.Hunk `json:"diff"`
	Lang     string      `json:"-"`
}

// change is one change of a letter.
type change struct {
	which
	N    int       `json:"n"`
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	How  string    `json:"how"`
	Note string    `json:"note"`
	Back int       `json:"back"`
}

// shown is a letter as it is.
type shown struct {
	row
	source
	Given source   `json:"given"`
	File  string   `json:"file"`
	Names []string `json:"names"`
}

// editPage is the page of a letter in a language.
type editPage struct {
	Letter  shown
	Now     source // as the form has it
	Base    int
	Note    string
	Checked checked
	History []change
	Next    string
	Others  []string // languages
	May     bool
	Saved   bool
	Problem string
}

func named(r *http.Request) which {
	return which{r.PathValue("language"), r.PathValue("kind")}
}

// open reads a letter with its changes.
func (h *Room) open(r *http.Request) (p editPage, err error) {
	ctx, of := r.Context(), named(r)
	if err := h.Calls.Call(ctx, "template.show", of, &p.Letter); err != nil {
		return p, err
	}
	p.Now, p.Base, p.May = p.Letter.source, p.Letter.Changes, h.Calls.May(ctx, "template.set")
	p.Others = []string{"en", "zh", "ru", "el"}
	var past struct {
		Changes []change `json:"changes"`
		Next    string   `json:"next"`
	}
	q := struct {
		which
		After string `json:"after,omitempty"`
		Limit int    `json:"limit"`
	}{of, r.FormValue("after"), 20}
	err = h.Calls.Call(ctx, "template.history", q, &past)
	p.History, p.Next = past.Changes, past.Next
	return p, err
}

func (h *Room) show(w http.ResponseWriter, r *http.Request) {
	p, err := h.open(r)
	if err == nil {
		p.Checked, err = h.look(r.Context(), p.Letter.which, p.Now)
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	p.Saved = r.FormValue("saved") != ""
	h.edit(w, r, http.StatusOK, p)
}

func (h *Room) edit(w http.ResponseWriter, r *http.Request, status int, p editPage) {
	h.page(w, r, status, "template", h.say(r, "kind-"+p.Letter.Kind)+" · "+h.say(r, "language-"+p.Letter.Language), p)
}

// look checks words.
func (h *Room) look(ctx context.Context, of which, s source) (c checked, err error) {
	c.Lang = of.Lang()
	err = h.Calls.Call(ctx, "template.check", struct {
		which
		source
	}{of, s}, &c)
	return c, err
}

// words are those of a form.
func words(r *http.Request) source {
	return source{strings.TrimSpace(r.PostFormValue("subject")), strings.ReplaceAll(r.PostFormValue("body"), "\r\n", "\n")}
}

// check shows what is wrong with the words of a form: as a part while they are typed, else as
// the page.
func (h *Room) check(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("HX-Request-Type") == "partial" {
		c, err := h.look(r.Context(), named(r), words(r))
		if err != nil {
			h.Kit.Fail(w, r, err)
			return
		}
		h.Kit.ShowStatus(w, r, http.StatusOK, "template-checked", page.View{Here: "cases", Body: c})
		return
	}
	h.again(w, r, http.StatusOK, "")
}

// again shows the form as it was filled in.
func (h *Room) again(w http.ResponseWriter, r *http.Request, status int, why string) {
	p, err := h.open(r)
	if err == nil {
		p.Now, p.Note, p.Problem = words(r), r.PostFormValue("note"), why
		if status != http.StatusConflict { // then the newer words are to be seen before
			p.Base, _ = strconv.Atoi(r.PostFormValue("base"))
		}
		p.Checked, err = h.look(r.Context(), p.Letter.which, p.Now)
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.edit(w, r, status, p)
}

func (h *Room) save(w http.ResponseWriter, r *http.Request) {
	base, err := strconv.Atoi(r.PostFormValue("base"))
	if err != nil {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	of, note := named(r), strings.TrimSpace(r.PostFormValue("note"))
	var out change
	if r.PostFormValue("act") == "reset" {
		err = h.Calls.Call(r.Context(), "template.reset", numbered{of, base, note}, &out)
	} else {
		err = h.Calls.Call(r.Context(), "template.set", struct {
			which
			source
			Base int    `json:"base"`
			Note string `json:"note,omitempty"`
		}{of, words(r), base, note}, &out)
	}
	var refused *page.Error
	if errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusConflict) && r.PostFormValue("act") != "reset" {
		h.again(w, r, refused.Status, refused.Words)
		return
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, of.Path()+"?saved=yes", http.StatusSeeOther)
}

// numbered names a change.
type numbered struct {
	which
	N    int    `json:"n"`
	Note string `json:"note,omitempty"`
}

type changePage struct {
	Change change      `json:"change"`
	Known  bool        `json:"known"`
	Diff   []diff.Hunk `json:"diff"`
	Last   int         `json:"last"`
	May    bool        `json:"-"`
}

// number is the change that an address names; there is none with a number below 0.
func number(r *http.Request) int {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		return -1
	}
	return n
}

func (h *Room) change(w http.ResponseWriter, r *http.Request) {
	n := number(r)
	p := changePage{May: h.Calls.May(r.Context(), "template.rollback")}
	if err := h.Calls.Call(r.Context(), "template.diff", numbered{which: named(r), N: n}, &p); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.page(w, r, http.StatusOK, "template-change", h.say(r, "kind-"+p.Change.Kind)+" · "+h.say(r, "language-"+p.Change.Language), p)
}

func (h *Room) rollback(w http.ResponseWriter, r *http.Request) {
	of, n := named(r), number(r)
	var out change
	if err := h.Calls.Call(r.Context(), "template.rollback", numbered{of, n, strings.TrimSpace(r.PostFormValue("note"))}, &out); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, of.Path()+"?saved=yes", http.StatusSeeOther)
}

func (h *Room) say(r *http.Request, key string) string {
	l := h.Kit.Language(r)
	if !l.Has("letters." + key) {
		return key
	}
	return l.Say("letters." + key)
}

func (h *Room) page(w http.ResponseWriter, r *http.Request, status int, name, title string, body any) {
	under := "letters.nav-templates"
	if name == "snippets" {
		under = "letters.nav-snippets"
	}
	h.Kit.ShowStatus(w, r, status, name, page.View{Title: title, Here: "cases", Under: under, Wide: true, Body: body})
}
