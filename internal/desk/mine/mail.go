package mine

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"postern/internal/desk/links"
	"postern/internal/desk/page"
)

type list struct {
	List
	Address string
	Said    string // key of what was just done
}

// list is the mail of who is signed in; others are asked for their address.
func (o *Room) list(w http.ResponseWriter, r *http.Request) {
	if _, _, err := o.visit(r); err == links.ErrBad { //nolint:errorlint // visit gives it as it is
		o.entrance(w, r, http.StatusOK, entry{})
		return
	}
	o.member(func(w http.ResponseWriter, r *http.Request) {
		b := list{Address: who(r)}
		if done := r.URL.Query().Get("done"); slices.Contains([]string{"released", "releasing", "refused", "deleted", "disowned"}, done) {
			b.Said = "own.done-" + done
		}
		if err := o.do(r, who(r), "recipient.list", Of{Address: who(r), After: r.URL.Query().Get("after")}, &b.List); err != nil {
			o.fail(w, r, err)
			return
		}
		o.Kit.Show(w, r, "own-list", page.View{Title: o.Kit.Language(r).Say("own.title"), Body: b})
	})(w, r)
}

// lost answers what is not there, and writes down who asked for it: it may be somebody else's.
func (o *Room) lost(w http.ResponseWriter, r *http.Request, err error) {
	if isGone(err) {
		o.Refused(r.Context(), who(r), r.PathValue("id"))
	}
	o.fail(w, r, err)
}

func (o *Room) message(w http.ResponseWriter, r *http.Request) {
	var m Message
	if err := o.do(r, who(r), "recipient.show", Of{Address: who(r), ID: r.PathValue("id")}, &m); err != nil {
		o.lost(w, r, err)
		return
	}
	title := m.Subject
	if title == "" {
		title = o.Kit.Language(r).Say("own.no-subject")
	}
	o.Kit.Show(w, r, "own-message", page.View{Title: title, Body: m})
}

func (o *Room) change(w http.ResponseWriter, r *http.Request) {
	act := r.PostFormValue("act")
	if !slices.Contains(Acts(), act) {
		o.fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	var done struct {
		State string `json:"state"`
	}
	if err := o.do(r, who(r), "recipient."+act, Of{Address: who(r), ID: r.PathValue("id")}, &done); err != nil {
		o.lost(w, r, err)
		return
	}
	http.Redirect(w, r, "/mail"+string(page.Query("done", done.State)), http.StatusSeeOther)
}

// choices is the page on which a recipient says when digests come.
type choices struct {
	Settings
	Zones []string
	Saved bool
	Wrong bool
}

// Hour reports whether digests come at an hour.
func (c choices) Hour(h int) bool { return slices.Contains(c.Hours, h) }

// Clock are the hours of a day.
func (c choices) Clock() []int {
	all := make([]int, 24)
	for i := range all {
		all[i] = i
	}
	return all
}

// zones are those that are offered; any other is written.
var zones = [...]string{"Asia/Shanghai", "Asia/Hong_Kong", "Asia/Singapore", "Asia/Tokyo", "Asia/Almaty", "Asia/Dubai", "Europe/Moscow", "Europe/Athens", "Europe/Nicosia", "Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles", "UTC"}

func (o *Room) settings(w http.ResponseWriter, r *http.Request) {
	b := choices{Saved: r.URL.Query().Get("saved") != ""}
	if err := o.do(r, who(r), "recipient.settings", Of{Address: who(r)}, &b.Settings); err != nil {
		o.fail(w, r, err)
		return
	}
	o.choose(w, r, http.StatusOK, b)
}

func (o *Room) choose(w http.ResponseWriter, r *http.Request, status int, b choices) {
	b.Zones = zones[:]
	o.Kit.ShowStatus(w, r, status, "own-settings", page.View{Title: o.Kit.Language(r).Say("own.settings"), Body: b})
}

func (o *Room) set(w http.ResponseWriter, r *http.Request) {
	_ = r.PostFormValue("form") // reads the form
	b := choices{Settings: Settings{Address: who(r), Language: r.PostFormValue("to-language"), Zone: r.PostFormValue("zone"), Off: r.PostFormValue("send") == "off"}}
	for _, text := range r.PostForm["hour"] {
		if h, err := strconv.Atoi(text); err == nil && len(b.Hours) < 24 {
			b.Hours = append(b.Hours, h)
		}
	}
	_, err := time.LoadLocation(b.Zone)
	if err != nil || b.Zone == "" || b.Zone == "Local" || len(b.Hours) == 0 && !b.Off {
		b.Wrong = true
		o.choose(w, r, http.StatusBadRequest, b)
		return
	}
	if err := o.do(r, who(r), "recipient.set", b.Settings, &b.Settings); err != nil {
		o.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/mail/settings?saved=yes", http.StatusSeeOther)
}
