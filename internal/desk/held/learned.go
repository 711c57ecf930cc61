package held

import (
	"context"
	"net/http"

	"postern/internal/desk/held/taught"
	"postern/internal/desk/page"
)

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

// known asks what holds were learned as. Where nobody can tell, held mail is shown without it:
// the page of what was learned says why.
func (h *Room) known(ctx context.Context, ids ...string) map[string][]taught.Known {
	if len(ids) == 0 || !h.Calls.May(ctx, "learn.of") {
		return nil
	}
	var all []taught.Known
	if err := h.Calls.Call(ctx, "learn.of", struct {
		IDs []string `json:"ids"`
	}{ids}, &all); err != nil {
		return nil
	}
	out := map[string][]taught.Known{}
	for _, k := range all {
		out[k.Hold] = append(out[k.Hold], k)
	}
	return out
}

func (h *Room) learned(w http.ResponseWriter, r *http.Request) {
	var s taught.Status
	if err := h.Calls.Call(r.Context(), "learn.status", struct{}{}, &s); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.Kit.Show(w, r, "held-learned", page.View{Title: h.Kit.Language(r).Say("held.learned-title"), Here: "held", Wide: true, Body: s})
}
