// Package held is the desk's pages of held mail: the list, one message, and what is done to
// them.
package held

import (
	"embed"
	"net/http"
	"slices"
	"time"

	"postern/internal/desk/held/letter"
	"postern/internal/desk/held/take"
	"postern/internal/desk/page"
	"postern/internal/desk/work"
)

//go:embed all:html
var Pages embed.FS

// PerPage is how many holds a list shows.
const PerPage = 50

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
	Long  Long // nil: acts on many are done while the reader waits
}

// Long begins what takes longer than a reader should wait.
type Long interface {
	Start(w http.ResponseWriter, r *http.Request, t work.Task)
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /held", h.list)
	handle("POST /held/act", h.act)
	handle("POST /held/undo", h.undo)
	handle("POST /held/views", h.views)
	handle("GET /held/learned", h.learned)
	handle("GET /held/{id}", h.message)
	handle("GET /held/{id}/html", h.html)
	handle("GET /held/{id}/link/{n}", h.link)
	(&take.Room{Kit: h.Kit, Calls: h.Calls}).Routes(handle)
}

// hold is what the pages show of a hold.
type hold struct {
	ID        string    `json:"id"`
	MessageID string    `json:"message_id"`
	Node      string    `json:"node"`
	At        time.Time `json:"at"`
	Expires   time.Time `json:"expires"`
	Direction string    `json:"direction"`
	State     string    `json:"state"`
	Class     string    `json:"class"`
	Policy    string    `json:"policy"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	Client    struct {
		IP      string `json:"ip"`
		Port    uint16 `json:"port"`
		Name    string `json:"name"`
		Helo    string `json:"helo"`
		Account string `json:"account"`
	} `json:"client"`
	Subject   string      `json:"subject"`
	Size      int64       `json:"size"`
	SHA256    string      `json:"sha256"`
	Score     int64       `json:"score"`
	Reasons   []reason    `json:"reasons"`
	Unchecked []unchecked `json:"unchecked"`
	RulesRev  string      `json:"rules_rev"`
	AV        string      `json:"av"`
	Reply     string      `json:"reply"`
	Release   *release    `json:"release"`
	Ended     *ended      `json:"ended"`

	sender string // From as it was
}

type reason struct {
	Symbol   string `json:"symbol"`
	Score    int64  `json:"score"`
	Describe string `json:"describe"`
	Detail   string `json:"detail"`
	Step     string `json:"step"`
	Decides  bool   `json:"decides"`
}

type unchecked struct {
	Step    string `json:"step"`
	Reason  string `json:"reason"`
	Decides bool   `json:"decides"`
}

type release struct {
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	Attempts  int       `json:"attempts"`
	Next      time.Time `json:"next"`
	Failure   string    `json:"failure"`
	Ambiguous bool      `json:"ambiguous"`
}

type ended struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Reply string    `json:"reply"`
}

// Open reports whether anything can still be done with it.
func (h hold) Open() bool { return slices.Contains([]string{"held", "releasing", "refused"}, h.State) }

// Releasable reports whether it can be sent on.
func (h hold) Releasable() bool { return h.Open() && h.Class != "evidence" }

// Deciding is the reason that decided: the one that says so; in records of before the first. It is
// none where a measure, the server behind or a step that could not tell decided.
func (h hold) Deciding() *reason {
	if i := h.decided(); i >= 0 {
		return &h.Reasons[i]
	}
	return nil
}

func (h hold) decided() int {
	i := slices.IndexFunc(h.Reasons, func(r reason) bool { return r.Decides })
	if i < 0 && len(h.Reasons) > 0 && !h.Otherwise() && h.Doubt() == nil {
		i = 0
	}
	return i
}

// Otherwise reports whether it is kept for its class, whatever it was judged to be.
func (h hold) Otherwise() bool { return h.Class == "measure" || h.Class == "backend-refused" }

// Doubt is the step that could not tell, where that is why it is held.
func (h hold) Doubt() *unchecked {
	if i := slices.IndexFunc(h.Unchecked, func(u unchecked) bool { return u.Decides }); i >= 0 {
		return &h.Unchecked[i]
	}
	return nil
}

// Rest is how many other reasons there are.
func (h hold) Rest() int {
	if h.Otherwise() || h.decided() < 0 {
		return len(h.Reasons)
	}
	return len(h.Reasons) - 1
}

// Infected reports whether a virus was found in it.
func (h hold) Infected() bool {
	return slices.ContainsFunc(h.Reasons, func(r reason) bool { return take.Virus(r.Symbol) })
}

// tidy makes what strangers wrote fit to be shown; the sender is kept as it was for what is done
// with it.
func (h *hold) tidy() {
	h.sender = h.From
	for _, s := range []*string{&h.From, &h.Subject, &h.Client.Name, &h.Client.Helo, &h.Client.Account, &h.Reply} {
		*s = letter.Printable(letter.Clip(*s, maxShown))
	}
	for i := range h.To {
		h.To[i] = letter.Printable(letter.Clip(h.To[i], maxShown))
	}
	h.Reasons = h.Reasons[:min(len(h.Reasons), maxReasons)]
	for i := range h.Reasons {
		r := &h.Reasons[i]
		r.Describe, r.Detail = letter.Printable(r.Describe), letter.Printable(letter.Clip(r.Detail, maxShown))
	}
	for i := range h.Unchecked {
		h.Unchecked[i].Reason = letter.Printable(letter.Clip(h.Unchecked[i].Reason, maxShown))
	}
}

// Bounds of what a page shows of a record.
const (
	maxShown   = 1000 // octets of one text
	maxReasons = 200
)
