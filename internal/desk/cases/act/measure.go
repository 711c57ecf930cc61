// Package act is the pages of what is done in a case: a measure, with what it would do said
// before, and the letters to those who reported.
package act

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/cases/view"
	"postern/internal/desk/page"
)

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /cases/{id}/measure", h.measure)
	handle("POST /cases/{id}/measure", h.take)
	handle("POST /cases/{id}/letters", h.draft)
	handle("GET /cases/{id}/letters/{letter}", h.letter)
	handle("POST /cases/{id}/letters/{letter}", h.write)
}

// levels are the measures against an account that are taken here.
func levels() []string { return []string{"M0", "M1", "M2", "M3", "M4", "M5"} }

type preview struct {
	Target     string    `json:"target"`
	Level      string    `json:"level"`
	Now        string    `json:"now"`
	Two        bool      `json:"two"`
	Until      time.Time `json:"until"`
	Review     time.Time `json:"review"`
	Protected  bool      `json:"protected"`
	Messages   int       `json:"messages"`
	Recipients int       `json:"recipients"`
	Waiting    int       `json:"waiting"`
	Held       int       `json:"held"`
	AtLeast    bool      `json:"at_least"`
	Connectors []string  `json:"connectors"`
}

type whatIf struct {
	Case    view.Case
	Moves   []string
	Levels  []string
	Level   string
	Hours   string
	Reason  string
	Preview preview
	May     bool
	Becomes string // the state that the case comes into
	Now     time.Time
}

// ask is what the calls about measures take.
type ask struct {
	Account string  `json:"account"`
	Level   string  `json:"level"`
	Reason  string  `json:"reason"`
	Case    string  `json:"case"`
	Hours   float64 `json:"hours,omitempty"`
}

type shown struct {
	Case  view.Case `json:"case"`
	Moves []string  `json:"moves"`
}

func (h *Room) shown(ctx context.Context, id string) (s shown, err error) {
	err = h.Calls.Call(ctx, "case.show", map[string]any{"id": id, "limit": 1}, &s)
	return s, err
}

func (h *Room) asked(r *http.Request, c view.Case) (ask, error) {
	a := ask{Account: c.Account, Level: r.FormValue("level"), Reason: strings.TrimSpace(r.FormValue("reason")), Case: c.ID}
	if !slices.Contains(levels(), a.Level) {
		a.Level = "M1"
	}
	text := strings.TrimSpace(r.FormValue("hours"))
	if text == "" {
		return a, nil
	}
	hours, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", "."), 64)
	if err != nil || hours < 0 {
		return a, &page.Error{Status: http.StatusBadRequest, Words: h.Kit.Language(r).Say("cases.hours-wrong")}
	}
	a.Hours = hours
	return a, nil
}

// becomes is where a measure brings a case by itself.
func becomes(moves []string, level string) string {
	if level >= "M3" && slices.Contains(moves, "SUSPENDED") {
		return "SUSPENDED"
	}
	return ""
}

func (h *Room) measure(w http.ResponseWriter, r *http.Request) {
	s, err := h.shown(r.Context(), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	if s.Case.Account == "" {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusConflict, Words: h.Kit.Language(r).Say("cases.nobody-to-measure")})
		return
	}
	a, err := h.asked(r, s.Case)
	f := whatIf{Case: s.Case, Moves: s.Moves, Levels: levels(), Level: a.Level, Hours: r.FormValue("hours"), Reason: a.Reason, Becomes: becomes(s.Moves, a.Level), Now: h.Kit.Now(),
		May: h.Calls.May(r.Context(), "measure.apply")}
	if err == nil {
		err = h.Calls.Call(r.Context(), "measure.whatif", a, &f.Preview)
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.Kit.Show(w, r, "case-measure", page.View{Title: h.Kit.Language(r).Say("cases.measure-on", "account", s.Case.Account), Here: "cases", Body: f})
}

// take takes the measure, or asks another person for it.
func (h *Room) take(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	s, err := h.shown(ctx, r.PathValue("id"))
	var a ask
	if err == nil {
		a, err = h.asked(r, s.Case)
	}
	var p preview
	if err == nil {
		err = h.Calls.Call(ctx, "measure.whatif", a, &p)
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	if a.Level >= "M3" && !h.Kit.Fresh(w, r) {
		return
	}
	name := "measure.apply"
	if p.Two {
		name = "measure.propose"
	}
	var done struct {
		ID string `json:"id"`
	}
	if err := h.Calls.Call(ctx, name, a, &done); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	if to := becomes(s.Moves, a.Level); to != "" && !p.Two {
		level, _ := strconv.Atoi(a.Level[1:]) // asked takes known ones alone
		move := map[string]any{"id": s.Case.ID, "to": to, "reason": a.Reason, "measure": done.ID, "level": level}
		var after any
		if err := h.Calls.Call(ctx, "case.state", move, &after); err != nil {
			h.Kit.Fail(w, r, err)
			return
		}
	}
	http.Redirect(w, r, "/cases/"+s.Case.ID, http.StatusSeeOther)
}
