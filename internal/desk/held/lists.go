package held

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/page"
)

// Bounds of blocks and allowances.
const (
	maxTargets = 100 // entries that one act makes
	maxDays    = 3650
)

// target is a way to say what is blocked or allowed.
type target struct {
	What   string // address | domain | host | network
	Values []string
	More   int
}

// few is how many values are shown.
const few = 5

// Few is how many of the values are shown.
func (t target) Few() int { return min(few, len(t.Values)) }

// Rest is how many are not.
func (t target) Rest() int { return len(t.Values) - t.Few() + t.More }

// listed is a line of the own lists that was made.
type listed struct {
	Key     string
	Value   string
	Expires time.Time
}

// entry is a line of the own lists.
type entry struct {
	Key     string    `json:"key,omitempty"` // as the lists name it
	Allow   bool      `json:"allow"`
	Value   string    `json:"value"`
	Scope   string    `json:"scope"`
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires,omitzero"`
}

// targets are what the senders of the holds have in common, from the narrowest.
func targets(holds []hold) []target {
	var out []target
	for _, what := range []string{"address", "domain", "host", "network"} {
		t := target{What: what}
		for _, x := range holds {
			v := x.value(what)
			if v == "" || slices.Contains(t.Values, v) {
				continue
			}
			if len(t.Values) == maxTargets {
				t.More++
				continue
			}
			t.Values = append(t.Values, v)
		}
		if len(t.Values) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// value is what an entry of that width about the sender of a hold is about; "" where there is
// none.
func (h hold) value(what string) string {
	_, domain, ok := strings.Cut(h.sender, "@")
	ip, err := netip.ParseAddr(h.Client.IP)
	switch {
	case what == "address" && ok:
		return strings.ToLower(h.sender)
	case what == "domain" && ok:
		return strings.ToLower(domain)
	case what == "host" && err == nil:
		return ip.String()
	case what == "network" && err == nil:
		bits := 24
		if ip.Is6() {
			bits = 48
		}
		net, err := ip.Prefix(bits)
		if err != nil {
			return ""
		}
		return net.String()
	}
	return ""
}

// Ways are the targets that the act can have: an allowance is of a sender, not of a network.
func (b bulk) Ways() []target {
	return slices.DeleteFunc(slices.Clone(b.Targets), func(t target) bool {
		return b.Act != "block" && (t.What == "host" || t.What == "network")
	})
}

// enter writes into the own lists what is blocked or allowed from now on.
func (h *Room) enter(ctx context.Context, b *bulk) error {
	var expires time.Time
	if b.Days != "" {
		days, err := strconv.Atoi(b.Days)
		if err != nil || days < 1 || days > maxDays {
			return &page.Error{Status: http.StatusBadRequest}
		}
		expires = h.Kit.Now().UTC().AddDate(0, 0, days)
	}
	b.Targets = targets(b.Holds)
	i := slices.IndexFunc(b.Ways(), func(t target) bool { return t.What == b.What })
	if i < 0 {
		return &page.Error{Status: http.StatusBadRequest}
	}
	for _, v := range b.Ways()[i].Values {
		e := entry{Allow: b.Act != "block", Value: v, Scope: "all", Reason: b.Note, Expires: expires}
		if e.Reason == "" {
			e.Reason = "held mail " + b.Holds[0].ID
		}
		var out entry
		err := h.Calls.Call(ctx, "blocklist.add", e, &out)
		var refused *page.Error
		switch {
		case errors.As(err, &refused):
			b.Failed = append(b.Failed, failure{hold{Subject: v}, refused.Words})
		case err != nil:
			return err
		default:
			b.Listed = append(b.Listed, listed{Key: out.Key, Value: out.Value, Expires: out.Expires})
		}
	}
	return nil
}

// undo takes lines out of the own lists again.
func (h *Room) undo(w http.ResponseWriter, r *http.Request) {
	back := page.Local(r.PostFormValue("back"))
	keys := r.PostForm["key"]
	if !h.Calls.May(r.Context(), "blocklist.remove") {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden})
		return
	}
	if len(keys) == 0 || len(keys) > maxTargets {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	for _, k := range keys {
		var gone string
		err := h.Calls.Call(r.Context(), "blocklist.remove", params{ID: k}, &gone)
		if refused := new(page.Error); err != nil && (!errors.As(err, &refused) || refused.Status != http.StatusNotFound) {
			h.Kit.Fail(w, r, err)
			return
		}
	}
	h.over(w, r, bulk{Act: "undone", Done: len(keys), Back: back})
}
