// Package mine is the pages of recipients: the links of their digests, and the list of their
// held mail after a sign-in by a link that was sent to their own address.
package mine

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"postern/internal/desk/links"
	"postern/internal/desk/page"
	"postern/internal/desk/public"
	"postern/internal/desk/throttle"
)

//go:embed all:html
var Pages embed.FS // of recipients

// What a link does.
const (
	Release = "release" // to me
	Allow   = "allow"   // release, and let the sender through from now on, for me
	Delete  = "delete"
	Disown  = "disown" // it is not mine
	Enter   = "enter"  // signs in
	session = "session"
)

// Acts are what can be done with a held message.
func Acts() []string { return []string{Release, Allow, Delete, Disown} }

// How long things last, and how often strangers may ask.
const (
	LinkLife    = 7 * 24 * time.Hour // of a link in a digest
	EnterLife   = 15 * time.Minute   // of a link that signs in
	SessionLife = time.Hour
	asksSource  = 5 // of a source at once, then one each
	perSource   = 2 * time.Minute
	asksAddress = 3 // for an address at once, then one each
	perAddress  = 20 * time.Minute
	asksAll     = 200 // of everybody at once, then one each
	perAll      = 2 * time.Second
	maxAddress  = 254
)

// Held is a held message as its recipient sees it.
type Held struct {
	ID      string    `json:"id"`
	From    string    `json:"from"`
	Subject string    `json:"subject"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"`
	Reason  string    `json:"reason"` // the sort of it: words has own.reason-SORT
	Size    int64     `json:"size"`
	State   string    `json:"state"`
	Unsafe  bool      `json:"unsafe,omitempty"` // a recipient does not release it
}

// Message is a held message with what it says.
type Message struct {
	Held
	Text  string   `json:"text"`
	Cut   bool     `json:"cut,omitempty"`
	Files []string `json:"files,omitempty"`
}

// Settings are what a recipient wants of digests.
type Settings struct {
	Address  string `json:"address"`
	Language string `json:"language"`
	Zone     string `json:"zone"`
	Hours    []int  `json:"hours"`
	Off      bool   `json:"off"`
}

// Of names a message of somebody.
type Of struct {
	Address string `json:"address"`
	ID      string `json:"id,omitempty"`
	After   string `json:"after,omitempty"`
	Limit   int    `json:"limit,omitempty"`
}

// List is a page of somebody's held mail.
type List struct {
	Holds []Held `json:"holds"`
	Next  string `json:"next,omitempty"`
}

// Room is the pages. All fields must be set.
type Room struct {
	Kit     *page.Kit
	Calls   page.Caller
	Digests *links.Sealer // of the links in digests
	Enters  *links.Sealer // of the links that sign in
	Visits  *links.Sealer // of the cookies of who did
	Used    *links.Used
	// As notes in ctx that the calls are those of the recipient with an address.
	As func(ctx context.Context, address string) context.Context
	// Ask has a link sent to an address that has held mail. It says nothing and takes no time.
	Ask func(address, language string)
	// Refused writes down that somebody reached for what is not theirs.
	Refused func(ctx context.Context, address, what string)
	Secure  bool
	Now     func() time.Time
	Log     *slog.Logger

	source  *throttle.Throttle[netip.Prefix]
	address *throttle.Throttle[string]
	all     *throttle.Throttle[string]
}

// Entrance implements public.Room.
func (o *Room) Entrance() (path, key string) { return "/mail", "public.mail" }

// Routes implements public.Room.
func (o *Room) Routes(handle func(pattern string, h http.HandlerFunc)) {
	o.source = &throttle.Throttle[netip.Prefix]{Burst: asksSource, Every: perSource, Sources: 50_000, Now: o.Now}
	o.address = &throttle.Throttle[string]{Burst: asksAddress, Every: perAddress, Sources: 50_000, Now: o.Now}
	o.all = &throttle.Throttle[string]{Burst: asksAll, Every: perAll, Sources: 2, Now: o.Now}
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /d/{link}": o.link, "POST /d/{link}": o.act,
		"GET /mail/in/{link}": o.door, "POST /mail/in/{link}": o.enter, "POST /mail/ask": o.ask,
		"GET /mail": o.list, "POST /sign-out": o.member(o.leave),
		"GET /mail/settings": o.member(o.settings), "POST /mail/settings": o.member(o.set),
		"GET /mail/{id}": o.member(o.message), "POST /mail/{id}": o.member(o.change),
	} {
		handle(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
			h(w, r)
		})
	}
}

// fail shows an error of a call. What is not there and what is not theirs look alike.
func (o *Room) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *page.Error
	if errors.As(err, &e) {
		switch e.Status {
		case http.StatusNotFound, http.StatusForbidden, http.StatusBadRequest:
			public.Nothing(o.Kit, w, r)
			return
		case http.StatusConflict: // the words of calls are those of the desk
			err = &page.Error{Status: http.StatusConflict, Words: o.Kit.Language(r).Say("own.conflict")}
		}
	}
	o.Kit.Fail(w, r, err)
}

// do makes one call of the recipient.
func (o *Room) do(r *http.Request, address, name string, params, result any) error {
	return o.Calls.Call(o.As(r.Context(), address), name, params, result)
}
