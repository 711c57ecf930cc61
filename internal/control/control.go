// Package control is the API on the server's Unix socket: named calls with JSON in and out.
// The command line uses it against a running server, or against the same calls in its own
// process when none runs.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"

	"postern/internal/said"
)

// MaxBytes bounds the JSON of one request or answer; a held body travels base64 inside it.
const MaxBytes = 128 << 20

// Caller makes calls: a Client over the socket, or a Server in the same process.
type Caller interface {
	// Call sends params to the named call and decodes its answer into result, which may be
	// nil. The error is an *Error for what the call itself refused.
	Call(ctx context.Context, name string, params, result any) error
}

// Kind says what a refusal means to the one who called.
type Kind string

// The kinds of refusals.
const (
	NotFound Kind = "not found"
	Invalid  Kind = "invalid"  // the caller's words are wrong
	Conflict Kind = "conflict" // the state forbids it
	Full     Kind = "full"     // there is no room for now
	Fault    Kind = "fault"    // ours
)

// Error is a refusal that crosses the socket. The cause stays here; of one that is a sentence
// with a code (package said), code and values cross beside the English of Message.
type Error struct {
	Kind    Kind        `json:"kind"`
	Message string      `json:"message"`
	Code    string      `json:"code,omitempty"`
	Values  said.Values `json:"values,omitempty"`
	Waits   string      `json:"waits,omitempty"` // the ID of the request that was made of it, for a second person
	Cause   error       `json:"-"`
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.Cause }

// Said implements said.Sayer.
func (e *Error) Said() said.Words {
	return said.Words{Code: e.Code, Values: e.Values, English: e.Message}
}

// Refuse makes an Error of a sentence; pairs are those of said.Say.
func Refuse(kind Kind, code, format string, pairs ...any) *Error {
	return Saying(kind, said.Say(code, format, pairs...))
}

// Saying makes an Error of words.
func Saying(kind Kind, w said.Words) *Error {
	return &Error{Kind: kind, Message: w.English, Code: w.Code, Values: w.Values}
}

// Because makes an Error that says what its cause says.
func Because(kind Kind, cause error) *Error {
	w := said.Of(cause)
	return &Error{Kind: kind, Message: w.English, Code: w.Code, Values: w.Values, Cause: cause}
}

// unread is the refusal of parameters that are none of the call's.
func unread(name string, err error) *Error {
	return Refuse(Invalid, "control.unread", "%s: %v", "call", name, "why", err)
}

type handler func(ctx context.Context, params json.RawMessage) (any, error)

// Server is a set of named calls.
type Server struct {
	// Gate stands before the calls of the socket; it is set before the first one.
	Gate Gate

	calls  map[string]handler
	shapes map[string]Shape
}

// Shape is what a call takes and answers.
type Shape struct{ Params, Result reflect.Type }

// NewServer returns a server without calls.
func NewServer() *Server { return &Server{calls: map[string]handler{}, shapes: map[string]Shape{}} }

// Handle adds a call. Unknown fields in its parameters are refused.
func Handle[P, R any](s *Server, name string, f func(ctx context.Context, p P) (R, error)) {
	s.shapes[name] = Shape{Params: reflect.TypeFor[P](), Result: reflect.TypeFor[R]()}
	s.calls[name] = func(ctx context.Context, raw json.RawMessage) (any, error) {
		var p P
		if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
			dec := json.NewDecoder(bytes.NewReader(raw))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&p); err != nil {
				return nil, unread(name, err)
			}
		}
		return f(ctx, p)
	}
}

// Calls lists the names of all calls.
func (s *Server) Calls() []string {
	var names []string
	for n := range s.calls {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Shape is the shape of a call; false: there is no such call.
func (s *Server) Shape(name string) (Shape, bool) {
	t, ok := s.shapes[name]
	return t, ok
}

// Call runs a call in this process.
func (s *Server) Call(ctx context.Context, name string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return unread(name, err)
	}
	out, err := s.dispatch(ctx, name, raw)
	if err != nil {
		return err
	}
	return fill(name, out, result)
}

// Wrap puts f before a call that there is: next makes it.
func (s *Server) Wrap(name string, f func(ctx context.Context, raw json.RawMessage, next func(context.Context) (any, error)) (any, error)) {
	h, ok := s.calls[name]
	if !ok {
		return
	}
	s.calls[name] = func(ctx context.Context, raw json.RawMessage) (any, error) {
		return f(ctx, raw, func(ctx context.Context) (any, error) { return h(ctx, raw) })
	}
}

// dispatch runs the handler; what is no *Error becomes a fault that keeps its text, since
// whoever may use the socket is an operator of this machine.
func (s *Server) dispatch(ctx context.Context, name string, raw json.RawMessage) (any, error) {
	h, ok := s.calls[name]
	if !ok {
		return nil, Refuse(NotFound, "control.no-call", "there is no call %q", "call", name)
	}
	out, err := h(ctx, raw)
	if err == nil {
		return out, nil
	}
	var e *Error
	if errors.As(err, &e) {
		return nil, e
	}
	return nil, &Error{Kind: Fault, Message: err.Error(), Cause: err}
}

type actorKey struct{}

// WithActor notes who makes the calls under ctx, for the audit trail.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Actor is who makes the call: "uid 0 (root)" over the socket, or what WithActor said.
func Actor(ctx context.Context) string {
	if a, ok := ctx.Value(actorKey{}).(string); ok {
		return a
	}
	return "unknown"
}
