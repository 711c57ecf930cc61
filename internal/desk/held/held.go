// Package held is the desk's pages of held mail: the list, one message, and what is done to
// them.
package held

import (
	"context"
	"embed"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
)

//go:embed all:html
var Pages embed.FS

// PerPage is how many holds a list shows.
const PerPage = 50

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /held", h.list)
	handle("POST /held/act", h.act)
	handle("GET /held/{id}", h.message)
	handle("GET /held/{id}/html", h.html)
	handle("GET /held/{id}/raw", h.raw)
	handle("GET /held/{id}/part/{path}", h.part)
}

// hold is what the pages show of a hold.
type hold struct {
	ID        string    `json:"id"`
	MessageID string    `json:"message_id"`
	Node      string    `json:"node"`
	At        time.Time `json:"at"`
	Expires   time.Time `json:"expires"`
	Direction string    `json:"direction"`
	State     string    `json:"state"`
	Class     string    `json:"class"`
	Policy    string    `json:"policy"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	Client    struct {
		IP      string `json:"ip"`
		Name    string `json:"name"`
		Helo    string `json:"helo"`
		Account string `json:"account"`
	} `json:"client"`
	Subject   string      `json:"subject"`
	Size      int64       `json:"size"`
	SHA256    string      `json:"sha256"`
	Score     int64       `json:"score"`
	Reasons   []reason    `json:"reasons"`
	Unchecked []unchecked `json:"unchecked"`
	RulesRev  string      `json:"rules_rev"`
	AV        string      `json:"av"`
	Reply     string      `json:"reply"`
	Release   *release    `json:"release"`
	Ended     *ended      `json:"ended"`
}

type reason struct {
	Symbol   string `json:"symbol"`
	Score    int64  `json:"score"`
	Describe string `json:"describe"`
	Detail   string `json:"detail"`
	Step     string `json:"step"`
}

type unchecked struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
}

type release struct {
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	Attempts  int       `json:"attempts"`
	Next      time.Time `json:"next"`
	Failure   string    `json:"failure"`
	Ambiguous bool      `json:"ambiguous"`
}

type ended struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Reply string    `json:"reply"`
}

// Open reports whether anything can still be done with it.
func (h hold) Open() bool { return slices.Contains([]string{"held", "releasing", "refused"}, h.State) }

// Releasable reports whether it can be sent on.
func (h hold) Releasable() bool { return h.Open() && h.Class != "evidence" }

// Worst are the reasons that weigh most, the heaviest first.
func (h hold) Worst(n int) []reason {
	r := slices.Clone(h.Reasons)
	slices.SortStableFunc(r, func(a, b reason) int { return int(b.Score - a.Score) })
	return r[:min(n, len(r))]
}

// found is a page of the list.
type found struct {
	Query, After, Next string
	Holds              []hold
	MayRelease         bool
	MayDelete          bool
	Problem            string // what is wrong with the query
	Views              []view
}

// view is a search that one click makes.
type view struct {
	Key, Query string
	Here       bool
}

func views(query string) []view {
	all := []view{{Key: "open", Query: "state:held"}, {Key: "today", Query: "since:24h"}, {Key: "virus", Query: "symbol:VIRUS"}, {Key: "measure", Query: "class:measure"}, {Key: "refused", Query: "state:refused"}, {Key: "done", Query: "state:released"}}
	for i := range all {
		all[i].Here = all[i].Query == query
	}
	return all
}

type search struct {
	Text  string `json:"text"`
	Limit int    `json:"limit,omitempty"`
	After string `json:"after,omitempty"`
}

func (h *Room) find(ctx context.Context, s search) (holds []hold, next string, err error) {
	var out struct {
		Holds []hold `json:"holds"`
		Next  string `json:"next"`
	}
	err = h.Calls.Call(ctx, "quarantine.list", s, &out)
	return out.Holds, out.Next, err
}

func (h *Room) list(w http.ResponseWriter, r *http.Request) {
	query := strings.TrimSpace(r.FormValue("q"))
	f := found{Query: query, After: r.FormValue("after"), Views: views(query), MayRelease: h.Calls.May(r.Context(), "quarantine.release"), MayDelete: h.Calls.May(r.Context(), "quarantine.delete")}
	status := http.StatusOK
	var err error
	f.Holds, f.Next, err = h.find(r.Context(), search{Text: query, Limit: PerPage, After: f.After})
	if refused := new(page.Error); asRefusal(err, &refused) && refused.Status == http.StatusBadRequest {
		status, f.Problem = refused.Status, refused.Words
	} else if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.Kit.ShowStatus(w, r, status, "held", page.View{Title: h.Kit.Language(r).Say("held.title"), Here: "held", Wide: true, Body: f})
}
