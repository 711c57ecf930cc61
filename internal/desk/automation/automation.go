// Package automation is the desk's pages of what happens without a person: the kill switch, the breaker, and rules in shadow.
package automation

import (
	"embed"
	"net/http"
	"slices"
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
func (a *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /automation", a.show)
	handle("POST /automation", a.act)
}

// state is how automation stands.
type state struct {
	Switch struct {
		Off    bool      `json:"off"`
		File   bool      `json:"file"`
		By     string    `json:"by"`
		At     time.Time `json:"at"`
		Reason string    `json:"reason"`
	} `json:"switch"`
	Trips    map[string]trip `json:"trips"`
	LastHour int             `json:"last_hour"`
	Mode     string          `json:"mode"`
	Rules    []struct {
		Rule struct {
			Name  string    `json:"name"`
			Since time.Time `json:"since"`
			Live  bool      `json:"live"`
			By    string    `json:"by"`
			At    time.Time `json:"at"`
		} `json:"rule"`
		Days    int       `json:"days"`
		Hits    int       `json:"hits"`
		Cleared int       `json:"cleared"`
		Ready   time.Time `json:"ready"`
	} `json:"rules"`
}

type trip struct {
	At     time.Time  `json:"at"`
	Why    string     `json:"why"`
	Said   said.Words `json:"said"`
	Missed int        `json:"missed"`
}

// shown is the page.
type shown struct {
	state
	Now     time.Time
	May     bool
	Problem string
}

func (a *Room) show(w http.ResponseWriter, r *http.Request) { a.shown(w, r, http.StatusOK, "") }

func (a *Room) shown(w http.ResponseWriter, r *http.Request, status int, problem string) {
	b := shown{Now: a.Kit.Now(), May: a.Calls.May(r.Context(), "automation.set"), Problem: problem}
	if err := a.Calls.Call(r.Context(), "automation.show", struct{}{}, &b.state); err != nil {
		a.Kit.Fail(w, r, err)
		return
	}
	a.Kit.ShowStatus(w, r, status, "automation", page.View{Title: a.Kit.Language(r).Say("automation.title"), Here: "accounts", Under: "accounts.nav-automation", Body: b})
}

// act presses the switch, resets the breaker, or turns a rule. To let go of the switch or to
// have a rule act is asked again; to stop everything never is.
func (a *Room) act(w http.ResponseWriter, r *http.Request) {
	reason, act := strings.TrimSpace(r.PostFormValue("reason")), r.PostFormValue("act")
	l := a.Kit.Language(r)
	if !slices.Contains([]string{"off", "on", "reset", "enable", "disable"}, act) {
		a.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	if reason == "" && (act == "off" || act == "on" || act == "reset") {
		a.shown(w, r, http.StatusBadRequest, l.Say("automation.reason-needed"))
		return
	}
	if act != "off" && act != "disable" && !a.Kit.Fresh(w, r) {
		return
	}
	call, params := "automation."+act, map[string]any{"id": r.PostFormValue("rule")}
	switch act {
	case "off", "on":
		call, params = "automation.set", map[string]any{"off": act == "off", "reason": reason}
	case "reset":
		params = map[string]any{"id": "", "note": reason}
	}
	err := a.Calls.Call(r.Context(), call, params, &struct{}{})
	switch e := page.Refused(err); {
	case e != nil:
		a.shown(w, r, e.Status, e.Words)
	case err != nil:
		a.Kit.Fail(w, r, err)
	default:
		http.Redirect(w, r, "/automation", http.StatusSeeOther)
	}
}
