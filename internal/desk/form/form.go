// Package form is the page on which anybody may complain about mail: it needs no script, no
// cookie and no account, and what is written there goes the way of every other complaint.
package form

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
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

	"golang.org/x/text/language"

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

// Options are what the page needs.
type Options struct {
	Hostname string
	// Take keeps the complaint durably and returns its reference.
	Take func(ctx context.Context, c Complaint) (reference string, err error)
	Now  func() time.Time
	Log  *slog.Logger
}

type server struct {
	o      Options
	match  language.Matcher
	source *throttle.Throttle[netip.Prefix]
}

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Parse(pageHTML))

// New is the page.
func New(o Options) http.Handler {
	var tags []language.Tag
	for _, w := range languages {
		tags = append(tags, language.MustParse(w.Tag))
	}
	s := &server{o: o, match: language.NewMatcher(tags), source: &throttle.Throttle[netip.Prefix]{Burst: Burst, Every: Every, Sources: 50_000, Now: o.Now}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /complaint", s.show)
	mux.HandleFunc("POST /complaint", s.take)
	return headers(mux)
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// words are those of the language that was asked for, or else the browser's.
func (s *server) words(r *http.Request) words {
	if lang := r.URL.Query().Get("lang"); lang != "" {
		for _, w := range languages {
			if w.Lang == lang {
				return w
			}
		}
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return languages[0]
	}
	_, i, _ := s.match.Match(tags...)
	return languages[i]
}

type view struct {
	words
	All       []words
	Host      string
	Problem   string
	Reference string
	Complaint Complaint
	Pasted    string
}

func (s *server) show(w http.ResponseWriter, r *http.Request) {
	s.write(w, http.StatusOK, view{words: s.words(r)})
}

func (s *server) write(w http.ResponseWriter, status int, v view) {
	v.All, v.Host = languages, s.o.Hostname
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", v.Lang)
	w.WriteHeader(status)
	if err := page.Execute(w, v); err != nil {
		s.o.Log.Debug("the complaint page was not read to its end", "error", err)
	}
}

func (s *server) take(w http.ResponseWriter, r *http.Request) {
	v := view{words: s.words(r)}
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // a listener of ours gives no other
	if wait := s.source.Wait(throttle.Source(from.Addr())); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		v.Problem = v.TooMany
		s.write(w, http.StatusTooManyRequests, v)
		return
	}
	c, err := read(w, r)
	v.Complaint, v.Pasted = c, string(c.Message)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), errors.Is(err, errLarge):
		v.Problem = v.TooLarge
		s.write(w, http.StatusRequestEntityTooLarge, v)
		return
	case err != nil:
		v.Problem = v.Unreadable
		s.write(w, http.StatusBadRequest, v)
		return
	case len(c.Message) == 0 && strings.TrimSpace(c.Text) == "":
		v.Problem = v.Empty
		s.write(w, http.StatusBadRequest, v)
		return
	}
	c.Source, c.Language = from.Addr(), v.Lang
	s.source.Note(throttle.Source(from.Addr()))
	reference, err := s.o.Take(r.Context(), c)
	if err != nil {
		if !errors.Is(err, ErrFull) {
			s.o.Log.Error("a complaint of the form could not be kept", "error", err)
		}
		w.Header().Set("Retry-After", "60")
		v.Problem = v.Later
		s.write(w, http.StatusServiceUnavailable, v)
		return
	}
	s.write(w, http.StatusOK, view{words: v.words, Reference: reference})
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
