package appeals

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"postern/internal/desk/page"
)

// entry is an entry of the own lists.
type entry struct {
	Key     string    `json:"key"` // as the lists name it
	Value   string    `json:"value"`
	Scope   string    `json:"scope"`
	Reason  string    `json:"reason"`
	Author  string    `json:"author"`
	Created time.Time `json:"created"`
}

// blocks are the operator's own entries that stop the sender: beside one of them letting through
// has no effect.
func (o *Room) blocks(ctx context.Context, a appeal) ([]entry, error) {
	if !o.Calls.May(ctx, "blocklist.list") {
		return nil, nil
	}
	about := slices.DeleteFunc([]string{a.Client, a.From}, func(of string) bool { return of == "" })
	if len(about) == 0 {
		return nil, nil
	}
	var found struct {
		Entries []entry `json:"entries"`
	}
	err := o.Calls.Call(ctx, "blocklist.list", map[string]any{"kind": "block", "about": about, "live": true}, &found)
	return found.Entries, err
}

// unblock takes such an entry away.
func (o *Room) unblock(w http.ResponseWriter, r *http.Request) {
	if !o.Calls.May(r.Context(), "blocklist.remove") {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden})
		return
	}
	b, ok := o.read(w, r)
	if !ok {
		return
	}
	key := r.PostFormValue("key")
	if !slices.ContainsFunc(b.Blocks, func(e entry) bool { return e.Key == key }) {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusConflict, Words: o.Kit.Language(r).Say("appeals.no-block")})
		return
	}
	var gone string
	err := o.Calls.Call(r.Context(), "blocklist.remove", map[string]string{"id": key, "note": o.Kit.Language(r).Say("appeals.reason", "reference", b.A.Refusal.Reference)}, &gone)
	if words, status, ok := problem(err); ok {
		b.Problem = words
		o.over(w, r, status, b)
		return
	}
	if err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/appeals/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}
