package rules

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"postern/internal/desk/rules/part"
	"postern/internal/diff"
)

// change is one change of a file.
type change struct {
	ID     string    `json:"id"`
	Node   string    `json:"node"`
	File   string    `json:"file"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	How    string    `json:"how"`
	Note   string    `json:"note"`
	Before string    `json:"before"`
	After  string    `json:"after"`
}

type pastQuery struct {
	File  string `json:"file,omitempty"`
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// changesPage is a page of changes.
type changesPage struct {
	Changes []change `json:"changes"`
	Next    string   `json:"next"`
	File    string   `json:"-"`
	After   string   `json:"-"`
}

func (h *Room) changes(w http.ResponseWriter, r *http.Request) {
	p := changesPage{File: r.FormValue("file"), After: r.FormValue("after")}
	if err := h.Calls.Call(r.Context(), "rules.history", pastQuery{p.File, p.After, 50}, &p); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.show(w, r, http.StatusOK, "rules-changes", "changes", h.say(r, "tab-changes"), p)
}

// changePage is one change.
type changePage struct {
	Change  change      `json:"change"`
	Known   bool        `json:"known"`
	Diff    []diff.Hunk `json:"diff"`
	Back    bool        `json:"back"`
	MayAct  bool        `json:"-"`
	Problem string      `json:"-"`
}

func (h *Room) change(w http.ResponseWriter, r *http.Request) {
	h.showChange(w, r, http.StatusOK, r.PathValue("id"), "")
}

func (h *Room) showChange(w http.ResponseWriter, r *http.Request, status int, id, problem string) {
	p := changePage{MayAct: h.Calls.May(r.Context(), "rules.rollback"), Problem: problem}
	if err := h.Calls.Call(r.Context(), "rules.diff", map[string]string{"id": id}, &p); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.show(w, r, status, "rules-change", "changes", p.Change.File, p)
}

func (h *Room) rollback(w http.ResponseWriter, r *http.Request) {
	if !h.Kit.Fresh(w, r) {
		return
	}
	id := r.PostFormValue("id")
	var out struct {
		File file `json:"file"`
	}
	err := h.Calls.Call(r.Context(), "rules.rollback", map[string]string{"id": id, "note": strings.TrimSpace(r.PostFormValue("note"))}, &out)
	if words, status, ok := part.Refusal(err); ok {
		h.showChange(w, r, status, id, words)
		return
	}
	switch {
	case err != nil:
		h.Kit.Fail(w, r, err)
	case out.File.ID == "":
		http.Redirect(w, r, "/rules/files", http.StatusSeeOther)
	default:
		http.Redirect(w, r, "/rules/file?saved=yes&id="+url.QueryEscape(out.File.ID), http.StatusSeeOther)
	}
}
