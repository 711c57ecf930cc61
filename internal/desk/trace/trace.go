// Package trace is the desk's pages of what became of messages: the search, and one message
// from its first line to the last reply.
package trace

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
)

//go:embed all:html
var Pages embed.FS

// PerPage is how many messages a list shows.
const PerPage = 50

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /trace", h.list)
	handle("GET /trace/{id}", h.message)
}

// row is what the pages show of a message.
type row struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Node      string    `json:"node"`
	Direction string    `json:"direction"`
	Listener  string    `json:"listener"`
	Client    struct {
		IP   string `json:"ip"`
		Name string `json:"name"`
		Helo string `json:"helo"`
		TLS  string `json:"tls"`
	} `json:"client"`
	Account   string `json:"account"`
	From      string `json:"from"`
	To        []fate `json:"to"`
	Subject   string `json:"subject"`
	MessageID string `json:"message_id"`
	Size      int64  `json:"size"`
	Action    string `json:"action"`
	Score     int64  `json:"score"`
	Unchecked []struct {
		Step   string `json:"step"`
		Reason string `json:"reason"`
	} `json:"unchecked"`
	DNSCut bool   `json:"dns_budget"`
	Reply  string `json:"reply"`
	Delay  struct {
		Receive int64 `json:"receive"`
		Check   int64 `json:"check"`
		Relay   int64 `json:"relay"`
		Total   int64 `json:"total"`
	} `json:"delay"`
}

type fate struct {
	Address    string   `json:"address"`
	Policy     string   `json:"policy"`
	State      string   `json:"state"`
	Backend    string   `json:"backend"`
	Reply      string   `json:"reply"`
	Hold       string   `json:"hold"`
	Action     string   `json:"action"`
	Score      int64    `json:"score"`
	Ambiguous  bool     `json:"ambiguous"`
	Stripped   []string `json:"stripped"`
	Greylisted bool     `json:"greylisted"`
}

// Outcome is what became of some of a message's copies.
type Outcome struct {
	State string
	N     int
}

// Outcomes are those of a message, the worst first.
func (r row) Outcomes() (out []Outcome) {
	for _, state := range []string{"rejected", "held", "aborted", "deferred", "outbox", "delivered"} {
		n := 0
		for _, f := range r.To {
			if f.State == state {
				n++
			}
		}
		if n > 0 {
			out = append(out, Outcome{state, n})
		}
	}
	return out
}

// First is the first recipient, More how many there are beside.
func (r row) First() string {
	if len(r.To) == 0 {
		return ""
	}
	return r.To[0].Address
}

// More is how many recipients there are beside the first.
func (r row) More() int { return max(0, len(r.To)-1) }

// found is a page of the list.
type found struct {
	Query, Direction, State, Period, After, Next string
	Asked                                        bool
	Rows                                         []row
	Read                                         []reading
	Problem                                      string
}

type reading struct {
	Text   string   `json:"text"`
	Fields []string `json:"fields"`
}

// Periods, Directions and States are what the filters offer.
func (found) Periods() []string { return []string{"1h", "24h", "7d", "30d"} }

// Directions are the two of mail.
func (found) Directions() []string { return []string{"in", "out"} }

// States are what may become of a copy.
func (found) States() []string {
	return []string{"delivered", "held", "rejected", "deferred", "outbox", "aborted"}
}

// text is the search with its filters as the call reads it.
func (f found) text() string {
	text := f.Query
	for name, value := range map[string]string{"direction": f.Direction, "state": f.State, "since": f.Period} {
		if value != "" {
			text += " " + name + ":" + value
		}
	}
	return text
}

func known(all []string, value string) string {
	if slices.Contains(all, value) {
		return value
	}
	return ""
}

type ask struct {
	Text  string `json:"text"`
	Limit int    `json:"limit"`
	After string `json:"after,omitempty"`
}

func (h *Room) list(w http.ResponseWriter, r *http.Request) {
	f := found{Query: strings.TrimSpace(r.FormValue("q")), After: r.FormValue("after")}
	f.Direction, f.State, f.Period = known(f.Directions(), r.FormValue("direction")), known(f.States(), r.FormValue("state")), known(f.Periods(), r.FormValue("since"))
	f.Asked = f.text() != ""
	status := http.StatusOK
	var out struct {
		Rows []row     `json:"rows"`
		Next string    `json:"next"`
		Read []reading `json:"read"`
	}
	err := h.Calls.Call(r.Context(), "trace", ask{Text: f.text(), Limit: PerPage, After: f.After}, &out)
	if refused := new(page.Error); errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		status, f.Problem = refused.Status, refused.Words
	} else if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	f.Rows, f.Next = out.Rows, out.Next
	for _, one := range out.Read {
		if len(one.Fields) != 1 || !slices.Contains([]string{"direction", "state", "since"}, one.Fields[0]) {
			f.Read = append(f.Read, one)
		}
	}
	if len(f.Rows) == 1 && f.After == "" && f.Next == "" && len(f.Read) == 1 && slices.Contains([]string{"id", "token"}, f.Read[0].Fields[0]) {
		http.Redirect(w, r, "/trace/"+f.Rows[0].ID, http.StatusSeeOther)
		return
	}
	h.Kit.ShowStatus(w, r, status, "trace", page.View{Title: h.Kit.Language(r).Say("trace.title"), Here: "trace", Wide: true, Body: f})
}

// told is one message.
type told struct {
	Row     row       `json:"row"`
	Reasons []reason  `json:"reasons"`
	Holds   []hold    `json:"holds"`
	Waiting []waiting `json:"waiting"`
	Sent    *struct {
		QueueID string `json:"queue_id"`
		Copies  []struct {
			Recipient string    `json:"recipient"`
			State     string    `json:"state"`
			Reply     string    `json:"reply"`
			QueueID   string    `json:"queue_id"`
			At        time.Time `json:"at"`
			Bounced   string    `json:"bounced"`
		} `json:"copies"`
	} `json:"sent"`
	Cases []struct {
		ID     string    `json:"id"`
		State  string    `json:"state"`
		Opened time.Time `json:"opened"`
	} `json:"cases"`

	MayHold, MayAccount, MayCase bool
}

type reason struct {
	Symbol   string `json:"symbol"`
	Weight   int64  `json:"weight"`
	Describe string `json:"describe"`
}

type hold struct {
	ID      string    `json:"id"`
	To      []string  `json:"to"`
	State   string    `json:"state"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"`
	Ended   time.Time `json:"ended"`
	By      string    `json:"by"`
	Reply   string    `json:"reply"`
	Gone    bool      `json:"gone"`
}

type waiting struct {
	ID       string    `json:"id"`
	To       []string  `json:"to"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"`
	Expires  time.Time `json:"expires"`
	Reply    string    `json:"reply"`
}

// Holds of a fate are led to; an entry of the outbox is no hold.
func (f fate) Held() bool { return f.Hold != "" && f.State != "outbox" }

func (h *Room) message(w http.ResponseWriter, r *http.Request) {
	t, err := h.show(r.Context(), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	if t.Row.ID != r.PathValue("id") { // asked for by the ID of a hold
		http.Redirect(w, r, "/trace/"+t.Row.ID, http.StatusSeeOther)
		return
	}
	slices.SortStableFunc(t.Reasons, func(a, b reason) int { return int(max(b.Weight, -b.Weight) - max(a.Weight, -a.Weight)) })
	l := h.Kit.Language(r)
	title := t.Row.Subject
	if title == "" {
		title = l.Say("trace.no-subject")
	}
	h.Kit.Show(w, r, "trace-message", page.View{Title: title, Here: "trace", Body: t})
}

func (h *Room) show(ctx context.Context, id string) (t told, err error) {
	err = h.Calls.Call(ctx, "trace.show", map[string]string{"id": id}, &t)
	t.MayHold, t.MayAccount, t.MayCase = h.Calls.May(ctx, "quarantine.show"), h.Calls.May(ctx, "account.show"), h.Calls.May(ctx, "case.show")
	return t, err
}
