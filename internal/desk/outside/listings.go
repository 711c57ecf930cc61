package outside

import (
	"net/http"
	"time"

	"postern/internal/desk/page"
	"postern/internal/said"
)

// listing is one of our own names on one list.
type listing struct {
	ID      string    `json:"id"`
	List    string    `json:"list"`
	Subject string    `json:"subject"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Hits    int       `json:"hits"`
	Gone    time.Time `json:"gone"`
	Since   time.Time `json:"since"`
	Codes   []string  `json:"codes"`
	Text    string    `json:"text"`
	Case    string    `json:"case"`
	Cause   string    `json:"cause"`
	Draft   string    `json:"draft"`
	Drafted time.Time `json:"drafted"`
	Sent    time.Time `json:"sent"`
	Asked   time.Time `json:"asked"`
	AskedBy string    `json:"asked_by"`
	Removal string    `json:"removal"`
}

// State is where it stands: "suspected", "listed" or "gone".
func (l listing) State() string {
	switch {
	case !l.Gone.IsZero():
		return "gone"
	case l.Since.IsZero():
		return "suspected"
	}
	return "listed"
}

// listed is the page of all.
type listed struct {
	Open     bool
	Listings []listing
	Tests    []struct {
		List string    `json:"list"`
		At   time.Time `json:"at"`
		OK   bool      `json:"ok"`
		Why  string    `json:"why"`
	}
	Next    string
	May     bool
	Problem string
}

func (o *Room) listings(w http.ResponseWriter, r *http.Request) {
	o.listed(w, r, http.StatusOK, "")
}

func (o *Room) listed(w http.ResponseWriter, r *http.Request, status int, problem string) {
	b := listed{Open: word(r, "open") != "", May: o.Calls.May(r.Context(), "listing.check"), Problem: problem}
	if err := o.Calls.Call(r.Context(), "listing.list", map[string]any{"open": b.Open, "after": r.FormValue("after"), "limit": PerPage}, &b); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	o.write(w, r, status, "outside-listings", "outside.nav-listings", o.say(r, "listings-title"), b)
}

// check asks the lists now.
func (o *Room) check(w http.ResponseWriter, r *http.Request) {
	var out any
	o.after(w, r, o.Calls.Call(r.Context(), "listing.check", map[string]any{"limit": 1}, &out), "/outside/listings", func(status int, problem string) { o.listed(w, r, status, problem) })
}

// one is the page of one listing.
type one struct {
	listing
	MayAsk  bool
	WhyNot  string
	Not     said.Words // WhyNot by its code
	May     bool       // name the cause
	Lead    bool       // send, ask for removal
	Events  []event
	Problem string
}

// event is a line of the history of its case.
type event struct {
	At     time.Time  `json:"at"`
	Actor  string     `json:"actor"`
	Action string     `json:"action"`
	Text   string     `json:"text"`
	Said   said.Words `json:"said"`
}

func (o *Room) listing(w http.ResponseWriter, r *http.Request) {
	o.one(w, r, http.StatusOK, "")
}

func (o *Room) one(w http.ResponseWriter, r *http.Request, status int, problem string) {
	ctx := r.Context()
	var out struct {
		Listing listing    `json:"listing"`
		MayAsk  bool       `json:"may_ask"`
		WhyNot  string     `json:"why_not"`
		Said    said.Words `json:"said"`
	}
	if err := o.Calls.Call(ctx, "listing.show", map[string]string{"id": r.PathValue("id")}, &out); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	b := one{listing: out.Listing, MayAsk: out.MayAsk, WhyNot: out.WhyNot, Not: out.Said, May: o.Calls.May(ctx, "listing.cause"), Lead: o.Calls.May(ctx, "listing.send"), Problem: problem}
	if problem != "" && r.PostFormValue("act") == "send" {
		b.Draft = r.PostFormValue("text")
	}
	if b.Case != "" && o.Calls.May(ctx, "case.timeline") {
		var history struct {
			Events []event `json:"timeline"`
		}
		if err := o.Calls.Call(ctx, "case.timeline", map[string]any{"id": b.Case, "limit": PerPage}, &history); err != nil && page.Refused(err) == nil {
			o.Kit.Fail(w, r, err)
			return
		}
		b.Events = history.Events
	}
	o.write(w, r, status, "outside-listing", "outside.nav-listings", o.say(r, "listing-title", "subject", b.Subject, "list", b.List), b)
}

// onListing names the cause, sends the notice, or notes that removal was asked for.
func (o *Room) onListing(w http.ResponseWriter, r *http.Request) {
	id, act := r.PathValue("id"), r.PostFormValue("act")
	p := map[string]any{"id": id}
	switch act {
	case "cause":
		p["cause"] = word(r, "cause")
	case "send":
		p["text"] = word(r, "text")
		if !o.Kit.Fresh(w, r) {
			return
		}
	case "removal":
	default:
		o.bad(w, r)
		return
	}
	var out any
	o.after(w, r, o.Calls.Call(r.Context(), "listing."+act, p, &out), at("/outside/listings", id), func(status int, problem string) { o.one(w, r, status, problem) })
}
