// Package notices is the desk's pages about what goes out to people and what comes in from
// their systems: notices with their fate, recipients who want no more mail of an account, and
// feedback loops.
package notices

import (
	"embed"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/said"
)

//go:embed all:html
var Pages embed.FS

// PerPage is how many rows a page has.
const PerPage = 50

// here is the item of the menu that the pages stand under.
const here = "outside.nav"

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (n *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /notices", n.list)
	handle("GET /notices/{id}", n.show)
	handle("POST /notices/{id}", n.again)
	handle("GET /suppressed", n.suppressed)
	handle("POST /suppressed", n.suppress)
	handle("GET /feeds", n.feeds)
	handle("POST /feeds", n.register)
	handle("GET /feeds/{name}", n.feed)
	handle("POST /feeds/{name}", n.onFeed)
}

func word(r *http.Request, name string) string { return strings.TrimSpace(r.FormValue(name)) }

func (n *Room) say(r *http.Request, key string) string {
	return n.Kit.Language(r).Say("notices." + key)
}

func (n *Room) write(w http.ResponseWriter, r *http.Request, status int, name, under, title string, body any) {
	n.Kit.ShowStatus(w, r, status, name, page.View{Title: title, Here: here, Under: under, Wide: true, Body: body})
}

// after goes to a page, or shows again what was refused and why.
func (n *Room) after(w http.ResponseWriter, r *http.Request, err error, to string, again func(status int, problem string)) {
	switch e := page.Refused(err); {
	case e != nil && e.Status != http.StatusNotFound:
		again(e.Status, e.Words)
	case err != nil:
		n.Kit.Fail(w, r, err)
	default:
		n.Kit.Back(w, r, to)
	}
}

// sent is one thing that went out.
type sent struct {
	ID       string     `json:"id"`
	Sort     string     `json:"sort"`
	Kind     string     `json:"kind"`
	Case     string     `json:"case"`
	To       string     `json:"to"`
	Way      string     `json:"way"`
	Language string     `json:"language"`
	Subject  string     `json:"subject"`
	State    string     `json:"state"`
	Why      string     `json:"why"`
	Said     said.Words `json:"said"`
	By       string     `json:"by"`
	At       time.Time  `json:"at"`
	Again    int        `json:"again"`
	AgainBy  string     `json:"again_by"`
	Resend   bool       `json:"may_resend"`
	WhyNot   string     `json:"why_not"`
	Not      said.Words `json:"not"`
}

// What is what a notice is, as texts call it.
func (s sent) What() string {
	if s.Sort == "letter" {
		return "letter-" + s.Kind
	}
	return s.Sort
}

// listed is the page of all.
type listed struct {
	Sort, State, Case, To, After string
	Sorts, States                []string
	Sent                         []sent
	Next                         string
}

func (n *Room) list(w http.ResponseWriter, r *http.Request) {
	b := listed{
		Sort: word(r, "sort"), State: word(r, "state"), Case: word(r, "case"), To: word(r, "to"), After: r.FormValue("after"),
		Sorts: []string{"letter", "report", "body"}, States: []string{"waiting", "delivered", "bounced", "barred"},
	}
	if !slices.Contains(b.Sorts, b.Sort) {
		b.Sort = ""
	}
	if !slices.Contains(b.States, b.State) {
		b.State = ""
	}
	var out struct {
		Sent []sent `json:"sent"`
		Next string `json:"next"`
	}
	q := map[string]any{"sort": b.Sort, "state": b.State, "case": b.Case, "to": b.To, "after": b.After, "limit": PerPage}
	if err := n.Calls.Call(r.Context(), "notice.out", q, &out); err != nil {
		n.Kit.Fail(w, r, err)
		return
	}
	b.Sent, b.Next = out.Sent, out.Next
	n.write(w, r, http.StatusOK, "notices", "notices.nav", n.say(r, "title"), b)
}

// shown is the page of one.
type shown struct {
	sent
	Text    string `json:"text"`
	Cut     bool   `json:"cut"`
	May     bool   `json:"-"`
	Problem string `json:"-"`
	Reason  string `json:"-"`
}

func (n *Room) show(w http.ResponseWriter, r *http.Request) { n.shown(w, r, http.StatusOK, "") }

func (n *Room) shown(w http.ResponseWriter, r *http.Request, status int, problem string) {
	b := shown{Problem: problem, May: n.Calls.May(r.Context(), "notice.resend"), Reason: word(r, "reason")}
	if err := n.Calls.Call(r.Context(), "notice.message", map[string]string{"id": r.PathValue("id")}, &b); err != nil {
		n.Kit.Fail(w, r, err)
		return
	}
	n.write(w, r, status, "notice", "notices.nav", n.say(r, "one"), b)
}

// again sends what came back once more.
func (n *Room) again(w http.ResponseWriter, r *http.Request) {
	id, reason := r.PathValue("id"), word(r, "reason")
	if reason == "" {
		n.shown(w, r, http.StatusBadRequest, n.say(r, "reason-needed"))
		return
	}
	if !n.Kit.Fresh(w, r) {
		return
	}
	var out any
	err := n.Calls.Call(r.Context(), "notice.resend", map[string]string{"id": id, "reason": reason}, &out)
	n.after(w, r, err, "/notices/"+url.PathEscape(id), func(status int, problem string) { n.shown(w, r, status, problem) })
}
