// Package api is the calls of the desk over HTTP, for programs: POST /api/v1/calls/NAME with
// JSON in and out. Nobody calls without a token, and a token calls what its scopes allow.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/throttle"
)

// Bounds of a request.
const (
	MaxBody     = 1 << 20 // octets
	MaxBearer   = 512     // octets
	CallTime    = 2 * time.Minute
	Failures    = 10 // refused tokens of a source at once,
	FailuresPer = time.Minute / 10
)

// ErrDenied is what Options.Who returns for a token that is none.
var ErrDenied = errors.New("denied")

// Options are what the API needs. All of them must be set.
type Options struct {
	// Who says whose token this is and notes it in the context for the call.
	Who func(ctx context.Context, token string) (context.Context, error)
	// May says whether the one in ctx may make the call; what it lacks is said in words. Calls
	// that are unknown are nobody's.
	May func(ctx context.Context, call string) (lacks string, ok bool)
	// Call makes it.
	Call func(ctx context.Context, call string, params json.RawMessage) (any, error)
	// Calls lists what the one in ctx may call.
	Calls func(ctx context.Context) []Call
	// Explain turns an error of Call into a status and words that a stranger may read; the
	// status is 500 for everything that is ours.
	Explain func(err error) (status int, words string)
	Now     func() time.Time
	Log     *slog.Logger
}

// Call is one thing that can be called.
type Call struct {
	Name  string `json:"name"`
	Scope string `json:"scope"`
}

// Problem is an error as RFC 9457 writes it.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

type server struct {
	o      Options
	failed *throttle.Throttle[netip.Prefix]
}

// New is the API.
func New(o Options) http.Handler {
	s := &server{o: o, failed: &throttle.Throttle[netip.Prefix]{Burst: Failures, Every: FailuresPer, Sources: 10_000, Now: o.Now}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/calls/{name}", s.call)
	mux.HandleFunc("GET /api/v1/calls", s.list)
	mux.HandleFunc("POST /api/v1/complaints", s.complaint)
	return s.guard(mux)
}

// guard lets in who has a token.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		from := source(r)
		if wait := s.failed.Wait(from); wait > 0 {
			h.Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
			say(w, http.StatusTooManyRequests, "too many tokens of yours were refused")
			return
		}
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || len(token) > MaxBearer {
			token = ""
		}
		ctx, cancel := context.WithTimeout(r.Context(), CallTime)
		defer cancel()
		ctx, err := s.o.Who(ctx, token)
		switch {
		case errors.Is(err, ErrDenied):
			s.failed.Note(from)
			h.Set("WWW-Authenticate", `Bearer realm="postern"`)
			say(w, http.StatusUnauthorized, "a token that is in force is needed")
		case err != nil:
			s.o.Log.Error("a token could not be looked up", "error", err)
			h.Set("Retry-After", "5")
			say(w, http.StatusServiceUnavailable, "the store does not answer")
		default:
			next.ServeHTTP(w, r.WithContext(ctx))
		}
	})
}

func source(r *http.Request) netip.Prefix {
	a, _ := netip.ParseAddrPort(r.RemoteAddr) // a listener of ours gives no other
	return throttle.Source(a.Addr())
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	answer(w, map[string]any{"calls": s.o.Calls(r.Context())})
}

func (s *server) call(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if lacks, ok := s.o.May(r.Context(), name); !ok {
		if lacks == "" {
			say(w, http.StatusNotFound, "there is no such call")
			return
		}
		say(w, http.StatusForbidden, lacks)
		return
	}
	if kind := r.Header.Get("Content-Type"); kind != "" && !strings.HasPrefix(strings.ToLower(kind), "application/json") {
		say(w, http.StatusUnsupportedMediaType, "the parameters are application/json")
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		say(w, http.StatusRequestEntityTooLarge, "the parameters have more than "+strconv.Itoa(MaxBody)+" octets")
		return
	case err != nil:
		return // the caller has gone
	}
	out, err := s.o.Call(r.Context(), name, raw)
	if err != nil {
		s.failure(w, name, err)
		return
	}
	answer(w, out)
}

func answer(w http.ResponseWriter, out any) { write(w, http.StatusOK, out) }

func write(w http.ResponseWriter, status int, out any) {
	text, err := json.Marshal(out)
	if err != nil {
		say(w, http.StatusInternalServerError, "the answer could not be written")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the caller has gone: nobody to tell
}

func say(w http.ResponseWriter, status int, detail string) {
	text, err := json.Marshal(Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
	if err != nil { // a struct of texts
		text = nil
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
