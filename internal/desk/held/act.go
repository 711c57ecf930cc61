package held

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"postern/internal/desk/page"
)

// MaxBulk is how many holds one act may hit.
const MaxBulk = 500

// bulk is what an act is about to hit, or hit.
type bulk struct {
	Act    string
	Note   string
	Holds  []hold
	Skip   []hold // of which there is nothing to do
	Back   string
	Failed []failure
	Done   int
	Over   bool // it was done
}

type failure struct {
	Hold  hold
	Words string
}

func asRefusal(err error, to **page.Error) bool { return errors.As(err, to) }

// act shows what an act hits when it hits several, and does it when that was seen.
func (h *Room) act(w http.ResponseWriter, r *http.Request) {
	b := bulk{Act: r.PostFormValue("act"), Note: r.PostFormValue("note"), Back: page.Local(r.PostFormValue("back"))}
	ids := slices.Compact(slices.Sorted(slices.Values(r.PostForm["id"])))
	l := h.Kit.Language(r)
	switch {
	case b.Act != "release" && b.Act != "delete":
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	case len(ids) == 0 || len(ids) > MaxBulk:
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest, Words: l.Say("held.pick", "n", MaxBulk)})
		return
	}
	if err := h.pick(r.Context(), &b, ids); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	if len(ids) > 1 && r.PostFormValue("seen") != "yes" {
		h.Kit.Show(w, r, "held-act", page.View{Title: l.Say("held.about-"+b.Act, "n", len(b.Holds)), Here: "held", Body: b})
		return
	}
	h.do(r.Context(), &b)
	if len(b.Failed) == 0 {
		h.Kit.Back(w, r, "/held")
		return
	}
	b.Over = true
	h.Kit.ShowStatus(w, r, http.StatusConflict, "held-act", page.View{Title: l.Say("held.failed", "n", len(b.Failed)), Here: "held", Body: b})
}

// pick sorts the holds into those that the act can hit and those it cannot.
func (h *Room) pick(ctx context.Context, b *bulk, ids []string) error {
	for _, id := range ids {
		x, err := h.show(ctx, id)
		if err != nil {
			return err
		}
		if b.Act == "release" && x.Releasable() || b.Act == "delete" && x.Open() {
			b.Holds = append(b.Holds, x)
		} else {
			b.Skip = append(b.Skip, x)
		}
	}
	return nil
}

func (h *Room) do(ctx context.Context, b *bulk) {
	for _, x := range b.Holds {
		var after hold
		err := h.Calls.Call(ctx, "quarantine."+b.Act, params{ID: x.ID, Note: b.Note}, &after)
		var refused *page.Error
		switch {
		case errors.As(err, &refused):
			b.Failed = append(b.Failed, failure{x, refused.Words})
		case err != nil:
			b.Failed = append(b.Failed, failure{x, ""})
		case b.Act == "release" && after.Release != nil && after.Release.Failure != "":
			b.Failed = append(b.Failed, failure{after, after.Release.Failure})
		default:
			b.Done++
		}
	}
}

type params struct {
	ID   string `json:"id"`
	Note string `json:"note,omitempty"`
}

func (h *Room) show(ctx context.Context, id string) (x hold, err error) {
	err = h.Calls.Call(ctx, "quarantine.show", params{ID: id}, &x)
	return x, err
}
