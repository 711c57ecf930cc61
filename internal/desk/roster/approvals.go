package roster

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/said"
)

type proposal struct {
	ID      string     `json:"id"`
	Act     string     `json:"act"`
	Object  string     `json:"object"`
	Words   string     `json:"words"`
	Said    said.Words `json:"said"`
	By      string     `json:"by"`
	Reason  string     `json:"reason"`
	Because said.Words `json:"because"`
	At      time.Time  `json:"at"`
	Until   time.Time  `json:"until"`
	State   string     `json:"state"`
	Failure string     `json:"failure"`
	Decided *struct {
		By     string     `json:"by"`
		At     time.Time  `json:"at"`
		Reason string     `json:"reason"`
		Said   said.Words `json:"said"`
	} `json:"decided"`
}

// Open reports whether it waits.
func (p proposal) Open() bool { return p.State == "open" }

func (o *Room) approvals(w http.ResponseWriter, r *http.Request) {
	var b struct {
		Proposals []proposal `json:"proposals"`
		Next      string     `json:"next"`
		State     string
		States    []string
	}
	b.States = []string{"open", "approved", "refused", "withdrawn", "expired"}
	if b.State = r.FormValue("state"); !slices.Contains(b.States, b.State) {
		b.State = "open"
	}
	if err := o.Calls.Call(r.Context(), "approval.list", map[string]any{"state": b.State, "after": r.FormValue("after"), "limit": 50}, &b); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	o.Kit.Show(w, r, "approvals", page.View{Title: o.Kit.Language(r).Say("people.approvals"), Here: "approvals", Body: b})
}

// deciding is what the page of a proposal shows.
type deciding struct {
	P           proposal
	May, Refuse bool
	Mine        bool // who asked cannot approve
	Words       string
}

func (o *Room) approval(w http.ResponseWriter, r *http.Request) {
	o.proposal(w, r, http.StatusOK, "")
}

func (o *Room) proposal(w http.ResponseWriter, r *http.Request, status int, words string) {
	ctx := r.Context()
	b := deciding{May: o.Calls.May(ctx, "approval.approve"), Refuse: o.Calls.May(ctx, "approval.refuse"), Words: words}
	if err := o.Calls.Call(ctx, "approval.show", map[string]any{"id": r.PathValue("id")}, &b.P); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	b.Mine = b.P.By == page.Of(ctx).User.Name
	o.Kit.ShowStatus(w, r, status, "approval", page.View{Title: o.Kit.Language(r).Say("people.approval"), Here: "approvals", Body: b})
}

// decide approves or refuses, after a fresh sign-in.
func (o *Room) decide(w http.ResponseWriter, r *http.Request) {
	act := r.PostFormValue("act")
	if act != "approve" && act != "refuse" {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	if !o.Calls.May(r.Context(), "approval."+act) {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden})
		return
	}
	if !o.Kit.Fresh(w, r) {
		return
	}
	var out proposal
	err := o.Calls.Call(r.Context(), "approval."+act, map[string]any{"id": r.PathValue("id"), "reason": strings.TrimSpace(r.PostFormValue("reason"))}, &out)
	var refused *page.Error
	switch {
	case errors.As(err, &refused) && refused.Status != http.StatusNotFound:
		o.proposal(w, r, refused.Status, refused.Words)
	case err != nil:
		o.Kit.Fail(w, r, err)
	default:
		http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
	}
}
