// Package rules is the desk's pages of what the operator decides: rules and the files they
// stand in, own lists, calendars; and of the audit of it all.
package rules

import (
	"context"
	"embed"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/rules/audits"
	"postern/internal/desk/rules/part"
	"postern/internal/desk/work"
)

//go:embed all:html
var Pages embed.FS

// PerPage is how many rows a page shows.
const PerPage = 100

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
	Work  *work.Desk
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /rules", h.list)
	handle("GET /rules/rule/{symbol}", h.rule)
	handle("POST /rules/off", h.off)
	handle("POST /rules/on", h.on)
	handle("GET /rules/files", h.files)
	handle("GET /rules/file", h.edit)
	handle("POST /rules/check", h.check)
	handle("POST /rules/keys", h.keys)
	handle("POST /rules/try", h.try)
	handle("POST /rules/replay", h.replay)
	handle("POST /rules/save", h.save)
	handle("POST /rules/send", h.send)
	handle("GET /rules/changes", h.changes)
	handle("GET /rules/change/{id}", h.change)
	handle("POST /rules/rollback", h.rollback)
	handle("GET /rules/lists", h.lists)
	handle("POST /rules/lists", h.listsAct)
	(&audits.Room{Part: h.part(), Work: h.Work}).Routes(handle)
}

func (h *Room) part() part.Part { return part.Part{Kit: h.Kit, Calls: h.Calls} }

func (h *Room) show(w http.ResponseWriter, r *http.Request, status int, name, here, title string, data any) {
	h.part().Show(w, r, status, name, here, title, data)
}

func (h *Room) say(r *http.Request, key string, pairs ...any) string {
	return h.part().Say(r, key, pairs...)
}

// verdicts counts what became of messages.
type verdicts struct {
	Accept, Tag, Quarantine, Defer, Reject int
}

// off is a rule that is switched off.
type off struct {
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	Note  string    `json:"note"`
}

// rule is one rule.
type rule struct {
	Symbol   string   `json:"symbol"`
	Kind     string   `json:"kind"`
	Describe string   `json:"describe"`
	Score    int64    `json:"score"`
	Action   string   `json:"action"`
	State    string   `json:"state"`
	Off      *off     `json:"off"`
	MayOff   bool     `json:"may_off"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Used     []string `json:"used"`
	Hits     int      `json:"hits"`
	Verdicts verdicts `json:"verdicts"`
}

// listed is all rules.
type listed struct {
	Rules    []rule    `json:"rules"`
	Messages int       `json:"messages"`
	Since    time.Time `json:"since"`
	Whole    bool      `json:"whole"`
	Revision string    `json:"revision"`
}

// rulesPage is the list of rules.
type rulesPage struct {
	listed
	Query, State string
	States       []string
	More         int // that are not shown
	MayAct       bool
}

func (h *Room) list(w http.ResponseWriter, r *http.Request) {
	p := rulesPage{Query: strings.TrimSpace(r.FormValue("q")), State: r.FormValue("state"), States: []string{"on", "off", "shadow", "quiet", "own"}, MayAct: h.Calls.May(r.Context(), "rules.off")}
	if err := h.Calls.Call(r.Context(), "rules.list", struct{}{}, &p.listed); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	l := h.Kit.Language(r)
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(p.Query)) }
	p.Rules = slices.DeleteFunc(p.Rules, func(x rule) bool {
		state := p.State == "" || p.State == x.State || p.State == "own" && strings.HasPrefix(x.File, "rules/")
		said, _ := h.Kit.Words().Reason(l, x.Symbol, x.Describe)
		return !state || !has(x.Symbol) && !has(x.Describe) && !has(said)
	})
	if n := len(p.Rules); n > PerPage && r.FormValue("all") == "" {
		p.Rules, p.More = p.Rules[:PerPage], n-PerPage
	}
	h.show(w, r, http.StatusOK, "rules", "rules", h.say(r, "title"), p)
}

// rulePage is one rule.
type rulePage struct {
	rule
	Messages int
	Whole    bool
	Last     *change
	MayAct   bool
	Problem  string
	Hours    []int
}

func (h *Room) oneRule(ctx context.Context, symbol string) (p rulePage, err error) {
	var all listed
	if err := h.Calls.Call(ctx, "rules.list", struct{}{}, &all); err != nil {
		return p, err
	}
	i := slices.IndexFunc(all.Rules, func(x rule) bool { return x.Symbol == symbol })
	if i < 0 {
		return p, &page.Error{Status: http.StatusNotFound}
	}
	p = rulePage{rule: all.Rules[i], Messages: all.Messages, Whole: all.Whole, MayAct: h.Calls.May(ctx, "rules.off"), Hours: []int{1, 8, 24, 72, 168, 720}}
	if strings.HasPrefix(p.File, "rules/") {
		var past changesPage
		if err := h.Calls.Call(ctx, "rules.history", pastQuery{File: p.File, Limit: 1}, &past); err != nil {
			return p, err
		}
		if len(past.Changes) > 0 {
			p.Last = &past.Changes[0]
		}
	}
	return p, nil
}

func (h *Room) rule(w http.ResponseWriter, r *http.Request) {
	h.showRule(w, r, http.StatusOK, r.PathValue("symbol"), "")
}

func (h *Room) showRule(w http.ResponseWriter, r *http.Request, status int, symbol, problem string) {
	p, err := h.oneRule(r.Context(), symbol)
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	p.Problem = problem
	h.show(w, r, status, "rules-rule", "rules", p.Symbol, p)
}

func (h *Room) off(w http.ResponseWriter, r *http.Request) {
	h.turn(w, r, "rules.off", map[string]any{"symbol": r.PostFormValue("symbol"), "hours": part.Number(r.PostFormValue("hours")), "note": strings.TrimSpace(r.PostFormValue("note"))})
}

func (h *Room) on(w http.ResponseWriter, r *http.Request) {
	h.turn(w, r, "rules.on", map[string]any{"symbol": r.PostFormValue("symbol"), "note": strings.TrimSpace(r.PostFormValue("note"))})
}

func (h *Room) turn(w http.ResponseWriter, r *http.Request, call string, params any) {
	if !h.Kit.Fresh(w, r) {
		return
	}
	symbol := r.PostFormValue("symbol")
	var out any
	err := h.Calls.Call(r.Context(), call, params, &out)
	if words, status, ok := part.Refusal(err); ok {
		h.showRule(w, r, status, symbol, words)
		return
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/rules/rule/"+symbol, http.StatusSeeOther)
}
