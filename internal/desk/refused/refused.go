// Package refused is the public pages about refusals: the one reason for which mail was refused,
// what can be done about it, and one appeal, which a person at the desk reads.
package refused

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"postern/internal/desk/links"
	"postern/internal/desk/page"
	"postern/internal/desk/public"
	"postern/internal/desk/throttle"
)

//go:embed all:html
var Pages embed.FS // about refusals

// Bounds of what strangers may do.
const (
	MaxText  = 2000 // characters of an appeal
	MaxEmail = 254
	MaxBody  = 32 << 10         // octets of a form
	FormLife = 2 * time.Hour    // of a form that is open
	Burst    = 3                // appeals of a source at once, then one each
	Every    = 20 * time.Minute //
	BurstAll = 60               // appeals of everybody at once, then one each
	EveryAll = 30 * time.Second //
	sources  = 50_000
	act      = "appeal"
)

// Errors of Look and Keep. They are wrapped: use errors.Is.
var (
	ErrUnknown = errors.New("nothing is known of this reference")
	ErrTwice   = errors.New("there is an appeal already")
	ErrFull    = errors.New("no room for appeals")
	ErrEmail   = errors.New("not a mail address")
)

// Refusal is what a stranger may know of one.
type Refusal struct {
	Reference string
	At, Until time.Time
	Cause     string // words has refused.why-CAUSE and refused.do-CAUSE
	Temporary bool
	Reply     string
	Appeal    *Appeal // nil: nobody wrote
}

// Appeal is what a stranger may know of one.
type Appeal struct {
	At      time.Time
	State   string // words has refused.state-STATE
	Answer  string
	Decided time.Time
}

// Ask is what a sender writes.
type Ask struct {
	Reference string
	Network   netip.Prefix
	Language  string
	Email     string
	Text      string
}

// Room is the pages. All fields must be set.
type Room struct {
	Kit   *page.Kit
	Look  func(ctx context.Context, reference string) (Refusal, error)
	Keep  func(ctx context.Context, a Ask) error
	Forms *links.Sealer // of the tokens in forms
	Now   func() time.Time
	Log   *slog.Logger

	source *throttle.Throttle[netip.Prefix]
	all    *throttle.Throttle[string]
}

var _ public.Room = (*Room)(nil)

// Entrance implements public.Room.
func (o *Room) Entrance() (path, key string) { return "/r", "public.refused" }

// Routes implements public.Room.
func (o *Room) Routes(handle func(pattern string, h http.HandlerFunc)) {
	o.source = &throttle.Throttle[netip.Prefix]{Burst: Burst, Every: Every, Sources: sources, Now: o.Now}
	o.all = &throttle.Throttle[string]{Burst: BurstAll, Every: EveryAll, Sources: 2, Now: o.Now}
	handle("GET /r", o.enter)
	handle("GET /r/{reference}", o.show)
	handle("POST /r/{reference}", func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		o.ask(w, r)
	})
}

// shown is what the page shows; without a refusal it asks for a reference.
type shown struct {
	*Refusal
	Typed   string // what was asked for and leads nowhere
	Token   string
	Problem string
	Text    string
	Email   string
	Thanks  bool
}

// aReference is a reference wherever it stands in what people paste.
var aReference = regexp.MustCompile(`(?i)(?:^|[^0-9a-z])([0-7][0-9a-hjkmnp-tv-z]{25})(?:$|[^0-9a-z])`)

// enter asks for a reference, and leads to its page.
func (o *Room) enter(w http.ResponseWriter, r *http.Request) {
	typed := r.URL.Query().Get("ref")
	typed = typed[:min(len(typed), 2000)]
	if m := aReference.FindStringSubmatch(typed); m != nil {
		to := "/r/" + strings.ToLower(m[1])
		if l, ok := o.Kit.Words().Language(r.URL.Query().Get("lang")); ok {
			to += "?lang=" + l.Name
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	v := shown{}
	if strings.TrimSpace(typed) != "" {
		v.Typed = strings.ToValidUTF8(typed, "")
	}
	o.write(w, r, http.StatusOK, v)
}

func (o *Room) write(w http.ResponseWriter, r *http.Request, status int, v shown) {
	title := "refused.find-title"
	if v.Refusal != nil {
		title = "refused.title"
		if v.Temporary {
			title = "refused.title-later"
		}
		if v.Appeal == nil {
			var err error
			if v.Token, err = o.Forms.Seal(links.Link{For: v.Reference, Act: act, Expires: o.Now().Add(FormLife), Once: rand.Text()}); err != nil {
				o.Kit.Fail(w, r, err)
				return
			}
		}
	}
	o.Kit.ShowStatus(w, r, status, "refused", page.View{Title: o.Kit.Language(r).Say(title), Body: v})
}

// look reads the refusal; a page was written already if ok is false.
func (o *Room) look(w http.ResponseWriter, r *http.Request) (*Refusal, bool) {
	f, err := o.Look(r.Context(), r.PathValue("reference"))
	switch {
	case errors.Is(err, ErrUnknown):
		o.write(w, r, http.StatusNotFound, shown{Typed: r.PathValue("reference")})
		return nil, false
	case err != nil:
		o.Kit.Fail(w, r, err)
		return nil, false
	}
	return &f, true
}

func (o *Room) show(w http.ResponseWriter, r *http.Request) {
	if f, ok := o.look(w, r); ok {
		o.write(w, r, http.StatusOK, shown{Refusal: f, Thanks: r.URL.Query().Get("done") != "" && f.Appeal != nil})
	}
}

// ask takes an appeal. Whatever is wrong with it, what was written stays in the form.
func (o *Room) ask(w http.ResponseWriter, r *http.Request) {
	f, ok := o.look(w, r)
	if !ok {
		return
	}
	v := shown{Refusal: f}
	problem := func(status int, key string) {
		v.Problem = o.Kit.Language(r).Say("refused." + key)
		o.write(w, r, status, v)
	}
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			problem(http.StatusRequestEntityTooLarge, "too-long")
			return
		}
		problem(http.StatusBadRequest, "unreadable")
		return
	}
	v.Text, v.Email = strings.ToValidUTF8(r.PostForm.Get("text"), ""), strings.TrimSpace(strings.ToValidUTF8(r.PostForm.Get("email"), ""))
	token, err := o.Forms.Open(r.PostForm.Get("form"))
	switch from := public.Source(r); {
	case err != nil || token.For != f.Reference || token.Act != act:
		problem(http.StatusForbidden, "stale")
	case f.Appeal != nil:
		problem(http.StatusConflict, "twice")
	case strings.TrimSpace(v.Text) == "":
		problem(http.StatusBadRequest, "empty")
	case utf8.RuneCountInString(strings.ReplaceAll(v.Text, "\r\n", "\n")) > MaxText:
		problem(http.StatusRequestEntityTooLarge, "too-long")
	case len(v.Email) > MaxEmail:
		problem(http.StatusBadRequest, "bad-email")
	default:
		if wait := max(o.source.Wait(from), o.all.Wait("")); wait > 0 {
			v.Text, v.Email = "", ""
			public.Often(o.Kit, w, r, wait)
			return
		}
		o.source.Note(from)
		o.all.Note("")
		o.keep(w, r, Ask{Reference: f.Reference, Network: from, Language: o.Kit.Language(r).Name, Email: v.Email, Text: strings.ReplaceAll(v.Text, "\r\n", "\n")}, problem)
	}
}

func (o *Room) keep(w http.ResponseWriter, r *http.Request, a Ask, problem func(status int, key string)) {
	err := o.Keep(r.Context(), a)
	switch {
	case errors.Is(err, ErrTwice):
		problem(http.StatusConflict, "twice")
	case errors.Is(err, ErrEmail):
		problem(http.StatusBadRequest, "bad-email")
	case errors.Is(err, ErrFull):
		w.Header().Set("Retry-After", "3600")
		problem(http.StatusServiceUnavailable, "full")
	case err != nil:
		o.Log.Error("an appeal could not be kept", "err", err)
		w.Header().Set("Retry-After", "60")
		problem(http.StatusServiceUnavailable, "later")
	default:
		http.Redirect(w, r, "/r/"+a.Reference+"?done=yes&lang="+a.Language, http.StatusSeeOther)
	}
}
