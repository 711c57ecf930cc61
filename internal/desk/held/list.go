package held

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	terms "postern/internal/desk/held/search"
	"postern/internal/desk/held/take"
	"postern/internal/desk/held/taught"
	"postern/internal/desk/page"
)

// countTo is how far the list counts what matches: in Redis each may have to be read.
const countTo = 200

// found is a page of the list.
type found struct {
	Query       string
	Fields      terms.Query
	After, Next string
	Sorted      terms.Order
	Holds       []hold
	N           int  // that match, 0 where nobody counted
	More        bool // there are more than N
	Can         can
	Problem     string // what is wrong with the query
	Views       []view
	Own         []view
	MayKeep     bool
	Said        string // what was done just now
	Learned     map[string][]taught.Known
	Figures     bool // the reader may see what was learned
}

// can is what the reader may do.
type can struct {
	Release, Delete, Copy, List, Case, Learn bool
	Infected                                 bool // take what a virus was found in
}

func (h *Room) can(ctx context.Context) can {
	may := func(call string) bool { return h.Calls.May(ctx, call) }
	return can{
		Release: may("quarantine.release"), Delete: may("quarantine.delete"), Copy: may("quarantine.copy"),
		Learn: may("learn.holds"), List: may("blocklist.add"), Case: may("case.open") && may("case.evidence"), Infected: take.May(ctx, h.Calls),
	}
}

// Any reports whether there is anything to press.
func (c can) Any() bool { return c.Release || c.Delete || c.Copy || c.List || c.Case || c.Learn }

// view is a search that one click makes.
type view struct {
	Key, Name, Query string
	Here             bool
}

func views(query string) []view {
	all := []view{{Key: "open", Query: "state:held"}, {Key: "today", Query: "since:24h"}, {Key: "virus", Query: "symbol:VIRUS"}, {Key: "out", Query: "direction:outbound"}, {Key: "measure", Query: "class:measure"}, {Key: "refused", Query: "state:refused"}, {Key: "done", Query: "state:released"}}
	for i := range all {
		all[i].Here = all[i].Query == query
	}
	return all
}

// saved is a search that somebody gave a name.
type saved struct {
	Room  string `json:"room"`
	Name  string `json:"name"`
	Query string `json:"query"`
}

func (h *Room) own(ctx context.Context, query string) (out []view, err error) {
	var all []saved
	if err := h.Calls.Call(ctx, "view.list", struct{}{}, &all); err != nil {
		return nil, err
	}
	for _, v := range all {
		if v.Room == "held" {
			out = append(out, view{Name: v.Name, Query: v.Query, Here: v.Query == query})
		}
	}
	return out, nil
}

type search struct {
	Text  string      `json:"text"`
	Sort  terms.Order `json:"sort,omitempty"`
	Limit int         `json:"limit,omitempty"`
	After string      `json:"after,omitempty"`
}

func (h *Room) find(ctx context.Context, s search) (holds []hold, next string, err error) {
	var out struct {
		Holds []hold `json:"holds"`
		Next  string `json:"next"`
	}
	err = h.Calls.Call(ctx, "quarantine.list", s, &out)
	for i := range out.Holds {
		out.Holds[i].tidy()
	}
	return out.Holds, out.Next, err
}

func (h *Room) list(w http.ResponseWriter, r *http.Request) {
	if q, ok := terms.Filled(r.URL.Query()); ok {
		http.Redirect(w, r, "/held"+string(page.Query("q", q.String(), "order", string(terms.Sorted(r.URL.Query())))), http.StatusSeeOther)
		return
	}
	query := strings.TrimSpace(r.FormValue("q"))
	f := found{Query: query, Fields: terms.Read(query), After: r.FormValue("after"), Sorted: terms.Sorted(r.URL.Query()), Views: views(query), Can: h.can(r.Context()), MayKeep: h.Calls.May(r.Context(), "view.save"), Said: h.said(r)}
	status := http.StatusOK
	err := h.fill(r.Context(), &f)
	if refused := new(page.Error); errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		status, f.Problem = refused.Status, refused.Words
	} else if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.Kit.ShowStatus(w, r, status, "held", page.View{Title: h.Kit.Language(r).Say("held.title"), Here: "held", Wide: true, Body: f})
}

// fill finds the page, and counts what matches where the page does not tell.
func (h *Room) fill(ctx context.Context, f *found) (err error) {
	if f.MayKeep {
		if f.Own, err = h.own(ctx, f.Query); err != nil {
			return err
		}
	}
	if f.Holds, f.Next, err = h.find(ctx, search{Text: f.Query, Limit: PerPage, After: f.After, Sort: f.Sorted}); err != nil {
		return err
	}
	ids := make([]string, len(f.Holds))
	for i, x := range f.Holds {
		ids[i] = x.ID
	}
	f.Learned = h.known(ctx, ids...)
	f.Figures = h.Calls.May(ctx, "learn.status")
	if f.After == "" && f.Next == "" {
		f.N = len(f.Holds)
		return nil
	}
	if !h.Calls.May(ctx, "quarantine.count") {
		return nil
	}
	var counted struct {
		N    int  `json:"n"`
		More bool `json:"more"`
	}
	err = h.Calls.Call(ctx, "quarantine.count", search{Text: f.Query, Limit: countTo}, &counted)
	f.N, f.More = counted.N, counted.More
	return err
}

// said is what the address says was done just now: one of a few sentences with a number.
func (h *Room) said(r *http.Request) string {
	key, l := "held.said-"+r.FormValue("said"), h.Kit.Language(r)
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil || n < 0 || n > MaxBulk || !l.Has(key) {
		return ""
	}
	return l.Say(key, "n", n)
}

// views keeps a search under a name, or forgets one.
func (h *Room) views(w http.ResponseWriter, r *http.Request) {
	v, call := saved{Room: "held", Name: r.PostFormValue("name"), Query: r.PostFormValue("q")}, "view.save"
	if r.PostFormValue("forget") != "" {
		v.Name, call = r.PostFormValue("forget"), "view.remove"
	}
	var all []saved
	if err := h.Calls.Call(r.Context(), call, v, &all); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/held"+string(page.Query("q", r.PostFormValue("q"))), http.StatusSeeOther)
}

// Directions are those that the form offers.
func (f found) Directions() []string { return []string{"inbound", "outbound"} }

// States are those that can be asked for one by one.
func (f found) States() []string {
	return []string{"held", "releasing", "refused", "released", "deleted", "expired"}
}

// Classes are why mail is kept.
func (f found) Classes() []string {
	return []string{"quarantine", "rejected-beside", "backend-refused", "evidence", "measure"}
}

// Most is how many holds one act hits.
func (f found) Most() int { return MaxBulk }
