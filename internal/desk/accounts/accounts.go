// Package accounts is the desk's pages of local accounts: finding them, and all that is known
// of one.
package accounts

import (
	"embed"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/said"
)

//go:embed all:html
var Pages embed.FS

// PerPage is how many accounts a list shows.
const PerPage = 50

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (a *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /accounts", a.list)
	handle("GET /account", a.one)
	handle("POST /account/stop", a.stop)
}

// row is an account in the list.
type row struct {
	Name       string     `json:"name"`
	Level      string     `json:"level"`
	Watched    bool       `json:"watched"`
	Reason     string     `json:"reason"`
	Said       said.Words `json:"said"`
	Auto       bool       `json:"auto"`
	Until      time.Time  `json:"until"`
	Case       string     `json:"case"`
	Score      int        `json:"score"`
	Strikes    int        `json:"strikes"`
	TrialUntil time.Time  `json:"trial_until"`
	Messages   int        `json:"messages"`
	Recipients int        `json:"recipients"`
	Usual      int        `json:"usual"`
	Last       time.Time  `json:"last"`
}

// Path is its page.
func (r row) Path() string { return Path(r.Name) }

// Path is the page of an account.
func Path(name string) string { return "/account?name=" + url.QueryEscape(name) }

// search is what is asked for.
type search struct {
	Text    string `json:"text,omitempty"`
	Domain  string `json:"domain,omitempty"`
	Level   string `json:"level,omitempty"`
	Strikes int    `json:"strikes,omitempty"`
	Score   int    `json:"score,omitempty"`
	Trial   bool   `json:"trial,omitempty"`
	Sort    string `json:"sort,omitempty"`
	After   string `json:"after,omitempty"`
	Limit   int    `json:"limit,omitempty"`
}

// Link is the list with another start.
func (s search) Link(after string) string {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	trial := ""
	if s.Trial {
		trial = "yes"
	}
	return "/accounts" + string(page.Query("q", s.Text, "domain", s.Domain, "level", s.Level, "strikes", number(s.Strikes), "score", number(s.Score), "trial", trial, "sort", s.Sort, "after", after))
}

// Empty reports whether it asks for all.
func (s search) Empty() bool {
	return s.Text == "" && s.Domain == "" && s.Level == "" && s.Strikes == 0 && s.Score == 0 && !s.Trial
}

// found is the page of the list.
type found struct {
	Search   search
	Accounts []row
	Next     string
	Total    int
	Problem  string
	Levels   []string
	Views    []view
}

// view is a search that one click makes.
type view struct {
	Key, Path string
	Here      bool
}

func views(s search) []view {
	s.After, s.Limit = "", 0
	var out []view
	for _, v := range []struct {
		key string
		s   search
	}{{"all", search{}}, {"measure", search{Level: "measure"}}, {"score", search{Score: 20}}, {"trial", search{Trial: true}}, {"strikes", search{Strikes: 1}}} {
		out = append(out, view{v.key, v.s.Link(""), v.s == s})
	}
	return out
}

func (a *Room) list(w http.ResponseWriter, r *http.Request) {
	number := func(name string) int {
		n, err := strconv.Atoi(strings.TrimSpace(r.FormValue(name)))
		if err != nil {
			return 0
		}
		return n
	}
	b := found{Levels: []string{"measure", "M1", "M2", "M3", "M4", "M5", "M7"}, Search: search{
		Text: strings.TrimSpace(r.FormValue("q")), Domain: strings.TrimSpace(r.FormValue("domain")), Level: r.FormValue("level"), Strikes: number("strikes"), Score: number("score"),
		Trial: r.FormValue("trial") == "yes", Sort: r.FormValue("sort"), After: r.FormValue("after"), Limit: PerPage,
	}}
	b.Views = views(b.Search)
	var out struct {
		Accounts []row  `json:"accounts"`
		Next     string `json:"next"`
		Total    int    `json:"total"`
	}
	status := http.StatusOK
	err := a.Calls.Call(r.Context(), "account.find", b.Search, &out)
	if e := page.Refused(err); e != nil && e.Status == http.StatusBadRequest {
		status, b.Problem = e.Status, e.Words
	} else if err != nil {
		a.Kit.Fail(w, r, err)
		return
	}
	b.Accounts, b.Next, b.Total = out.Accounts, out.Next, out.Total
	a.Kit.ShowStatus(w, r, status, "accounts", page.View{Title: a.Kit.Language(r).Say("accounts.title"), Here: "accounts", Wide: true, Body: b})
}

// stop suspends or restores for those whose own domain it is: they take no other measures.
func (a *Room) stop(w http.ResponseWriter, r *http.Request) {
	name, reason := r.PostFormValue("name"), strings.TrimSpace(r.PostFormValue("reason"))
	l := a.Kit.Language(r)
	if reason == "" {
		a.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest, Words: l.Say("measures.reason-needed")})
		return
	}
	call := "account.suspend"
	if r.PostFormValue("act") == "restore" {
		call = "account.restore"
	}
	if err := a.Calls.Call(r.Context(), call, map[string]string{"name": name, "reason": reason}, &struct{}{}); err != nil {
		a.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, Path(name), http.StatusSeeOther)
}
