package figures

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/said"
)

// credit is what is owed for a promise that was broken.
type credit struct {
	ID         string     `json:"id"`
	Figure     string     `json:"figure"`
	Clause     string     `json:"clause"`
	Kind       string     `json:"kind"`
	Formula    string     `json:"formula"`
	Unit       string     `json:"unit"`
	Value      *float64   `json:"value"`
	Bound      string     `json:"bound"`
	Limit      *float64   `json:"limit"`
	Exclusions []string   `json:"exclusions"`
	State      string     `json:"state"`
	Decided    string     `json:"decided_by"`
	When       time.Time  `json:"decided_at"`
	Why        string     `json:"why"`
	Said       said.Words `json:"said"`
	Asked      *struct {
		By       string `json:"by"`
		Why      string `json:"why"`
		Proposal string `json:"proposal"`
	} `json:"asked"`
	Contradicted *struct {
		At         time.Time `json:"at"`
		Value      *float64  `json:"value"`
		Exclusions []string  `json:"exclusions"`
	} `json:"contradicted"`
}

// Draft reports whether a person has to decide.
func (c credit) Draft() bool { return c.State == "draft" }

// Shown is the value it rests on.
func (c credit) Shown() string { return short(c.Value) }

// Promise is the limit.
func (c credit) Promise() string { return short(c.Limit) }

// BoundKey is the bound as the words have it.
func (c credit) BoundKey() string { return figure{Bound: c.Bound}.BoundKey() }

// KindKey is the kind as the words have it.
func (c credit) KindKey() string { return "figures.kind-" + strings.ReplaceAll(c.Kind, " ", "-") }

// Left are the exclusions that were taken out of its figure.
func (c credit) Left() string { return strings.Join(c.Exclusions, ", ") }

// Now is the value of the figure where it contradicts what was approved.
func (c credit) Now() string {
	if c.Contradicted == nil {
		return ""
	}
	return short(c.Contradicted.Value)
}

// decide approves or refuses a credit, after a fresh sign-in.
func (h *Room) decide(w http.ResponseWriter, r *http.Request) {
	act, why := r.PostFormValue("act"), strings.TrimSpace(r.PostFormValue("why"))
	if !slices.Contains([]string{"approve", "refuse"}, act) {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	if !h.Calls.May(r.Context(), "service.credit-"+act) {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden})
		return
	}
	if !h.Kit.Fresh(w, r) {
		return
	}
	var out credit
	err := h.Calls.Call(r.Context(), "service.credit-"+act, map[string]string{"id": r.PostFormValue("id"), "why": why}, &out)
	var refused *page.Error
	switch {
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && refused.Status != http.StatusNotFound && refused.Status != http.StatusForbidden:
		h.over(w, r, refused.Status, func(m *report) { m.Problem, m.Which, m.Why = refused.Words, r.PostFormValue("id"), why })
	case err != nil:
		h.Kit.Fail(w, r, err)
	default:
		http.Redirect(w, r, "/figures/report"+string(page.Query("month", r.PostFormValue("month")))+"#credits", http.StatusSeeOther)
	}
}
