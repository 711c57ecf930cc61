// Package appeals is the desk's pages of what senders wrote whose mail was refused: the list, one
// appeal with the message it is about, the answer, and letting the sender through for a while.
package appeals

import (
	"embed"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"postern/internal/desk/page"
)

//go:embed all:html
var Pages embed.FS

// PerPage is how many appeals a list shows.
const PerPage = 50

// clip is how many characters of an appeal a list shows.
const clip = 160

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (o *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /appeals", o.list)
	handle("GET /appeals/{id}", o.show)
	handle("POST /appeals/{id}", o.decide)
	handle("POST /appeals/{id}/allow", o.allow)
	handle("POST /appeals/{id}/unblock", o.unblock)
}

// appeal is what the pages show of one.
type appeal struct {
	Refusal struct {
		Reference string    `json:"reference"`
		At        time.Time `json:"at"`
		Cause     string    `json:"cause"`
		Reply     string    `json:"reply"`
	} `json:"refusal"`
	Client   string    `json:"client"`
	From     string    `json:"from"`
	At       time.Time `json:"at"`
	Network  string    `json:"network"`
	Language string    `json:"language"`
	Email    string    `json:"email"`
	Text     string    `json:"text"`
	State    string    `json:"state"`
	By       string    `json:"by"`
	Note     string    `json:"note"`
	Answer   string    `json:"answer"`
	Decided  time.Time `json:"decided"`
}

// Short is the beginning of what was written, in one line.
func (a appeal) Short() string {
	s := strings.Join(strings.Fields(a.Text), " ")
	if utf8.RuneCountInString(s) <= clip {
		return s
	}
	return string([]rune(s)[:clip]) + "…"
}

// Own is the language of the appeal in itself.
func (a appeal) Own() string { return page.Own(a.Language) }

// Waits reports whether nobody decided.
func (a appeal) Waits() bool { return a.State == "open" }

type listed struct {
	Appeals []appeal `json:"appeals"`
	Next    string   `json:"next"`
	View    string
	Views   []string
	After   string
	Open    int
}

// views are the lists, "all" and one for each state.
func views() []string { return []string{"open", "answered", "granted", "refused", "all"} }

func (o *Room) list(w http.ResponseWriter, r *http.Request) {
	b := listed{Views: views(), After: r.FormValue("after")}
	if b.View = r.FormValue("view"); !slices.Contains(b.Views, b.View) {
		b.View = b.Views[0]
	}
	q := map[string]any{"limit": PerPage, "after": b.After}
	if b.View != "all" {
		q["state"] = b.View
	}
	var n struct {
		Open int `json:"open"`
	}
	err := o.Calls.Call(r.Context(), "appeal.list", q, &b)
	if err == nil {
		err = o.Calls.Call(r.Context(), "appeal.count", struct{}{}, &n)
	}
	if err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	b.Open = n.Open
	o.write(w, r, http.StatusOK, "appeals", o.Kit.Language(r).Say("appeals.title"), b)
}

func (o *Room) write(w http.ResponseWriter, r *http.Request, status int, name, title string, body any) {
	o.Kit.ShowStatus(w, r, status, name, page.View{Title: title, Here: "trace", Under: "appeals.nav", Body: body})
}

// way is a way to let the sender through.
type way struct{ What, Value string }

// one is what the page of an appeal shows.
type one struct {
	A             appeal
	MayAct        bool
	MayAllow      bool
	MayTrace      bool
	MayUnblock    bool
	Blocks        []entry
	Ways          []way
	Days          []int
	Problem       string
	Answer, Note  string
	Value, Until  string // of the entry that was made
	AllowProblem  string
	What, DaysHad string
}

// ways are those that fit the mail, the narrowest first.
func (a appeal) ways() (out []way) {
	if _, domain, ok := strings.Cut(a.From, "@"); ok && domain != "" {
		out = append(out, way{"address", strings.ToLower(a.From)}, way{"domain", strings.ToLower(domain)})
	}
	if ip, err := netip.ParseAddr(a.Client); err == nil {
		out = append(out, way{"host", ip.String()})
	}
	return out
}

// days are for how long an entry may stand.
func days() []int { return []int{7, 30, 90, 365} }

// read reads the appeal; a page was written already if ok is false.
func (o *Room) read(w http.ResponseWriter, r *http.Request) (b one, ok bool) {
	ctx := r.Context()
	if err := o.Calls.Call(ctx, "appeal.show", map[string]string{"reference": r.PathValue("id")}, &b.A); err != nil {
		o.Kit.Fail(w, r, err)
		return b, false
	}
	b.MayAct, b.MayAllow, b.MayTrace = o.Calls.May(ctx, "appeal.decide"), o.Calls.May(ctx, "blocklist.add"), o.Calls.May(ctx, "trace.show")
	b.MayUnblock = o.Calls.May(ctx, "blocklist.remove")
	b.Ways, b.Days, b.DaysHad = b.A.ways(), days(), "30"
	var err error
	if b.Blocks, err = o.blocks(ctx, b.A); err != nil {
		o.Kit.Fail(w, r, err)
		return b, false
	}
	return b, true
}

func (o *Room) over(w http.ResponseWriter, r *http.Request, status int, b one) {
	o.write(w, r, status, "appeal", o.Kit.Language(r).Say("appeals.appeal"), b)
}

func (o *Room) show(w http.ResponseWriter, r *http.Request) {
	b, ok := o.read(w, r)
	if !ok {
		return
	}
	b.Value, b.Until = r.URL.Query().Get("allowed"), r.URL.Query().Get("until")
	if !slices.ContainsFunc(b.Ways, func(x way) bool { return x.Value == b.Value }) {
		b.Value = "" // an address that says other things than the appeal is about
	}
	if at, err := time.Parse(time.DateOnly, b.Until); err == nil {
		b.Until = o.Kit.Language(r).Day(at)
	} else {
		b.Value = ""
	}
	o.over(w, r, http.StatusOK, b)
}

// problem is what a call refuses, for the page; false: it is no such error.
func problem(err error) (string, int, bool) {
	var e *page.Error
	if errors.As(err, &e) && e.Status < http.StatusInternalServerError && e.Status != http.StatusForbidden && e.Status != http.StatusNotFound {
		return e.Words, e.Status, true
	}
	return "", 0, false
}

// decide answers, grants, refuses or opens again.
func (o *Room) decide(w http.ResponseWriter, r *http.Request) {
	state, answer, note := r.PostFormValue("state"), strings.TrimSpace(r.PostFormValue("answer")), strings.TrimSpace(r.PostFormValue("note"))
	err := o.Calls.Call(r.Context(), "appeal.decide", map[string]string{"reference": r.PathValue("id"), "state": state, "answer": answer, "note": note}, new(appeal))
	words, status, ok := problem(err)
	switch {
	case ok:
		b, found := o.read(w, r)
		if !found {
			return
		}
		b.Problem, b.Answer, b.Note = words, answer, note
		o.over(w, r, status, b)
	case err != nil:
		o.Kit.Fail(w, r, err)
	default:
		http.Redirect(w, r, "/appeals/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
	}
}

// allow lets the sender through for a while.
func (o *Room) allow(w http.ResponseWriter, r *http.Request) {
	if !o.Calls.May(r.Context(), "blocklist.add") {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden})
		return
	}
	b, ok := o.read(w, r)
	if !ok {
		return
	}
	b.What, b.DaysHad = r.PostFormValue("what"), r.PostFormValue("days")
	i := slices.IndexFunc(b.Ways, func(x way) bool { return x.What == b.What })
	n := slices.IndexFunc(b.Days, func(d int) bool { return strconv.Itoa(d) == b.DaysHad })
	if i < 0 || n < 0 {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	until := o.Kit.Now().UTC().AddDate(0, 0, b.Days[n]).Truncate(time.Second)
	e := map[string]any{"allow": true, "value": b.Ways[i].Value, "scope": "all", "expires": until, "reason": o.Kit.Language(r).Say("appeals.reason", "reference", b.A.Refusal.Reference)}
	var made struct {
		Value string `json:"value"`
	}
	err := o.Calls.Call(r.Context(), "blocklist.add", e, &made)
	if words, status, ok := problem(err); ok {
		b.AllowProblem = words
		o.over(w, r, status, b)
		return
	}
	if err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/appeals/"+url.PathEscape(r.PathValue("id"))+string(page.Query("allowed", b.Ways[i].Value, "until", until.Format(time.DateOnly))), http.StatusSeeOther)
}
