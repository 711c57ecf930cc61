// Package form is the page on which anybody may complain about mail: it needs no script, no
// cookie and no account, and what is written there goes the way of every other complaint.
package form

import (
	"context"
	"embed"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"postern/internal/desk/page"
	"postern/internal/desk/throttle"
)

// Bounds of what is taken.
const (
	MaxMessage = 5 << 20  // octets of the message complained about
	MaxText    = 20 << 10 // octets of what the person writes
	MaxEmail   = 254
	maxBody    = MaxMessage + MaxText + 64<<10
	Burst      = 5 // complaints of one source at once,
	Every      = 10 * time.Minute
)

// Complaint is what a person handed in.
type Complaint struct {
	Source   netip.Addr
	Email    string // as written; nobody has shown that it is theirs
	Language string // zh, en, ru or el
	Text     string
	Message  []byte // pasted or uploaded; nil where there is none
}

// ErrFull is what Take returns while no more can be kept.
var ErrFull = errors.New("no room for complaints")

//go:embed all:html
var Pages embed.FS // the form

// Room is the form.
type Room struct {
	Kit *page.Kit
	// Keep keeps the complaint durably and returns its reference.
	Keep func(ctx context.Context, c Complaint) (reference string, err error)
	Now  func() time.Time
	Log  *slog.Logger

	source *throttle.Throttle[netip.Prefix]
}

// Entrance implements public.Room.
func (s *Room) Entrance() (path, key string) { return "/complaint", "public.complaint" }

// Routes implements public.Room.
func (s *Room) Routes(handle func(pattern string, h http.HandlerFunc)) {
	s.source = &throttle.Throttle[netip.Prefix]{Burst: Burst, Every: Every, Sources: 50_000, Now: s.Now}
	handle("GET /complaint", func(w http.ResponseWriter, r *http.Request) { s.write(w, r, http.StatusOK, view{}) })
	handle("POST /complaint", s.take)
}

type view struct {
	Problem   string
	Reference string
	Complaint Complaint
	Pasted    string
}

func (s *Room) write(w http.ResponseWriter, r *http.Request, status int, v view) {
	s.Kit.ShowStatus(w, r, status, "complaint", page.View{Title: s.Kit.Language(r).Say("complaint.title"), Body: v})
}

func (s *Room) take(w http.ResponseWriter, r *http.Request) {
	v, l := view{}, s.Kit.Language(r)
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // a listener of ours gives no other
	if wait := s.source.Wait(throttle.Source(from.Addr())); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		v.Problem = l.Say("complaint.too-many")
		s.write(w, r, http.StatusTooManyRequests, v)
		return
	}
	c, err := read(w, r)
	v.Complaint, v.Pasted = c, string(c.Message)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), errors.Is(err, errLarge):
		v.Problem = l.Say("complaint.too-large")
		s.write(w, r, http.StatusRequestEntityTooLarge, v)
		return
	case err != nil:
		v.Problem = l.Say("complaint.unreadable")
		s.write(w, r, http.StatusBadRequest, v)
		return
	case len(c.Message) == 0 && strings.TrimSpace(c.Text) == "":
		v.Problem = l.Say("complaint.empty")
		s.write(w, r, http.StatusBadRequest, v)
		return
	}
	c.Source, c.Language = from.Addr(), l.Base()
	s.source.Note(throttle.Source(from.Addr()))
	reference, err := s.Keep(r.Context(), c)
	if err != nil {
		if !errors.Is(err, ErrFull) {
			s.Log.Error("a complaint of the form could not be kept", "error", err)
		}
		w.Header().Set("Retry-After", "60")
		v.Problem = l.Say("complaint.later")
		s.write(w, r, http.StatusServiceUnavailable, v)
		return
	}
	s.write(w, r, http.StatusOK, view{Reference: reference})
}

var (
	errLarge = errors.New("too large")
	errForm  = errors.New("no form of ours")
)

// read takes the fields one after the other, each within its bound, and keeps nothing on disk.
func read(w http.ResponseWriter, r *http.Request) (c Complaint, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return c, errForm
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	for n := 0; ; n++ {
		p, err := parts.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return c, nil
		case err != nil:
			return c, err
		case n == 16:
			return c, errForm
		}
		limit := map[string]int{"email": MaxEmail, "text": MaxText, "message": MaxMessage, "file": MaxMessage}[p.FormName()]
		b, err := io.ReadAll(io.LimitReader(p, int64(limit)+1))
		switch {
		case err != nil:
			return c, err
		case len(b) > limit:
			return c, errLarge
		}
		switch p.FormName() {
		case "email":
			c.Email = strings.TrimSpace(text(b))
		case "text":
			c.Text = text(b)
		case "message", "file": // the file's bytes are the better ones
			if len(b) > 0 && (p.FormName() == "file" || len(c.Message) == 0) {
				c.Message = b
			}
		}
	}
}

func text(b []byte) string {
	if !utf8.Valid(b) {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(b)
}
