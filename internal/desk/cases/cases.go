// Package cases is the desk's queue of cases: what waits, until when, and who has it.
package cases

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/cases/view"
	"postern/internal/desk/page"
)

// Pages are those of the queue and of a case.
//
//go:embed all:html
var Pages embed.FS

// PerPage is how many cases a list shows.
const PerPage = 50

// Room is the queue.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /cases", h.list)
	handle("POST /cases/act", h.act)
}

// search is what the call for a list takes.
type search struct {
	View     string `json:"view,omitempty"`
	Owner    string `json:"owner,omitempty"`
	Kind     string `json:"kind,omitempty"`
	State    string `json:"state,omitempty"`
	Priority string `json:"priority,omitempty"`
	Category string `json:"category,omitempty"`
	Grade    string `json:"grade,omitempty"`
	Account  string `json:"account,omitempty"`
	Source   string `json:"source,omitempty"`
	Text     string `json:"text,omitempty"`
	Order    string `json:"order,omitempty"`
	After    string `json:"after,omitempty"`
	Limit    int    `json:"limit,omitempty"`
}

// choice is a field of the filter with what can be chosen.
type choice struct {
	Name, Value string
	Values      []string
}

// tab is a saved view with how many cases it has.
type tab struct {
	Key  string
	N    int
	More bool
	Here bool
	Has  bool // the number is known
}

type queue struct {
	search
	Tabs      []tab
	Choices   []choice
	Cases     []view.Case
	Now       time.Time
	Next      string
	Problem   string
	MayAct    bool
	MayAccess bool // the lists beside: opt-outs, feeds, wording
	Filtered  bool
}

// orderCookie keeps in which order a reader wants the queue.
const orderCookie = "postern-case-order"

func states() []string {
	return []string{"TRIAGE", "UNPARSED", "NEEDS_INFO", "CONTAINED", "VERIFIED", "WARNED", "SUSPENDED", "GUARANTEE_IN", "PROBATION", "TERMINATED", "NOT_OURS", "REJECTED", "RELEASED", "RESOLVED", "RESULT_SENT", "REOPENED",
		"DETECTED", "CONFIRMED", "NOTIFIED", "BLOCKED", "OBSERVE", "HALF_OPEN", "LIFTED", "CLOSED"}
}

func (h *Room) asked(r *http.Request) search {
	word := func(name string) string { return strings.TrimSpace(r.FormValue(name)) }
	s := search{View: word("view"), Owner: word("owner"), Kind: word("kind"), State: word("state"), Priority: word("priority"), Category: word("category"), Grade: word("grade"),
		Account: word("account"), Source: word("source"), Text: word("q"), Order: word("order"), After: word("after"), Limit: PerPage}
	if s.Order == "" {
		if c, err := r.Cookie(orderCookie); err == nil && (c.Value == "new" || c.Value == "due") {
			s.Order = c.Value
		}
	}
	if s.View == "mine" {
		if u := page.Of(r.Context()).User; u != nil && s.Owner == "" {
			s.Owner = u.Name
		}
	}
	return s
}

// keepOrder remembers the order that a reader chose.
func keepOrder(w http.ResponseWriter, r *http.Request, order string) {
	if c, err := r.Cookie(orderCookie); r.FormValue("order") == "" || err == nil && c.Value == order {
		return
	}
	http.SetCookie(w, &http.Cookie{Name: orderCookie, Value: order, Path: "/cases", MaxAge: 400 * 24 * 3600, Secure: r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

func (h *Room) list(w http.ResponseWriter, r *http.Request) {
	s := h.asked(r)
	q := queue{search: s, Now: h.Kit.Now(), MayAct: h.Calls.May(r.Context(), "case.assign"), MayAccess: h.Calls.May(r.Context(), "suppress.list")}
	var out struct {
		Cases []view.Case `json:"cases"`
		Next  string      `json:"next"`
	}
	status := http.StatusOK
	err := h.Calls.Call(r.Context(), "case.list", s, &out)
	var refused *page.Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusBadRequest:
		status, q.Problem = refused.Status, cmp.Or(refused.Words, h.Kit.Language(r).Say("common.error-400"))
	case err != nil:
		h.Kit.Fail(w, r, err)
		return
	default:
		keepOrder(w, r, s.Order)
	}
	q.Cases, q.Next = out.Cases, out.Next
	if s.View == "mine" {
		q.Owner = ""
	}
	q.Filtered = cmp.Or(q.Owner, s.Kind, s.State, s.Priority, s.Category, s.Grade, s.Account, s.Source, s.Text) != ""
	q.Choices = []choice{
		{"state", s.State, states()}, {"priority", s.Priority, []string{"U1", "U2", "U3", "U4"}}, {"grade", s.Grade, []string{"P4", "P3", "P2", "P1", "P0"}},
		{"category", s.Category, []string{"S1", "S2", "S3", "S4", "S5"}}, {"kind", s.Kind, []string{"local", "external"}},
	}
	q.Tabs = h.tabs(r.Context(), s)
	h.Kit.ShowStatus(w, r, status, "cases", page.View{Title: h.Kit.Language(r).Say("cases.title"), Here: "cases", Wide: true, Body: q})
}

// tabs are the saved views; without their numbers where those cannot be had.
func (h *Room) tabs(ctx context.Context, s search) []tab {
	var counts struct {
		Views map[string]int `json:"views"`
		Most  int            `json:"most"`
	}
	if h.Calls.May(ctx, "case.counts") {
		if err := h.Calls.Call(ctx, "case.counts", struct{}{}, &counts); err != nil {
			counts.Views = nil // the list is what matters
		}
	}
	here := cmp.Or(s.View, "queue")
	out := make([]tab, 0, 10)
	for _, key := range []string{"queue", "mine", "unowned", "today", "breach", "contained", "guarantee", "probation", "p0", "done", "all"} {
		n, has := counts.Views[key]
		out = append(out, tab{Key: key, N: n, Has: has, More: has && n >= counts.Most, Here: key == here})
	}
	return out
}

// MaxBulk is how many cases one act may hit.
const MaxBulk = 500

type bulk struct {
	Owner, Back string
	Cases, Skip []view.Case
	Failed      []failure
	Done        int
	Over        bool
	Now         time.Time
}

type failure struct {
	ID, Words string
}

// act gives several cases to somebody, after showing which.
func (h *Room) act(w http.ResponseWriter, r *http.Request) {
	l, act := h.Kit.Language(r), r.PostFormValue("act")
	ids := slices.Compact(slices.Sorted(slices.Values(r.PostForm["id"])))
	if len(ids) == 0 || len(ids) > MaxBulk {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest, Words: l.Say("cases.pick", "n", MaxBulk)})
		return
	}
	b := bulk{Owner: strings.TrimSpace(r.PostFormValue("to")), Back: page.Local(r.PostFormValue("back")), Now: h.Kit.Now()}
	switch act {
	case "take":
		b.Owner = page.Of(r.Context()).User.Name
	case "drop":
		b.Owner = ""
	case "give":
	default:
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	if err := h.pick(r.Context(), &b, ids); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	if len(ids) > 1 && r.PostFormValue("seen") != "yes" {
		h.Kit.Show(w, r, "cases-bulk", page.View{Title: l.Say("cases.about-assign", "n", len(b.Cases)), Here: "cases", Body: b})
		return
	}
	h.assign(r.Context(), &b)
	if len(b.Failed) == 0 {
		h.Kit.Back(w, r, "/cases")
		return
	}
	b.Over = true
	h.Kit.ShowStatus(w, r, http.StatusConflict, "cases-bulk", page.View{Title: l.Say("cases.failed", "n", len(b.Failed)), Here: "cases", Body: b})
}

// pick sorts the cases into those that change hands and those that are there already.
func (h *Room) pick(ctx context.Context, b *bulk, ids []string) error {
	for _, id := range ids {
		var shown struct {
			Case view.Case `json:"case"`
		}
		if err := h.Calls.Call(ctx, "case.show", map[string]any{"id": id, "limit": 1}, &shown); err != nil {
			return err
		}
		if shown.Case.Owner == b.Owner {
			b.Skip = append(b.Skip, shown.Case)
		} else {
			b.Cases = append(b.Cases, shown.Case)
		}
	}
	return nil
}

func (h *Room) assign(ctx context.Context, b *bulk) {
	for _, c := range b.Cases {
		var after view.Case
		err := h.Calls.Call(ctx, "case.assign", map[string]string{"id": c.ID, "owner": b.Owner}, &after)
		var refused *page.Error
		switch {
		case errors.As(err, &refused):
			b.Failed = append(b.Failed, failure{c.ID, refused.Words})
		case err != nil:
			b.Failed = append(b.Failed, failure{c.ID, ""})
		default:
			b.Done++
		}
	}
}
