// Package measures is the desk's pages about measures: what one would do before it is taken,
// taking it or asking a second person, one measure with its history, and undoing it.
//
// Other rooms do not ask for measures themselves. They load a Panel for an account or a domain
// and show {{template "measures" .Panel}}: what is in force, with buttons (keys t, h, s, u)
// that lead to these pages and back. New is where a measure of a level is weighed.
package measures

import (
	"context"
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

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (m *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /measures/new", m.weigh)
	handle("POST /measures", m.take)
	handle("GET /measures/{id}", m.show)
	handle("POST /measures/{id}/undo", m.undo)
	handle("POST /measures/{id}/reviewed", m.reviewed)
}

// Measure is one, as pages show it.
type Measure struct {
	ID         string     `json:"id"`
	Target     string     `json:"target"`
	Level      int        `json:"level"`
	State      string     `json:"state"`
	Reason     string     `json:"reason"`
	Said       said.Words `json:"said"`
	Actor      string     `json:"actor"`
	Auto       bool       `json:"auto"`
	Case       string     `json:"case"`
	Rules      []string   `json:"rules"`
	Families   []string   `json:"families"`
	Score      int        `json:"score"`
	Messages   int        `json:"messages"`
	Recipients int        `json:"recipients"`
	At         time.Time  `json:"at"`
	Until      time.Time  `json:"until"`
	Review     time.Time  `json:"review"`
	Approver   string     `json:"approver"`
	Released   int        `json:"released"`
	Ended      *struct {
		At      time.Time  `json:"at"`
		Actor   string     `json:"actor"`
		Reason  string     `json:"reason"`
		Said    said.Words `json:"said"`
		Cleared bool       `json:"cleared"`
	} `json:"ended"`
	Connectors []struct {
		Name     string `json:"name"`
		Required bool   `json:"required"`
		Verified bool   `json:"verified"`
		Failure  string `json:"failure"`
	} `json:"connectors"`
}

// Name is "M0" to "M7".
func (m Measure) Name() string { return "M" + strconv.Itoa(m.Level) }

// Open reports whether it is in force.
func (m Measure) Open() bool { return m.State == "pending-activation" || m.State == "active" }

// Panel is what is in force against an account, or with a name of "@example.com" a domain.
type Panel struct {
	Target string
	Case   string // a new measure belongs to it
	Back   string // path of the page that the panel stands on
	Open   []Measure
	May    bool // the reader may take measures
}

// Load looks up what a Panel shows.
func Load(ctx context.Context, calls page.Caller, target, caseID, back string) (Panel, error) {
	p := Panel{Target: target, Case: caseID, Back: back, May: calls.May(ctx, "measure.apply")}
	if target == "" || !calls.May(ctx, "measure.list") {
		return p, nil
	}
	var out struct {
		Measures []Measure `json:"measures"`
	}
	err := calls.Call(ctx, "measure.list", map[string]any{"account": target, "limit": 50}, &out)
	for _, m := range out.Measures {
		if m.Open() {
			p.Open = append(p.Open, m)
		}
	}
	return p, err
}

// New is the path at which a measure of a level ("M1"; "" = none is chosen yet) is weighed.
func (p Panel) New(level string) string {
	v := url.Values{}
	if domain, ok := strings.CutPrefix(p.Target, "@"); ok {
		v.Set("domain", domain)
	} else {
		v.Set("account", p.Target)
	}
	for k, x := range map[string]string{"level": level, "case": p.Case, "back": p.Back} {
		if x != "" {
			v.Set(k, x)
		}
	}
	return "/measures/new?" + v.Encode()
}

// Show is the path of a measure.
func (p Panel) Show(m Measure) string {
	return "/measures/" + url.PathEscape(m.ID) + string(page.Query("back", p.Back))
}

type id struct {
	ID string `json:"id"`
}

// one is the page of one measure.
type one struct {
	Measure
	Back    string
	May     bool
	Problem string
}

func (m *Room) show(w http.ResponseWriter, r *http.Request) { m.shown(w, r, http.StatusOK, "") }

func (m *Room) shown(w http.ResponseWriter, r *http.Request, status int, problem string) {
	b := one{Back: page.Local(r.FormValue("back")), May: m.Calls.May(r.Context(), "measure.undo"), Problem: problem}
	if err := m.Calls.Call(r.Context(), "measure.show", id{r.PathValue("id")}, &b.Measure); err != nil {
		m.Kit.Fail(w, r, err)
		return
	}
	l := m.Kit.Language(r)
	title := l.Say("measures.title-one", "level", l.Say("measures.name-"+b.Name()), "target", b.Target)
	m.Kit.ShowStatus(w, r, status, "measure", page.View{Title: title, Here: "accounts", Body: b})
}

func (m *Room) undo(w http.ResponseWriter, r *http.Request) {
	reason := strings.TrimSpace(r.PostFormValue("reason"))
	if reason == "" {
		m.shown(w, r, http.StatusBadRequest, m.Kit.Language(r).Say("measures.reason-needed"))
		return
	}
	params := map[string]any{"id": r.PathValue("id"), "reason": reason, "cleared": r.PostFormValue("cleared") == "yes"}
	m.after(w, r, m.Calls.Call(r.Context(), "measure.undo", params, &struct{}{}))
}

func (m *Room) reviewed(w http.ResponseWriter, r *http.Request) {
	m.after(w, r, m.Calls.Call(r.Context(), "measure.reviewed", id{r.PathValue("id")}, &struct{}{}))
}

// after goes back, or says what was refused.
func (m *Room) after(w http.ResponseWriter, r *http.Request, err error) {
	switch e := page.Refused(err); {
	case e != nil:
		m.shown(w, r, e.Status, e.Words)
	case err != nil:
		m.Kit.Fail(w, r, err)
	default:
		m.Kit.Back(w, r, "/measures/"+url.PathEscape(r.PathValue("id")))
	}
}
