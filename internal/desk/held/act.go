package held

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	terms "postern/internal/desk/held/search"
	"postern/internal/desk/page"
	"postern/internal/desk/work"
)

// Bounds of acts.
const (
	MaxBulk = 500 // holds that one act hits
	MaxCase = 20  // holds that one case begins with
	atOnce  = 20  // holds that are dealt with while the reader waits
	// sureAt is from how many on deleting asks for the password again.
	sureAt = 50
)

// bulk is what an act is about to hit, or hit.
type bulk struct {
	Act     string
	Note    string
	What    string // the scope of a block or an allowance
	Days    string // how long it lasts; "" = for good
	Also    bool   // delete what was blocked
	Holds   []hold
	Skip    []hold // of which there is nothing to do
	Cut     bool   // more match than one act hits
	Back    string
	Targets []target // what a block or an allowance can be of
	Can     can
	Failed  []failure
	Done    int
	Listed  []listed // what stands in the own lists now
	Cases   []opened
	Over    bool   // it was done
	Run     string // names what was learned, to take it back by
}

// Lists reports whether the act writes into the own lists.
func (b bulk) Lists() bool { return b.Act == "block" || b.Act == "allow" || b.Act == "release-allow" }

// Most is how many holds one act hits.
func (b bulk) Most() int { return MaxBulk }

type failure struct {
	Hold  hold
	Words string
}

// acts are what can be done, and whether the reader may.
func (c can) may(act string) bool {
	switch act {
	case "release":
		return c.Release
	case "release-allow":
		return c.Release && c.List
	case "copy":
		return c.Copy
	case "delete":
		return c.Delete
	case "block", "allow":
		return c.List
	case "case":
		return c.Case
	case "learn-spam", "learn-ham", "learn-forget", "learn-undo":
		return c.Learn
	}
	return false
}

// act shows what an act hits when it hits several or needs to know more, and does it when that
// was seen.
func (h *Room) act(w http.ResponseWriter, r *http.Request) {
	l := h.Kit.Language(r)
	b := bulk{
		Act: r.PostFormValue("act"), Note: r.PostFormValue("note"), What: r.PostFormValue("what"), Days: r.PostFormValue("days"), Also: r.PostFormValue("also") != "",
		Back: page.Local(r.PostFormValue("back")), Can: h.can(r.Context()),
	}
	if !slices.Contains([]string{"release", "release-allow", "copy", "delete", "block", "allow", "case", "learn-spam", "learn-ham", "learn-forget", "learn-undo"}, b.Act) {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	if !b.Can.may(b.Act) {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden})
		return
	}
	if err := h.choose(r, &b); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	seen := r.PostFormValue("seen") == "yes"
	if !seen && (len(b.Holds)+len(b.Skip) > 1 || asks(b.Act)) {
		b.Targets = targets(b.Holds)
		h.Kit.Show(w, r, "held-act", page.View{Title: l.Say("held.about-"+b.Act, "n", len(b.Holds)), Here: "held", Body: b})
		return
	}
	if b.Act == "delete" && len(b.Holds) >= sureAt && !h.Kit.Fresh(w, r) {
		return
	}
	if h.Long != nil && len(b.Holds) > atOnce && !asks(b.Act) {
		h.Long.Start(w, r, h.task(r, b))
		return
	}
	if err := h.do(r.Context(), &b); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.over(w, r, b)
}

// asks reports whether an act needs to know more than what it hits.
func asks(act string) bool {
	return act == "block" || act == "allow" || act == "release-allow" || act == "case"
}

// over says what came of an act.
func (h *Room) over(w http.ResponseWriter, r *http.Request, b bulk) {
	if len(b.Failed) == 0 && len(b.Listed) == 0 && len(b.Cases) == 0 {
		to, _ := url.Parse("/held")
		if from, err := url.Parse(b.Back); err == nil && b.Back != "" {
			to = from
		}
		q := to.Query()
		q.Set("said", b.Act)
		q.Set("n", strconv.Itoa(b.Done))
		to.RawQuery = q.Encode()
		http.Redirect(w, r, to.String(), http.StatusSeeOther)
		return
	}
	b.Over = true
	status, key, n := http.StatusOK, "held.over-"+b.Act, b.Done
	if len(b.Failed) > 0 {
		status, key, n = http.StatusConflict, "held.failed", len(b.Failed)
	}
	h.Kit.ShowStatus(w, r, status, "held-act", page.View{Title: h.Kit.Language(r).Say(key, "n", n), Here: "held", Body: b})
}

// choose finds what the form names: holds by their IDs, or all that a search finds.
func (h *Room) choose(r *http.Request, b *bulk) error {
	if r.PostFormValue("all") != "" {
		holds, next, err := h.find(r.Context(), search{Text: r.PostFormValue("q"), Sort: terms.Sorted(r.PostForm), Limit: MaxBulk})
		b.Cut = next != ""
		for _, x := range holds {
			b.sort(x)
		}
		return err
	}
	ids := slices.Compact(slices.Sorted(slices.Values(r.PostForm["id"])))
	if len(ids) == 0 || len(ids) > MaxBulk {
		return &page.Error{Status: http.StatusBadRequest, Words: h.Kit.Language(r).Say("held.pick", "n", MaxBulk)}
	}
	for _, id := range ids {
		x, err := h.show(r.Context(), id)
		if err != nil {
			return err
		}
		b.sort(x)
	}
	return nil
}

// sort puts a hold to those that the act can hit, or to those it cannot.
func (b *bulk) sort(x hold) {
	ok := x.Open()
	switch b.Act {
	case "release", "release-allow", "copy":
		ok = x.Releasable()
	case "block", "allow":
		ok = x.sender != "" || x.Client.IP != ""
	case "case":
		ok = ok && len(b.Holds) < MaxCase
	case "learn-undo":
		ok = true // also of what is held no more
	}
	if ok {
		b.Holds = append(b.Holds, x)
	} else {
		b.Skip = append(b.Skip, x)
	}
}

// task is an act on many as long work.
func (h *Room) task(r *http.Request, b bulk) work.Task {
	l := h.Kit.Language(r)
	back := b.Back
	if back == "" {
		back = "/held"
	}
	return work.Task{Title: l.Say("held.about-"+b.Act, "n", len(b.Holds)), Here: "held", Back: back, Run: func(ctx context.Context, far func(done, of int)) (work.Result, error) {
		for i, x := range b.Holds {
			if ctx.Err() != nil {
				break
			}
			h.one(ctx, &b, x)
			far(i+1, len(b.Holds))
		}
		res := work.Result{Said: l.Say("held.said-"+b.Act, "n", b.Done), Bad: len(b.Failed) > 0}
		for _, f := range b.Failed {
			words := f.Words
			if words == "" {
				words = l.Say("common.error-more")
			}
			res.Lines = append(res.Lines, f.Hold.ID+" "+f.Hold.Subject+": "+words)
		}
		return res, ctx.Err()
	}}
}

// do does the act.
func (h *Room) do(ctx context.Context, b *bulk) error {
	switch b.Act {
	case "block", "allow", "release-allow":
		if err := h.enter(ctx, b); err != nil {
			return err
		}
		if b.Act == "allow" || b.Act == "block" && (!b.Also || !b.Can.Delete) {
			b.Done = len(b.Listed)
			return nil
		}
	case "case":
		h.open(ctx, b)
		return nil
	}
	for _, x := range b.Holds {
		if b.Act == "block" && !x.Open() {
			continue
		}
		h.one(ctx, b, x)
	}
	return nil
}

// one does the act to one hold.
func (h *Room) one(ctx context.Context, b *bulk, x hold) {
	if class, ok := strings.CutPrefix(b.Act, "learn-"); ok {
		h.count(b, x, h.learn(ctx, b, class, x))
		return
	}
	call := map[string]string{"release": "release", "release-allow": "release", "copy": "copy", "delete": "delete", "block": "delete"}[b.Act]
	p := params{ID: x.ID, Note: b.Note}
	if call == "copy" {
		p.Note = ""
	}
	var after hold
	err := h.Calls.Call(ctx, "quarantine."+call, p, &after)
	if err == nil && call == "release" && after.Release != nil && after.Release.Failure != "" {
		b.Failed = append(b.Failed, failure{x, after.Release.Failure})
		return
	}
	h.count(b, x, err)
}

// count notes how one act ended.
func (h *Room) count(b *bulk, x hold, err error) {
	var refused *page.Error
	switch {
	case errors.As(err, &refused):
		b.Failed = append(b.Failed, failure{x, refused.Words})
	case err != nil:
		b.Failed = append(b.Failed, failure{x, ""})
	default:
		b.Done++
	}
}

type params struct {
	ID   string `json:"id"`
	Note string `json:"note,omitempty"`
}

func (h *Room) show(ctx context.Context, id string) (x hold, err error) {
	err = h.Calls.Call(ctx, "quarantine.show", params{ID: id}, &x)
	x.tidy()
	return x, err
}
