package notices

import (
	"net/http"
	"time"

	"postern/internal/desk/page"
	"postern/internal/said"
)

// entry is one recipient who wants no mail of one account.
type entry struct {
	ID        string     `json:"id"`
	Account   string     `json:"account"`
	Recipient string     `json:"recipient"`
	By        string     `json:"by"`
	Report    string     `json:"report"`
	Reason    string     `json:"reason"`
	Said      said.Words `json:"said"`
	At        time.Time  `json:"at"`
}

// suppressed is the page of them.
type suppressed struct {
	Account, Recipient, After string
	Entries                   []entry
	Next                      string
	May                       bool
	Problem                   string
	Form                      entry
}

func (n *Room) suppressed(w http.ResponseWriter, r *http.Request) {
	n.entries(w, r, http.StatusOK, suppressed{Account: word(r, "account"), Recipient: word(r, "recipient"), After: r.FormValue("after")})
}

func (n *Room) entries(w http.ResponseWriter, r *http.Request, status int, b suppressed) {
	b.May = n.Calls.May(r.Context(), "suppress.add")
	var out struct {
		Entries []entry `json:"entries"`
		Next    string  `json:"next"`
	}
	q := map[string]any{"account": b.Account, "recipient": b.Recipient, "after": b.After, "limit": PerPage}
	if err := n.Calls.Call(r.Context(), "suppress.list", q, &out); err != nil {
		n.Kit.Fail(w, r, err)
		return
	}
	b.Entries, b.Next = out.Entries, out.Next
	n.write(w, r, status, "suppressed", "notices.nav-suppressed", n.say(r, "suppressed"), b)
}

// suppress adds an entry, or lifts one.
func (n *Room) suppress(w http.ResponseWriter, r *http.Request) {
	e := entry{Account: word(r, "account"), Recipient: word(r, "recipient"), Reason: word(r, "reason")}
	b := suppressed{}
	again := func(status int, problem string) {
		b.Problem, b.Form = problem, e
		n.entries(w, r, status, b)
	}
	if e.Reason == "" {
		again(http.StatusBadRequest, n.say(r, "reason-needed"))
		return
	}
	p, call := map[string]string{"account": e.Account, "recipient": e.Recipient, "reason": e.Reason}, "suppress.add"
	switch r.PostFormValue("act") {
	case "add":
	case "lift":
		call, p = "suppress.lift", map[string]string{"id": word(r, "id"), "account": e.Account, "reason": e.Reason}
		e = entry{}
	default:
		n.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	var out any
	n.after(w, r, n.Calls.Call(r.Context(), call, p, &out), "/suppressed", again)
}
