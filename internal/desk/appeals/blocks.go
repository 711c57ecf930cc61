package appeals

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
)

// entry is an entry of the own lists.
type entry struct {
	Allow   bool      `json:"allow"`
	Value   string    `json:"value"`
	Scope   string    `json:"scope"`
	Reason  string    `json:"reason"`
	Author  string    `json:"author"`
	Created time.Time `json:"created"`
}

// Key is the entry's own name.
func (e entry) Key() string { return "block " + e.Value + " " + e.Scope }

// hits reports whether the entry is about the sender of a.
func (e entry) hits(a appeal) bool {
	if e.Allow {
		return false
	}
	if ip, err := netip.ParseAddr(a.Client); err == nil {
		if net, err := netip.ParsePrefix(e.Value); err == nil && net.Contains(ip.Unmap()) {
			return true
		}
		if one, err := netip.ParseAddr(e.Value); err == nil && one == ip.Unmap() {
			return true
		}
	}
	from := strings.ToLower(a.From)
	_, domain, _ := strings.Cut(from, "@")
	return e.Value == from || domain != "" && (e.Value == domain || strings.HasSuffix(domain, "."+e.Value))
}

// blocks are the operator's own entries that stop the sender: beside one of them letting through
// has no effect.
func (o *Room) blocks(ctx context.Context, a appeal) ([]entry, error) {
	if !o.Calls.May(ctx, "blocklist.list") {
		return nil, nil
	}
	var all []entry
	if err := o.Calls.Call(ctx, "blocklist.list", struct{}{}, &all); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(e entry) bool { return !e.hits(a) }), nil
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
	if !slices.ContainsFunc(b.Blocks, func(e entry) bool { return e.Key() == key }) {
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
