package outside

import (
	"net/http"
	"slices"
	"time"

	"postern/internal/desk/page"
	"postern/internal/said"
)

// order is a block, or what somebody thinks of blocking.
type order struct {
	Scope string     `json:"scope"`
	Value string     `json:"value"`
	Rule  string     `json:"rule"`
	Why   string     `json:"why"`
	Said  said.Words `json:"said,omitzero"`
	By    string     `json:"by,omitempty"`
	At    time.Time  `json:"at,omitzero"`
	Until time.Time  `json:"until"`
}

type sign struct {
	Ground string    `json:"ground"`
	Ref    string    `json:"ref"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// source is what is kept of a source elsewhere.
type source struct {
	Case      string         `json:"case"`
	State     string         `json:"state"`
	Since     time.Time      `json:"since"`
	IP        string         `json:"ip"`
	Domain    string         `json:"domain"`
	Account   string         `json:"account"`
	Signs     []sign         `json:"signs"`
	Incidents int            `json:"incidents"`
	Told      int            `json:"told"`
	Block     *order         `json:"block"`
	Held      bool           `json:"held"`
	Hold      int            `json:"hold"`
	Word      string         `json:"word"`
	Tries     map[string]int `json:"tries"`
}

// Name is what a source is called.
func (s source) Name() string {
	switch {
	case s.IP != "":
		return s.IP
	case s.Domain != "":
		return s.Domain
	}
	return s.Case
}

// Days are the days with attempts, the youngest first.
func (s source) Days() (out []string) {
	for d := range s.Tries {
		out = append(out, d)
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out[:min(len(out), 14)]
}

// states are those that the queue is looked through by.
func states() []string {
	return []string{"DETECTED", "CONFIRMED", "NOTIFIED", "BLOCKED", "OBSERVE", "HALF_OPEN", "LIFTED", "REJECTED"}
}

// queue is the page of sources.
type queue struct {
	State, About, After string
	States              []string
	Sources             []source
	Next                string
}

func (o *Room) list(w http.ResponseWriter, r *http.Request) {
	b := queue{State: word(r, "state"), About: word(r, "q"), After: r.FormValue("after"), States: states()}
	if !slices.Contains(b.States, b.State) {
		b.State = ""
	}
	var out struct {
		Sources []source `json:"sources"`
		Next    string   `json:"next"`
	}
	q := map[string]any{"state": b.State, "about": b.About, "after": b.After, "limit": PerPage}
	if err := o.Calls.Call(r.Context(), "source.list", q, &out); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	b.Sources, b.Next = out.Sources, out.Next
	o.write(w, r, http.StatusOK, "outside", "", o.say(r, "title"), b)
}

// told is a notice to who runs a source.
type told struct {
	ID       string     `json:"id"`
	To       string     `json:"to"`
	Way      string     `json:"way"`
	Form     string     `json:"form"`
	Incident int        `json:"incident"`
	State    string     `json:"state"`
	Why      string     `json:"why"`
	Said     said.Words `json:"said"`
	Tried    []string   `json:"tried"`
	By       string     `json:"by"`
	At       time.Time  `json:"at"`
}

type evidence struct {
	Sum  string    `json:"sha256"`
	Name string    `json:"name"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// shown is the page of one source.
type shown struct {
	Source source `json:"source"`
	Case   struct {
		ID     string    `json:"id"`
		State  string    `json:"state"`
		Since  time.Time `json:"since"`
		Source struct {
			IP     string    `json:"ip"`
			Port   int       `json:"port"`
			Time   time.Time `json:"time"`
			Helo   string    `json:"helo"`
			Domain string    `json:"domain"`
		} `json:"source"`
		Evidence []evidence `json:"evidence"`
		Owner    string     `json:"owner"`
	} `json:"case"`
	Notices []told `json:"notices"`

	May     bool   `json:"-"`
	Letters bool   `json:"-"` // the reader may look at notices
	Problem string `json:"-"`
	Reason  string `json:"-"`
}

// Grounds are the signs that count.
func (b shown) Grounds() (n int) {
	for _, s := range b.Source.Signs {
		if s.Ground != "content" && s.Ground != "spf" {
			n++
		}
	}
	return n
}

// May it be confirmed, told of, blocked, lifted: as far as its state goes.
func (b shown) state(in ...string) bool { return slices.Contains(in, b.Case.State) }

// Confirmable reports whether it waits to be confirmed.
func (b shown) Confirmable() bool { return b.May && b.state("DETECTED", "REOPENED") }

// Tellable reports whether who runs it may be told.
func (b shown) Tellable() bool {
	return b.May && b.state("CONFIRMED", "NOTIFIED", "BLOCKED", "OBSERVE", "HALF_OPEN")
}

// Blockable reports whether it may be blocked.
func (b shown) Blockable() bool { return b.Tellable() }

// Liftable reports whether its block may be lifted.
func (b shown) Liftable() bool { return b.May && b.state("BLOCKED", "OBSERVE") }

// Free is when a source that is half open is free again.
func (b shown) Free() time.Time { return b.Case.Since.Add(48 * time.Hour) }

func (o *Room) show(w http.ResponseWriter, r *http.Request) { o.shown(w, r, http.StatusOK, "") }

func (o *Room) shown(w http.ResponseWriter, r *http.Request, status int, problem string) {
	var b shown
	if err := o.Calls.Call(r.Context(), "source.show", map[string]string{"id": r.PathValue("id")}, &b); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	b.May, b.Letters, b.Problem = o.Calls.May(r.Context(), "source.block"), o.Calls.May(r.Context(), "notice.message"), problem
	if problem != "" {
		b.Reason = word(r, "reason")
	}
	if b.Source.Case == "" { // nothing is kept of it yet
		b.Source.Case, b.Source.IP, b.Source.Domain = b.Case.ID, b.Case.Source.IP, b.Case.Source.Domain
	}
	o.write(w, r, status, "outside-source", "", b.Source.Name(), b)
}

// act confirms a source, tells who runs it, or lifts its block.
func (o *Room) act(w http.ResponseWriter, r *http.Request) {
	id, act, reason := r.PathValue("id"), r.PostFormValue("act"), word(r, "reason")
	p := map[string]any{"id": id, "reason": reason}
	switch act {
	case "confirm":
		if v := word(r, "evidence"); v != "" {
			p["evidence"] = v
		}
	case "complain":
		p = map[string]any{"id": id}
	case "lift":
	default:
		o.bad(w, r)
		return
	}
	if act != "complain" && reason == "" {
		o.shown(w, r, http.StatusBadRequest, o.say(r, "reason-needed"))
		return
	}
	var out struct {
		State string     `json:"state"`
		Why   string     `json:"why"`
		Said  said.Words `json:"said"`
	}
	err := o.Calls.Call(r.Context(), "source."+act, p, &out)
	if err == nil && act == "complain" && out.State == "barred" {
		o.shown(w, r, http.StatusConflict, o.say(r, "nobody-told", "why", page.Say(o.Kit.Language(r), out.Said, out.Why)))
		return
	}
	o.after(w, r, err, at("/outside/source", id), func(status int, problem string) { o.shown(w, r, status, problem) })
}

// trial is what a block would have hit.
type trial struct {
	Block     order      `json:"block"`
	Refused   string     `json:"refused"`
	Said      said.Words `json:"said"`
	Days      int        `json:"days"`
	Mails     int        `json:"mails"`
	Taken     int        `json:"taken"`
	Good      int        `json:"good"`
	Senders   int        `json:"senders"`
	Addresses int        `json:"addresses"`
	More      bool       `json:"more"`
	Some      []example  `json:"examples"`
}

type example struct {
	ID   string    `json:"id"`
	At   time.Time `json:"at"`
	IP   string    `json:"ip"`
	From string    `json:"from"`
	To   string    `json:"to"`
}

// weighed is the page on which a block is weighed.
type weighed struct {
	Case, Name     string
	Order          order
	Days           int
	Barred         string
	Untold         bool // nobody was told of the source yet
	Trial          *trial
	Scopes, Rules  []string
	Spans          []int
	Problem        string
	MayTrace, Real bool // Real: what is shown can be blocked
}

// Hits reports whether good mail would be refused.
func (b weighed) Hits() bool { return b.Trial != nil && b.Trial.Good > 0 }

func (o *Room) read(r *http.Request) weighed {
	b := weighed{
		Case: r.PathValue("id"), Barred: word(r, "barred"), Days: number(r, "days"), Scopes: []string{"ip", "net", "domain", "from"}, Rules: []string{"quiet", "review"}, Spans: []int{1, 7, 14, 30, 90, 365},
		Order: order{Scope: word(r, "scope"), Value: word(r, "value"), Rule: word(r, "rule"), Why: word(r, "why")},
	}
	if !slices.Contains(b.Spans, b.Days) {
		b.Days = 14
	}
	if !slices.Contains(b.Rules, b.Order.Rule) {
		b.Order.Rule = "quiet"
	}
	b.Order.Until = o.Kit.Now().UTC().AddDate(0, 0, b.Days)
	return b
}

// weigh shows what a block would hit.
func (o *Room) weigh(w http.ResponseWriter, r *http.Request) {
	o.weighed(w, r, http.StatusOK, o.read(r))
}

func (o *Room) weighed(w http.ResponseWriter, r *http.Request, status int, b weighed) {
	var s shown
	ctx := r.Context()
	if err := o.Calls.Call(ctx, "source.show", map[string]string{"id": b.Case}, &s); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	src := s.Case.Source
	b.Name, b.Untold, b.MayTrace = src.IP, s.Case.State == "CONFIRMED", o.Calls.May(ctx, "trace.show")
	if b.Name == "" {
		b.Name = src.Domain
	}
	if b.Order.Value == "" { // the narrowest that fits
		if b.Order.Scope, b.Order.Value = "ip", src.IP; src.IP == "" {
			b.Order.Scope, b.Order.Value = "domain", src.Domain
		}
	}
	if !slices.Contains(b.Scopes, b.Order.Scope) {
		b.Order.Scope = "ip"
	}
	if o.Calls.May(ctx, "source.preview") && b.Order.Value != "" {
		ask := b.Order
		if ask.Why == "" {
			ask.Why = "preview"
		}
		b.Trial = new(trial)
		if err := o.Calls.Call(ctx, "source.preview", ask, b.Trial); err != nil {
			o.Kit.Fail(w, r, err)
			return
		}
		b.Real = b.Trial.Refused == ""
	}
	o.write(w, r, status, "outside-block", "", o.say(r, "block-title", "source", b.Name), b)
}

// block blocks a source. Who saw that good mail is hit says so.
func (o *Room) block(w http.ResponseWriter, r *http.Request) {
	b := o.read(r)
	switch {
	case b.Order.Why == "":
		b.Problem = o.say(r, "reason-needed")
	case r.PostFormValue("seen") != b.Order.Scope+" "+b.Order.Value: // what was tried is what is blocked
		b.Problem = o.say(r, "look-first")
	}
	if b.Problem != "" {
		o.weighed(w, r, http.StatusBadRequest, b)
		return
	}
	if !o.Kit.Fresh(w, r) {
		return
	}
	p := map[string]any{"id": b.Case, "block": b.Order}
	if b.Barred != "" {
		p["barred"] = b.Barred
	}
	var out any
	o.after(w, r, o.Calls.Call(r.Context(), "source.block", p, &out), at("/outside/source", b.Case), func(status int, problem string) {
		b.Problem = problem
		o.weighed(w, r, status, b)
	})
}

// entry is a line of the lists.
type entry struct {
	Value   string    `json:"value"`
	Scope   string    `json:"scope"`
	Reason  string    `json:"reason"`
	Author  string    `json:"author"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	From    string    `json:"origin"` // case, list or hand
	Of      string    `json:"of"`     // which
}

// barred is the page of all that is blocked.
type barred struct {
	Query, From string
	Froms       []string
	Entries     []entry `json:"entries"`
	All         int     `json:"total"`
	After       string  `json:"-"` // where the page begins
	Next        string  `json:"next"`
}

func (o *Room) blocks(w http.ResponseWriter, r *http.Request) {
	b := barred{Query: word(r, "q"), From: word(r, "from"), Froms: []string{"case", "list", "hand"}, After: r.FormValue("after")}
	if !slices.Contains(b.Froms, b.From) {
		b.From = ""
	}
	if err := o.Calls.Call(r.Context(), "blocklist.list", map[string]any{"text": b.Query, "kind": "block", "origin": b.From, "live": true, "after": b.After, "limit": PerPage}, &b); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	o.write(w, r, http.StatusOK, "outside-blocks", "outside.nav-blocks", o.say(r, "blocks-title"), b)
}
