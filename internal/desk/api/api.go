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
	"reflect"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/once"
	"postern/internal/desk/openapi"
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
	// Describe says what the calls are; Call.Acts of it decides which keep an Idempotency-Key.
	Describe []openapi.Call
	Secret   func(call string) bool // its answer is shown once
	Keys     *once.Keys
	Caller   func(ctx context.Context) string // whose token it is
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
	o        Options
	failed   *throttle.Throttle[netip.Prefix]
	acts     map[string]bool
	document []byte
}

// endpoint is a route beside the calls, as it is served and as it is described.
type endpoint struct {
	openapi.Route
	serve http.HandlerFunc
}

func (s *server) endpoints() []endpoint {
	return []endpoint{
		{openapi.Route{Method: "GET", Path: "/api/v1/openapi.json", Summary: "This document.", Status: http.StatusOK, Media: "application/json"}, s.describe},
		{openapi.Route{Method: "GET", Path: "/api/v1/calls", Summary: "The calls that this token may make.", Status: http.StatusOK, Result: reflect.TypeFor[callList]()}, s.list},
		{openapi.Route{
			Method: "POST", Path: "/api/v1/complaints", Scope: "reports:send", Summary: "Hand in a report as it is: ARF, XARF or a mail.", Acts: true,
			Body: []string{"application/json", "application/xarf+json", "message/rfc822", "multipart/report"}, Status: http.StatusAccepted, Result: s.result(callTake),
		}, s.complaint},
	}
}

// New is the API. The error is of a call that cannot be described.
func New(o Options) (http.Handler, error) {
	s := &server{o: o, acts: map[string]bool{}, failed: &throttle.Throttle[netip.Prefix]{Burst: Failures, Every: FailuresPer, Sources: 10_000, Now: o.Now}}
	for _, c := range o.Describe {
		s.acts[c.Name] = c.Acts
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/calls/{name}", s.call)
	var routes []openapi.Route
	for _, e := range s.endpoints() {
		mux.HandleFunc(e.Method+" "+e.Path, e.serve)
		routes = append(routes, e.Route)
	}
	var err error
	if s.document, err = openapi.Document(o.Describe, routes); err != nil {
		return nil, err
	}
	return s.guard(mux), nil
}

func (s *server) result(call string) reflect.Type {
	for _, c := range s.o.Describe {
		if c.Name == call {
			return c.Result
		}
	}
	return nil
}

func (s *server) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.document) // the caller has gone: nobody to tell
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

type callList struct {
	Calls []Call `json:"calls"`
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	answer(w, callList{s.o.Calls(r.Context())})
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
	if key := r.Header.Get("Idempotency-Key"); key != "" && s.acts[name] {
		s.once(w, r, name, key, raw)
		return
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

func problem(status int, detail string) []byte {
	text, err := json.Marshal(Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
	if err != nil { // a struct of texts
		return nil
	}
	return text
}

func say(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(append(problem(status, detail), '\n'))
}
