// Package audits is the desk's pages of the audit, and of the calendars by which time is counted.
package audits

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/rules/part"
	"postern/internal/desk/work"
	"postern/internal/diff"
)

// Room is the pages.
type Room struct {
	part.Part
	Work *work.Desk
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /rules/calendar", h.calendar)
	handle("GET /rules/audit", h.audit)
	handle("POST /rules/audit/verify", h.verify)
	handle("POST /rules/audit/export", h.export)
}

// entry is one line of the audit.
type entry struct {
	Seq    int64           `json:"seq"`
	Time   time.Time       `json:"time"`
	Actor  string          `json:"actor"`
	Action string          `json:"action"`
	Object string          `json:"object"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	Note   string          `json:"note,omitempty"`
	Prev   string          `json:"prev"`
	Hash   string          `json:"hash"`
}

// Hunks are what it changed, line by line.
func (e entry) Hunks() []diff.Hunk {
	return diff.Between(pretty(e.Before), pretty(e.After))
}

// maxShown bounds what is shown of one side, in octets.
const maxShown = 32 << 10

// pretty writes JSON one value a line. Texts of several lines stand as such.
func pretty(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw[:min(len(raw), maxShown)], "", "  "); err != nil {
		return string(raw[:min(len(raw), maxShown)])
	}
	return strings.ReplaceAll(b.String(), `\n`, "\n    ")
}

// auditQuery is a search.
type auditQuery struct {
	Actor  string    `json:"actor,omitempty"`
	Action string    `json:"action,omitempty"`
	Object string    `json:"object,omitempty"`
	Text   string    `json:"text,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Before int64     `json:"before,omitempty"`
	Limit  int       `json:"limit,omitempty"`
}

// auditPage is a page of the audit.
type auditPage struct {
	Entries        []entry `json:"entries"`
	Next           int64   `json:"next"`
	Last           int64   `json:"last"`
	Q              auditQuery
	Since, Until   string
	Problem        string
	MayVerify, Any bool
}

func auditOf(r *http.Request) (p auditPage, ok bool) {
	_ = r.ParseForm() // what cannot be read is not there
	get := func(name string) string { return strings.TrimSpace(r.Form.Get(name)) }
	p = auditPage{Since: get("since"), Until: get("until"), Q: auditQuery{Actor: get("actor"), Action: get("action"), Object: get("object"), Text: get("q"), Limit: 50}}
	if n, err := strconv.ParseInt(get("before"), 10, 64); err == nil { // it may be greater than what a form counts
		p.Q.Before = max(n, 0)
	}
	ok = true
	day := func(s string, plus int) (t time.Time) {
		if s == "" {
			return t
		}
		t, err := time.Parse(time.DateOnly, s)
		if err != nil {
			ok = false
			return t
		}
		return t.AddDate(0, 0, plus)
	}
	p.Q.Since, p.Q.Until = day(p.Since, 0), day(p.Until, 1)
	p.Any = p.Q.Actor+p.Q.Action+p.Q.Object+p.Q.Text+p.Since+p.Until != ""
	return p, ok
}

func (h *Room) audit(w http.ResponseWriter, r *http.Request) {
	p, ok := auditOf(r)
	p.MayVerify = h.Calls.May(r.Context(), "audit.verify") && h.Work != nil
	status := http.StatusOK
	if !ok {
		p.Problem, status = h.Say(r, "audit-date"), http.StatusBadRequest
	} else if err := h.Calls.Call(r.Context(), "audit.find", p.Q, &p); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.Show(w, r, status, "rules-audit", "audit", h.Say(r, "tab-audit"), p)
}

// begin starts a long work and goes to where it is shown.
func (h *Room) begin(w http.ResponseWriter, r *http.Request, title string, run func(ctx context.Context, far func(done, of int)) (work.Result, error)) {
	id, err := h.Work.Begin(r.Context(), page.Of(r.Context()).User.Name, work.Task{Title: title, Here: "rules", Back: "/rules/audit", Run: run})
	switch {
	case errors.Is(err, work.ErrBusy):
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusTooManyRequests})
	case err != nil:
		h.Kit.Fail(w, r, err)
	default:
		http.Redirect(w, r, "/work/"+id, http.StatusSeeOther)
	}
}

// chain is how far the check of the chain has come.
type chain struct {
	Seq    int64  `json:"seq"`
	Hash   string `json:"hash"`
	Last   int64  `json:"last,omitempty"`
	Broken string `json:"broken,omitempty"`
	Over   bool   `json:"over,omitempty"`
}

// may refuses at once what would fail later, out of the reader's sight.
func (h *Room) may(w http.ResponseWriter, r *http.Request, call string) bool {
	if h.Calls.May(r.Context(), call) {
		return true
	}
	h.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden})
	return false
}

func (h *Room) verify(w http.ResponseWriter, r *http.Request) {
	if !h.may(w, r, "audit.verify") {
		return
	}
	l := h.Kit.Language(r)
	h.begin(w, r, l.Say("rules.audit-verify"), func(ctx context.Context, far func(done, of int)) (work.Result, error) {
		var p chain
		for !p.Over {
			if err := h.Calls.Call(ctx, "audit.part", p, &p); err != nil {
				return work.Result{}, err
			}
			far(int(p.Seq), int(p.Last)+1)
		}
		if p.Broken != "" {
			return work.Result{Said: l.Say("rules.audit-broken"), Bad: true, Lines: []string{p.Broken}}, nil
		}
		var whole string
		err := h.Calls.Call(ctx, "audit.verify", struct{}{}, &whole)
		if words, _, ok := part.Refusal(err); ok {
			return work.Result{Said: l.Say("rules.audit-broken"), Bad: true, Lines: []string{words}}, nil
		}
		return work.Result{Said: l.Say("rules.audit-whole", "n", p.Seq), Lines: []string{whole}}, err
	})
}

// export writes what a search finds as a file, an entry a line.
func (h *Room) export(w http.ResponseWriter, r *http.Request) {
	if !h.may(w, r, "audit.find") {
		return
	}
	p, ok := auditOf(r)
	if !ok {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest, Words: h.Say(r, "audit-date")})
		return
	}
	l := h.Kit.Language(r)
	p.Q.Limit, p.Q.Before = 500, 0
	h.begin(w, r, l.Say("rules.audit-export"), func(ctx context.Context, far func(done, of int)) (work.Result, error) {
		var out bytes.Buffer
		n, first := 0, int64(0)
		for {
			var found auditPage
			if err := h.Calls.Call(ctx, "audit.find", p.Q, &found); err != nil {
				return work.Result{}, err
			}
			for _, e := range found.Entries {
				line, err := json.Marshal(e)
				if err != nil {
					return work.Result{}, err
				}
				if out.Len()+len(line) > work.MaxFile {
					f := &work.File{Name: "audit.jsonl", Type: "application/jsonl", Body: out.Bytes()}
					return work.Result{Said: l.Say("rules.audit-too-many", "n", n), Bad: true, File: f}, nil
				}
				out.Write(append(line, '\n'))
				n++
			}
			first = max(first, found.Last)
			far(int(first-found.Next), int(first))
			if p.Q.Before = found.Next; found.Next == 0 {
				break
			}
		}
		return work.Result{Said: l.Say("rules.audit-exported", "n", n), File: &work.File{Name: "audit.jsonl", Type: "application/jsonl", Body: out.Bytes()}}, nil
	})
}
