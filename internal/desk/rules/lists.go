package rules

import (
	"context"
	"net/http"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/rules/part"
)

// listEntry is one line of the own lists.
type listEntry struct {
	Allow   bool      `json:"allow"`
	Value   string    `json:"value"`
	Scope   string    `json:"scope"`
	Reason  string    `json:"reason"`
	Author  string    `json:"author,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Key     string    `json:"key,omitempty"` // as the lists name it
}

// waiting is a message that was asked to come again.
type waiting struct {
	ID        string    `json:"id"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	Client    string    `json:"client"`
	Name      string    `json:"name"`
	First     time.Time `json:"first"`
	NotBefore time.Time `json:"not_before"`
	Expires   time.Time `json:"expires"`
	Tries     int       `json:"tries"`
}

// worded is what one list says of something.
type verdict struct {
	List    string   `json:"list"`
	Of      string   `json:"of"`
	Subject string   `json:"subject"`
	Listed  bool     `json:"listed"`
	Codes   []string `json:"codes"`
	Symbols []string `json:"symbols"`
	Text    string   `json:"text"`
	Off     string   `json:"off"`
	Error   string   `json:"error"`
	Unasked string   `json:"unasked"`
}

// health is how a DNS list does.
type health struct {
	Name  string    `json:"name"`
	Zone  string    `json:"zone"`
	Of    string    `json:"of"`
	On    bool      `json:"on"`
	Fault string    `json:"fault"`
	Since time.Time `json:"since"`
}

// listsPage is the own lists, and who waits.
type listsPage struct {
	Query     string
	Entries   []listEntry
	Total     int
	After     string // where the page begins
	Next      string // where the next one does
	Waiting   []waiting
	Why       string
	Answers   []verdict
	Health    []health
	Tested    bool
	Problem   string
	MayAct    bool
	MayAllow  bool
	Form      listEntry
	Hits      int
	HitsAllow int
	Days      []int
}

func (h *Room) lists(w http.ResponseWriter, r *http.Request) {
	p := listsPage{Query: strings.TrimSpace(r.FormValue("q")), After: r.FormValue("after"), Why: strings.TrimSpace(r.FormValue("why"))}
	p.Form = listEntry{Value: r.FormValue("value"), Allow: r.FormValue("kind") == "allow"}
	h.showLists(w, r, http.StatusOK, p)
}

func (h *Room) showLists(w http.ResponseWriter, r *http.Request, status int, p listsPage) {
	ctx := r.Context()
	if err := h.fill(ctx, &p); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	if p.Why != "" {
		err := h.Calls.Call(ctx, "blocklist.why", map[string]string{"of": p.Why}, &p.Answers)
		if words, code, ok := part.Refusal(err); ok {
			p.Problem, status = words, code
		} else if err != nil {
			h.Kit.Fail(w, r, err)
			return
		}
	}
	h.show(w, r, status, "rules-lists", "lists", h.say(r, "tab-lists"), p)
}

// fill reads the lists.
func (h *Room) fill(ctx context.Context, p *listsPage) error {
	p.MayAct, p.MayAllow, p.Days = h.Calls.May(ctx, "blocklist.add"), h.Calls.May(ctx, "greylist.allow"), []int{1, 7, 30, 90, 365, 0}
	var found struct {
		Entries []listEntry `json:"entries"`
		Total   int         `json:"total"`
		Next    string      `json:"next"`
	}
	if err := h.Calls.Call(ctx, "blocklist.list", map[string]any{"text": p.Query, "after": p.After, "limit": PerPage}, &found); err != nil {
		return err
	}
	p.Entries, p.Total, p.Next = found.Entries, found.Total, found.Next
	if h.Calls.May(ctx, "greylist.list") {
		err := h.Calls.Call(ctx, "greylist.list", map[string]any{"limit": 50}, &p.Waiting)
		if _, _, ok := part.Refusal(err); err != nil && !ok {
			return err
		}
	}
	if h.Calls.May(ctx, "rules.list") {
		var rules listed
		if err := h.Calls.Call(ctx, "rules.list", struct{}{}, &rules); err != nil {
			return err
		}
		for _, x := range rules.Rules {
			switch x.Symbol {
			case "OWN_BLOCK":
				p.Hits = x.Hits
			case "OWN_ALLOW":
				p.HitsAllow = x.Hits
			}
		}
	}
	return nil
}

func (h *Room) listsAct(w http.ResponseWriter, r *http.Request) {
	p := listsPage{}
	var err error
	var out any
	switch r.PostFormValue("act") {
	case "add":
		e := listEntry{Allow: r.PostFormValue("kind") == "allow", Value: strings.TrimSpace(r.PostFormValue("value")), Scope: strings.TrimSpace(r.PostFormValue("scope")), Reason: strings.TrimSpace(r.PostFormValue("reason"))}
		if e.Scope == "" {
			e.Scope = "all"
		}
		if d := part.Number(r.PostFormValue("days")); d > 0 {
			e.Expires = h.Kit.Now().UTC().AddDate(0, 0, d)
		}
		p.Form = e
		err = h.Calls.Call(r.Context(), "blocklist.add", e, &out)
	case "remove":
		err = h.Calls.Call(r.Context(), "blocklist.remove", map[string]string{"id": r.PostFormValue("id"), "note": strings.TrimSpace(r.PostFormValue("note"))}, &out)
	case "allow":
		err = h.Calls.Call(r.Context(), "greylist.allow", map[string]string{"of": r.PostFormValue("id"), "note": strings.TrimSpace(r.PostFormValue("note"))}, &out)
	case "test":
		p.Tested = true
		if err = h.Calls.Call(r.Context(), "blocklist.test", struct{}{}, &p.Health); err == nil {
			h.showLists(w, r, http.StatusOK, p)
			return
		}
	default:
		err = &page.Error{Status: http.StatusBadRequest}
	}
	if words, status, ok := part.Refusal(err); ok {
		p.Problem = words
		h.showLists(w, r, status, p)
		return
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.Kit.Back(w, r, "/rules/lists")
}
