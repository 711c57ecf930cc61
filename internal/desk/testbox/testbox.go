// Package testbox is the desk's pages of mail that is kept for tests: what came for an address,
// what stands in a message, and how much was kept and blocked.
package testbox

import (
	"context"
	"embed"
	"errors"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/held/letter"
	"postern/internal/desk/page"
)

//go:embed all:html
var Pages embed.FS

// PerPage is how many messages a list shows.
const PerPage = 50

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /inbox", h.list)
	handle("POST /inbox", h.clear)
	handle("GET /inbox/{id}", h.message)
	handle("POST /inbox/{id}", h.forget)
	handle("GET /inbox/{id}/html", h.html)
	handle("GET /inbox/{id}/raw", h.raw)
	handle("GET /inbox/{id}/part/{path}", h.part)
}

// counts are of a domain, or of all.
type counts struct {
	Kept     int64 `json:"kept"`
	Held     int64 `json:"held"`
	Blocked  int64 `json:"blocked"`
	Deferred int64 `json:"deferred"`
}

// domain is one line of the counters.
type domain struct {
	Name string
	counts
}

type counters struct {
	counts
	Since   time.Time         `json:"since"`
	Domains map[string]counts `json:"domains"`
}

// Rows are the counters by domain.
func (c counters) Rows() []domain {
	var out []domain
	for _, name := range slices.Sorted(maps.Keys(c.Domains)) {
		out = append(out, domain{name, c.Domains[name]})
	}
	return out
}

type reason struct {
	Symbol   string  `json:"symbol"`
	Score    float64 `json:"score"`
	Describe string  `json:"describe"`
	Detail   string  `json:"detail"`
}

// Hundredths is the score as pages write it.
func (r reason) Hundredths() int64 { return hundredths(r.Score) }

func hundredths(points float64) int64 { return int64(math.Round(points * 100)) }

type verdict struct {
	Action    string   `json:"action"`
	Score     float64  `json:"score"`
	Policy    string   `json:"policy"`
	Reasons   []reason `json:"reasons"`
	Unchecked []struct {
		Step   string `json:"step"`
		Reason string `json:"reason"`
	} `json:"unchecked"`
}

// Hundredths is the score as pages write it.
func (v verdict) Hundredths() int64 { return hundredths(v.Score) }

// kept is one message.
type kept struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Reference string    `json:"reference"`
	Node      string    `json:"node"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	Client    struct {
		IP      string `json:"ip"`
		Name    string `json:"name"`
		Helo    string `json:"helo"`
		TLS     string `json:"tls"`
		Account string `json:"account"`
	} `json:"client"`
	Subject string  `json:"subject"`
	Size    int64   `json:"size"`
	SHA256  string  `json:"sha256"`
	Verdict verdict `json:"verdict"`
}

// Infected reports whether the scanner found something in it.
func (k kept) Infected() bool {
	return slices.ContainsFunc(k.Verdict.Reasons, func(r reason) bool { return r.Symbol == "VIRUS" })
}

type listPage struct {
	To, Subject, After string
	Messages           []kept `json:"messages"`
	Next               string `json:"next"`
	Counters           counters
	MayAct             bool
	Said, Problem      string
	Forgotten          int
}

// Asked reports whether the list is narrowed.
func (p listPage) Asked() bool { return p.To != "" || p.Subject != "" }

type query struct {
	To      string `json:"to,omitempty"`
	Subject string `json:"subject,omitempty"`
	After   string `json:"after,omitempty"`
	Limit   int    `json:"limit"`
}

func (h *Room) list(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	p := listPage{To: strings.TrimSpace(r.FormValue("to")), Subject: strings.TrimSpace(r.FormValue("subject")), After: r.FormValue("after"), MayAct: h.Calls.May(ctx, "inbox.clear")}
	if said := r.FormValue("said"); slices.Contains([]string{"gone", "cleared"}, said) {
		p.Said = said
		p.Forgotten, _ = strconv.Atoi(r.FormValue("n")) // of an address that somebody wrote: nothing
	}
	status := http.StatusOK
	err := h.Calls.Call(ctx, "inbox.list", query{p.To, p.Subject, p.After, PerPage}, &p)
	if refused := new(page.Error); errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		status, p.Problem, err = refused.Status, refused.Words, nil
	}
	if err == nil {
		err = h.Calls.Call(ctx, "inbox.counts", struct{}{}, &p.Counters)
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.show(w, r, status, "testbox", h.Kit.Language(r).Say("testbox.title"), p)
}

func (h *Room) show(w http.ResponseWriter, r *http.Request, status int, name, title string, body any) {
	h.Kit.ShowStatus(w, r, status, name, page.View{Title: title, Here: "trace", Under: "testbox.nav", Wide: true, Body: body})
}

// clear forgets what came for an address, or all.
func (h *Room) clear(w http.ResponseWriter, r *http.Request) {
	to := strings.TrimSpace(r.PostFormValue("to"))
	if act := r.PostFormValue("act"); act != "all" && (act != "to" || to == "") {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	} else if act == "all" {
		to = ""
	}
	var out struct {
		Messages int `json:"messages"`
	}
	ask := map[string]any{"to": to, "counters": to == "" && r.PostFormValue("counters") != ""}
	if err := h.Calls.Call(r.Context(), "inbox.clear", ask, &out); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/inbox"+string(page.Query("said", "cleared", "n", strconv.Itoa(out.Messages), "to", to)), http.StatusSeeOther)
}

// forget forgets one message.
func (h *Room) forget(w http.ResponseWriter, r *http.Request) {
	if err := h.Calls.Call(r.Context(), "inbox.delete", named{r.PathValue("id")}, new(kept)); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/inbox?said=gone", http.StatusSeeOther)
}

type named struct {
	ID string `json:"id"`
}

// message is the page of one.
type message struct {
	kept
	*letter.Letter
	Tab      string
	Title    []letter.Span
	MayAct   bool
	MayTrace bool
}

// Tabs are the ways to look at it.
func (m message) Tabs() []string {
	return slices.DeleteFunc([]string{"text", "html", "links", "headers", "parts"}, func(tab string) bool {
		return tab == "html" && !m.HTML || tab == "links" && len(m.Links) == 0
	})
}

// Path is where its page is.
func (m message) Path() string { return "/inbox/" + url.PathEscape(m.ID) }

// Sender is who wrote it on the envelope.
func (m message) Sender() string { return m.kept.From }

func (h *Room) message(w http.ResponseWriter, r *http.Request) {
	m := message{Tab: r.FormValue("tab"), MayAct: h.Calls.May(r.Context(), "inbox.delete"), MayTrace: h.Calls.May(r.Context(), "trace.show")}
	err := h.Calls.Call(r.Context(), "inbox.show", named{r.PathValue("id")}, &m.kept)
	if err == nil {
		m.Letter, err = h.letter(r.Context(), m.ID)
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	if !slices.Contains(m.Tabs(), m.Tab) {
		m.Tab = "text"
	}
	slices.SortStableFunc(m.Verdict.Reasons, func(a, b reason) int { return int(b.Hundredths() - a.Hundredths()) })
	title := m.Subject
	if title == "" {
		title = h.Kit.Language(r).Say("held.no-subject")
	}
	m.Title = letter.Spans(title)
	h.show(w, r, http.StatusOK, "testbox-message", title, m)
}

// body is the message as it would have been delivered.
func (h *Room) body(ctx context.Context, id string) ([]byte, error) {
	var out struct {
		Body []byte `json:"body"`
	}
	err := h.Calls.Call(ctx, "inbox.raw", named{id}, &out)
	return out.Body, err
}

// letter is what a page shows of it: of a large one, of its beginning.
func (h *Room) letter(ctx context.Context, id string) (*letter.Letter, error) {
	raw, err := h.body(ctx, id)
	if err != nil {
		return nil, err
	}
	return letter.Read(raw[:min(len(raw), letter.MaxRead)], len(raw) > letter.MaxRead), nil
}

func (h *Room) html(w http.ResponseWriter, r *http.Request) {
	l, err := h.letter(r.Context(), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	l.Frame(w)
}

func (h *Room) raw(w http.ResponseWriter, r *http.Request) {
	raw, err := h.body(r.Context(), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	letter.Inert(w, r.PathValue("id")+".eml")
	_, _ = w.Write(raw) // the reader has gone: nobody to tell
}

func (h *Room) part(w http.ResponseWriter, r *http.Request) {
	l, err := h.letter(r.Context(), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	p, body, ok := l.Part(r.PathValue("path"))
	if !ok {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
		return
	}
	letter.Inert(w, p.Disk(r.PathValue("id")))
	_, _ = w.Write(body) // the reader has gone: nobody to tell
}
