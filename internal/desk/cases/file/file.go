// Package file is the page of one case: what is proved, what happened, what it rests on, and
// what is done about it.
package file

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/cases/view"
	"postern/internal/desk/page"
	"postern/internal/said"
)

// Room is the page of a case.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /cases/{id}", h.show)
	handle("POST /cases/{id}/act", h.act)
	handle("GET /cases/{id}/raw/{report}", h.raw)
}

// Shown is a case with all that one sees at once.
type Shown struct {
	Case  view.Case `json:"case"`
	Total struct {
		Votes   int      `json:"votes"`
		Reports int      `json:"reports"`
		Merged  []string `json:"merged"`
	} `json:"total"`
	Timeline []Event  `json:"timeline"`
	More     string   `json:"more"`
	Moves    []string `json:"moves"`
}

// Event is a line of the timeline.
type Event struct {
	Seq    int               `json:"seq"`
	At     time.Time         `json:"at"`
	Actor  string            `json:"actor"`
	Action string            `json:"action"`
	From   string            `json:"from"`
	To     string            `json:"to"`
	Text   string            `json:"text"`
	Said   said.Words        `json:"said"`
	Report string            `json:"report"`
	Data   map[string]string `json:"data"`
}

// Pairs are the values of an event in the order of their names.
func (e Event) Pairs() []string {
	var out []string
	for k, v := range e.Data {
		if v != "" && (k != "barred" || !strings.Contains(e.Text, v)) { // its text may say it already
			out = append(out, k+" "+v)
		}
	}
	slices.Sort(out)
	return out
}

// file is the page.
type file struct {
	Shown
	Tab, Report  string
	Tabs         []string
	Now          time.Time
	After        string
	Reports      []report
	NextReports  string
	Evidence     *evidence
	Similar      []like
	Log          []entry
	NextLog      int64
	Letters      []Letter
	Replies      []Event
	Sent         []sent
	Measures     []measure
	Waiting      []proposal
	May          map[string]bool
	Categories   []string
	Kinds        []string
	Languages    []string
	Problem      string
	TimelineMore string
}

type id struct {
	ID    string `json:"id"`
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

type report struct {
	Report   string    `json:"report"`
	At       time.Time `json:"at"`
	Grade    int       `json:"grade"`
	Class    string    `json:"class"`
	Reporter string    `json:"reporter"`
	Trust    int       `json:"trust"`
	Feed     bool      `json:"feed"`
	Person   bool      `json:"person"`
	Counts   int       `json:"counts"`
	More     int       `json:"more"`
	Language string    `json:"language"`
}

type like struct {
	Case view.Case `json:"case"`
	By   string    `json:"by"`
}

type entry struct {
	Seq    int64     `json:"seq"`
	Time   time.Time `json:"time"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"`
	Object string    `json:"object"`
	Note   string    `json:"note"`
	Hash   string    `json:"hash"`
}

// Letter is one letter of a case.
type Letter struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"`
	To       string     `json:"to"`
	Language string     `json:"language"`
	Subject  string     `json:"subject"`
	State    string     `json:"state"`
	Why      string     `json:"why"`
	Said     said.Words `json:"said"`
	By       string     `json:"by"`
	At       time.Time  `json:"at"`
	Sent     time.Time  `json:"sent"`
	Tells    string     `json:"tells"`
}

type measure struct {
	ID     string    `json:"id"`
	Level  int       `json:"level"`
	State  string    `json:"state"`
	Reason string    `json:"reason"`
	Actor  string    `json:"actor"`
	Auto   bool      `json:"auto"`
	Case   string    `json:"case"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
	Review time.Time `json:"review"`
}

type proposal struct {
	ID      string     `json:"id"`
	Words   string     `json:"words"`
	Said    said.Words `json:"said"`
	By      string     `json:"by"`
	At      time.Time  `json:"at"`
	Until   time.Time  `json:"until"`
	Reason  string     `json:"reason"`
	Because said.Words `json:"because"`
	Object  string     `json:"object"`
	Act     string     `json:"act"`
	Mine    bool       `json:"-"` // another person decides
}

type sent struct {
	Serial string `json:"serial"`
	Known  bool   `json:"known"`
	Row    *struct {
		At        time.Time `json:"at"`
		Account   string    `json:"account"`
		Login     string    `json:"login"`
		Client    string    `json:"client"`
		From      string    `json:"from"`
		MessageID string    `json:"message_id"`
		BodyHash  string    `json:"body_hash"`
		Size      int64     `json:"size"`
		Action    string    `json:"action"`
		Copies    []struct {
			Recipient string    `json:"recipient"`
			State     string    `json:"state"`
			Reply     string    `json:"reply"`
			At        time.Time `json:"at"`
		} `json:"copies"`
	} `json:"row"`
	Copies   int `json:"copies"`
	Accepted int `json:"accepted"`
}

func (h *Room) show(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	f := file{Now: h.Kit.Now(), Tab: r.FormValue("tab"), Report: r.FormValue("report"), After: r.FormValue("after"), May: map[string]bool{}, Categories: []string{"S1", "S2", "S3", "S4", "S5"},
		Kinds: []string{"answer", "need-info", "result", "rejected", "not-ours"}, Languages: []string{"en", "zh", "ru", "el"}}
	if err := h.Calls.Call(ctx, "case.show", id{ID: r.PathValue("id")}, &f.Shown); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	for _, name := range []string{"case.assign", "case.state", "case.comment", "case.category", "case.priority", "case.merge", "case.hold", "case.reopen", "case.end", "case.reports", "complaint.judge", "complaint.raw", "notice.draft",
		"measure.whatif", "measure.apply", "measure.undo", "approval.approve", "approval.refuse"} {
		f.May[name] = h.Calls.May(ctx, name)
	}
	f.Tabs = []string{"timeline"}
	for _, t := range []struct{ tab, call string }{{"evidence", "case.reports"}, {"similar", "case.similar"}, {"letters", "notice.list"}, {"log", "case.log"}} {
		if h.Calls.May(ctx, t.call) {
			f.Tabs = append(f.Tabs, t.tab)
		}
	}
	if !slices.Contains(f.Tabs, f.Tab) {
		f.Tab = "timeline"
	}
	err := h.fill(ctx, &f)
	if err == nil {
		err = h.beside(ctx, &f)
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.Kit.Show(w, r, "case", page.View{Title: f.Case.ID, Here: "cases", Wide: true, Body: f})
}

// fill reads what the chosen tab shows.
func (h *Room) fill(ctx context.Context, f *file) error {
	q := id{ID: f.Case.ID, After: f.After}
	switch f.Tab {
	case "evidence":
		return h.evidence(ctx, f)
	case "similar":
		var out struct {
			Cases []like `json:"cases"`
		}
		err := h.Calls.Call(ctx, "case.similar", q, &out)
		f.Similar = out.Cases
		return err
	case "letters":
		return h.letters(ctx, f)
	case "log":
		var out struct {
			Entries []entry `json:"entries"`
			Next    int64   `json:"next"`
		}
		err := h.Calls.Call(ctx, "case.log", map[string]any{"id": f.Case.ID, "after": number(f.After)}, &out)
		f.Log, f.NextLog = out.Entries, out.Next
		return err
	}
	f.TimelineMore = f.More
	if f.After != "" {
		var more Shown
		err := h.Calls.Call(ctx, "case.timeline", q, &more)
		f.Timeline, f.TimelineMore = more.Timeline, more.More
		return err
	}
	return nil
}

// letters reads what was written to whom, and what came back.
func (h *Room) letters(ctx context.Context, f *file) error {
	var out struct {
		Notices []Letter `json:"notices"`
	}
	err := h.Calls.Call(ctx, "notice.list", map[string]any{"case": f.Case.ID, "limit": 200}, &out)
	if asRefusal(err) { // no letters are written here
		f.Problem = words(err)
		err = nil
	}
	f.Letters = out.Notices
	for _, e := range f.Timeline {
		if e.Action == "reply" {
			f.Replies = append(f.Replies, e)
		}
	}
	if err != nil || !h.Calls.May(ctx, "case.reports") {
		return err
	}
	return h.people(ctx, f)
}

// people are the reports of persons, to whom a letter can go.
func (h *Room) people(ctx context.Context, f *file) error {
	var out struct {
		Reports []report `json:"reports"`
	}
	err := h.Calls.Call(ctx, "case.reports", id{ID: f.Case.ID, Limit: 200}, &out)
	seen := map[string]bool{}
	for _, r := range out.Reports {
		if r.Person && !seen[r.Reporter] {
			f.Reports = append(f.Reports, r)
			seen[r.Reporter] = true
		}
	}
	return err
}

// beside reads what stands beside every tab: measures, and what waits for a second person.
func (h *Room) beside(ctx context.Context, f *file) error {
	if f.Case.Account != "" && h.Calls.May(ctx, "measure.list") {
		var out struct {
			Measures []measure `json:"measures"`
		}
		if err := h.Calls.Call(ctx, "measure.list", map[string]any{"account": f.Case.Account, "limit": 20}, &out); err != nil {
			return err
		}
		f.Measures = out.Measures
	}
	if !h.Calls.May(ctx, "approval.list") {
		return nil
	}
	var out struct {
		Proposals []proposal `json:"proposals"`
	}
	if err := h.Calls.Call(ctx, "approval.list", map[string]any{"state": "open", "limit": 200}, &out); err != nil {
		return err
	}
	me := ""
	if u := page.Of(ctx).User; u != nil {
		me = u.Name
	}
	for _, p := range out.Proposals {
		if p.Object == f.Case.ID || f.Case.Account != "" && p.Object == f.Case.Account {
			p.Mine = p.By == me
			f.Waiting = append(f.Waiting, p)
		}
	}
	return nil
}
