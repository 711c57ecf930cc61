package mine

import (
	"net/http"

	"postern/internal/desk/links"
	"postern/internal/desk/page"
	"postern/internal/desk/public"
)

// ask is what a link of a digest leads to.
type asked struct {
	Act, Link string
	Held      Held
	Address   string
	Gone      bool // it is no longer held
	Used      bool
	Done      string // what came of it: released, releasing, refused, deleted, disowned
}

// read opens the link of a digest. A page that says that there is nothing was written if ok is
// false.
func (o *Room) read(w http.ResponseWriter, r *http.Request) (l links.Link, ok bool) {
	l, err := o.Digests.Open(r.PathValue("link"))
	if err != nil {
		o.Kit.ShowStatus(w, r, http.StatusNotFound, "own-link", page.View{Title: o.Kit.Language(r).Say("own.over-title"), Body: asked{}})
		return l, false
	}
	return l, true
}

// link shows what the link would do, and does nothing: scanners of mail follow links too.
func (o *Room) link(w http.ResponseWriter, r *http.Request) {
	l, ok := o.read(w, r)
	if !ok {
		return
	}
	a := asked{Act: l.Act, Link: r.PathValue("link"), Address: l.For}
	var err error
	if a.Used, err = o.Used.Was(r.Context(), links.Mark(a.Link)); err != nil {
		o.fail(w, r, err)
		return
	}
	if !o.about(w, r, l, &a) {
		return
	}
	o.Kit.Show(w, r, "own-link", page.View{Title: o.Kit.Language(r).Say("own.title-" + l.Act), Body: a})
}

// about reads the message of a link; false: a page was written already.
func (o *Room) about(w http.ResponseWriter, r *http.Request, l links.Link, a *asked) bool {
	var m Message
	err := o.do(r, l.For, "recipient.show", Of{Address: l.For, ID: l.Of}, &m)
	if isGone(err) {
		a.Gone = true
		return true
	}
	if err != nil {
		o.fail(w, r, err)
		return false
	}
	a.Held = m.Held
	return true
}

func isGone(err error) bool {
	e, ok := err.(*page.Error) //nolint:errorlint // what calls refuse comes as it is
	return ok && e.Status == http.StatusNotFound
}

// act does it, once.
func (o *Room) act(w http.ResponseWriter, r *http.Request) {
	l, ok := o.read(w, r)
	if !ok {
		return
	}
	a := asked{Act: l.Act, Link: r.PathValue("link"), Address: l.For}
	if !o.about(w, r, l, &a) {
		return
	}
	mark := links.Mark(a.Link)
	fresh, err := o.Used.Claim(r.Context(), mark, l.Expires)
	if err != nil {
		o.fail(w, r, err)
		return
	}
	a.Used = !fresh
	if fresh && !a.Gone {
		var done struct {
			State string `json:"state"`
		}
		if err := o.do(r, l.For, "recipient."+l.Act, Of{Address: l.For, ID: l.Of}, &done); err != nil {
			if free := o.Used.Free(r.Context(), mark); free != nil {
				o.Log.Error("a link of a digest counts as used though nothing was done", "error", free)
			}
			o.fail(w, r, err)
			return
		}
		a.Done = done.State
	}
	o.Kit.Show(w, r, "own-link", page.View{Title: o.Kit.Language(r).Say("own.title-" + l.Act), Body: a})
}

// door shows the way in, and lets nobody in: scanners of mail follow links too.
func (o *Room) door(w http.ResponseWriter, r *http.Request) {
	link := r.PathValue("link")
	l, err := o.Enters.Open(link)
	used := false
	if err == nil {
		used, err = o.Used.Was(r.Context(), links.Mark(link))
		if err != nil {
			o.fail(w, r, err)
			return
		}
	}
	if err != nil || used {
		o.entrance(w, r, http.StatusNotFound, entry{Over: true})
		return
	}
	o.Kit.Show(w, r, "own-enter", page.View{Title: o.Kit.Language(r).Say("own.enter-title"), Body: asked{Link: link, Address: l.For}})
}

var _ public.Room = (*Room)(nil)
