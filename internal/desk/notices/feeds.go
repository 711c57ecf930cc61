package notices

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"postern/internal/desk/page"
)

// feed is a feedback loop.
type feed struct {
	Name      string    `json:"name"`
	Alias     string    `json:"alias"`
	Domain    string    `json:"domain"`
	Since     time.Time `json:"since"`
	By        string    `json:"by"`
	Note      string    `json:"note"`
	ChangedBy string    `json:"changed_by"`
	Changed   time.Time `json:"changed"`
}

// loop is one with how far it is believed and how much it reports.
type loop struct {
	Feed  feed      `json:"feed"`
	Trust string    `json:"trust"`
	Until time.Time `json:"observed_until"`
	Day   int       `json:"day"`
	Week  int       `json:"week"`
	Month int       `json:"month"`
	Last  time.Time `json:"last"`
}

// loops is the page of all.
type loops struct {
	Loops   []loop
	More    int // of which the counts are not shown
	May     bool
	Problem string
	Form    feed
}

// mostLoops is how many are counted for one page.
const mostLoops = 100

func (n *Room) feeds(w http.ResponseWriter, r *http.Request) {
	n.loops(w, r, http.StatusOK, loops{})
}

func (n *Room) loops(w http.ResponseWriter, r *http.Request, status int, b loops) {
	ctx := r.Context()
	b.May = n.Calls.May(ctx, "feed.add")
	var all []feed
	if err := n.Calls.Call(ctx, "feed.list", struct{}{}, &all); err != nil {
		n.Kit.Fail(w, r, err)
		return
	}
	b.More = max(len(all)-mostLoops, 0)
	for _, f := range all[:len(all)-b.More] {
		one, err := n.loop(ctx, f.Name)
		if page.Refused(err) != nil { // it was forgotten meanwhile
			continue
		}
		if err != nil {
			n.Kit.Fail(w, r, err)
			return
		}
		b.Loops = append(b.Loops, one)
	}
	n.write(w, r, status, "feeds", "notices.nav-feeds", n.say(r, "feeds"), b)
}

func (n *Room) loop(ctx context.Context, name string) (out loop, err error) {
	err = n.Calls.Call(ctx, "feed.show", map[string]string{"id": name}, &out)
	return out, err
}

// register adds a feedback loop.
func (n *Room) register(w http.ResponseWriter, r *http.Request) {
	b := loops{Form: feed{Name: word(r, "name"), Alias: word(r, "alias"), Domain: word(r, "domain")}}
	var out any
	err := n.Calls.Call(r.Context(), "feed.add", map[string]string{"name": b.Form.Name, "alias": b.Form.Alias, "domain": b.Form.Domain}, &out)
	n.after(w, r, err, "/feeds", func(status int, problem string) {
		b.Problem = problem
		n.loops(w, r, status, b)
	})
}

// complaint is one report of a feed.
type complaint struct {
	Report struct {
		ID string    `json:"id"`
		At time.Time `json:"at"`
	} `json:"report"`
	Work struct {
		Reporter string   `json:"reporter"`
		Cases    []string `json:"cases"`
		Feedback string   `json:"feedback"`
	} `json:"work"`
}

// looped is the page of one.
type looped struct {
	loop
	May        bool
	MayLook    bool
	Complaints []complaint
	Problem    string
	Reason     string
	Trusts     []string
}

func (n *Room) feed(w http.ResponseWriter, r *http.Request) { n.looped(w, r, http.StatusOK, "") }

func (n *Room) looped(w http.ResponseWriter, r *http.Request, status int, problem string) {
	ctx := r.Context()
	b := looped{Problem: problem, Reason: word(r, "reason"), May: n.Calls.May(ctx, "feed.trust"), MayLook: n.Calls.May(ctx, "complaint.list"), Trusts: []string{"believed", "observed", "unheeded"}}
	var err error
	if b.loop, err = n.loop(ctx, r.PathValue("name")); err != nil {
		n.Kit.Fail(w, r, err)
		return
	}
	if b.MayLook {
		var out struct {
			Complaints []complaint `json:"complaints"`
		}
		if err := n.Calls.Call(ctx, "complaint.list", map[string]any{"feed": b.Feed.Name, "limit": 20}, &out); err != nil {
			n.Kit.Fail(w, r, err)
			return
		}
		b.Complaints = out.Complaints
	}
	n.write(w, r, status, "feed", "notices.nav-feeds", b.Feed.Name, b)
}

// onFeed changes how far a feed is believed, or forgets it.
func (n *Room) onFeed(w http.ResponseWriter, r *http.Request) {
	name, reason := r.PathValue("name"), word(r, "reason")
	if reason == "" {
		n.looped(w, r, http.StatusBadRequest, n.say(r, "reason-needed"))
		return
	}
	to, call, p := "/feeds/"+url.PathEscape(name), "feed.trust", map[string]string{"id": name, "trust": word(r, "trust"), "reason": reason}
	switch r.PostFormValue("act") {
	case "trust":
	case "remove":
		to, call, p = "/feeds", "feed.remove", map[string]string{"id": name}
	default:
		n.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	if !n.Kit.Fresh(w, r) {
		return
	}
	var out any
	n.after(w, r, n.Calls.Call(r.Context(), call, p, &out), to, func(status int, problem string) { n.looped(w, r, status, problem) })
}
