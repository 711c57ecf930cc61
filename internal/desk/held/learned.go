package held

import (
	"context"
	"net/http"
	"time"

	"postern/internal/desk/page"
)

// known is what a held message was learned as.
type known struct {
	ID     string    `json:"id"`
	Hold   string    `json:"hold"`
	Class  string    `json:"class"`
	Domain string    `json:"domain"`
	Aside  bool      `json:"aside"`
	Undone bool      `json:"undone"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Via    string    `json:"via"`
}

// Mark is what a list says of it: spam, ham, or nothing.
func (k known) Mark() string {
	if k.Class == "none" {
		return ""
	}
	return k.Class
}

// learn teaches with one held message, forgets it, or takes back what was said last.
func (h *Room) learn(ctx context.Context, b *bulk, class string, x hold) error {
	var out struct {
		Run string `json:"run"`
	}
	p := struct {
		Class string   `json:"class"`
		Run   string   `json:"run,omitempty"`
		IDs   []string `json:"ids"`
	}{class, b.Run, []string{x.ID}}
	err := h.Calls.Call(ctx, "learn.holds", p, &out)
	if err == nil && out.Run != "" {
		b.Run = out.Run // what one act teaches is taken back at once
	}
	return err
}

// known asks what holds were learned as.
func (h *Room) known(ctx context.Context, ids ...string) (map[string][]known, error) {
	if len(ids) == 0 || !h.Calls.May(ctx, "learn.of") {
		return nil, nil //nolint:nilnil // nothing may be known
	}
	var all []known
	if err := h.Calls.Call(ctx, "learn.of", struct {
		IDs []string `json:"ids"`
	}{ids}, &all); err != nil {
		return nil, err
	}
	out := map[string][]known{}
	for _, k := range all {
		out[k.Hold] = append(out[k.Hold], k)
	}
	return out, nil
}

// share is one with the interval in which it lies.
type share struct {
	N    int     `json:"n"`
	Of   int     `json:"of"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Part is the share in percent, Least and Most the ends of its interval.
func (s share) Part() float64  { return 100 * float64(s.N) / float64(max(s.Of, 1)) }
func (s share) Least() float64 { return 100 * s.Low }
func (s share) Most() float64  { return 100 * s.High }

// miss is a message that was kept aside and is judged to be what it is not.
type miss struct {
	ID     string    `json:"id"`
	Class  string    `json:"class"`
	Band   string    `json:"band"`
	P      float64   `json:"p"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Via    string    `json:"via"`
	Ref    string    `json:"ref"`
	Sender string    `json:"sender"`
}

// scope is what was learned for all, or for a domain.
type scope struct {
	Domain string    `json:"domain"`
	Spam   int       `json:"spam"`
	Ham    int       `json:"ham"`
	Says   string    `json:"says"`
	Last   time.Time `json:"last"`
	Aside  int       `json:"aside"`
	Caught share     `json:"caught"`
	Missed share     `json:"missed"`
	Wrong  share     `json:"wrong"`
	Misses []miss    `json:"misses"`
}

// learned is the page of what was learned.
type learned struct {
	Scopes []scope `json:"scopes"`
	Tokens int64   `json:"tokens"`
	Bytes  int64   `json:"bytes"`
	Idle   int     `json:"idle"`
}

func (h *Room) learned(w http.ResponseWriter, r *http.Request) {
	var s learned
	if err := h.Calls.Call(r.Context(), "learn.status", struct{}{}, &s); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.Kit.Show(w, r, "held-learned", page.View{Title: h.Kit.Language(r).Say("held.learned-title"), Here: "held", Wide: true, Body: s})
}
