package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"postern/internal/control"
	"postern/internal/desk/api"
	"postern/internal/people"
)

// Access is the calls over HTTP.
type Access struct {
	Calls  *control.Server
	People *people.Directory
	Now    func() time.Time
	Log    *slog.Logger
}

// Handler serves the API.
func (a *Access) Handler() http.Handler {
	bound := bounded{calls: a.Calls, now: a.Now}.table()
	return api.New(api.Options{Who: a.who, May: may(bound), Call: a.call(bound), Calls: allowed(bound), Explain: explain, Now: a.Now, Log: a.Log})
}

func (a *Access) who(ctx context.Context, token string) (context.Context, error) {
	p, err := a.People.Authenticate(ctx, token)
	switch {
	case errors.Is(err, people.ErrDenied):
		return ctx, api.ErrDenied
	case err != nil:
		return ctx, err
	}
	return people.With(control.WithActor(ctx, p.Actor()), p), nil
}

// may is deny unless the call has a scope, the principal has that scope, and, where the
// principal is bounded, the call can be bounded.
func may(bound map[string]boundedCall) func(context.Context, string) (string, bool) {
	return func(ctx context.Context, call string) (string, bool) {
		p, ok := people.From(ctx)
		need, known := Needs(call)
		switch {
		case !ok || !known:
			return "", false
		case !p.Can(need):
			return "this token lacks the scope " + string(need), false
		}
		if _, can := bound[call]; p.Role.Bounded() && !can {
			return fmt.Sprintf("a %s does not make this call", p.Role), false
		}
		return "", true
	}
}

func allowed(bound map[string]boundedCall) func(context.Context) []api.Call {
	ask := may(bound)
	return func(ctx context.Context) []api.Call {
		out := []api.Call{}
		for _, name := range Known() {
			if _, ok := ask(ctx, name); ok {
				need, _ := Needs(name)
				out = append(out, api.Call{Name: name, Scope: string(need)})
			}
		}
		return out
	}
}

func (a *Access) call(bound map[string]boundedCall) func(context.Context, string, json.RawMessage) (any, error) {
	return func(ctx context.Context, name string, raw json.RawMessage) (any, error) {
		if p, ok := people.From(ctx); ok && p.Role.Bounded() {
			return bound[name](ctx, p, raw)
		}
		if len(raw) == 0 {
			raw = json.RawMessage("null")
		}
		var out json.RawMessage
		err := a.Calls.Call(ctx, name, raw, &out)
		return out, err
	}
}

// explain keeps the cause of a fault here: who has a token is not who runs the machine.
func explain(err error) (int, string) {
	var e *control.Error
	if errors.As(err, &e) {
		switch e.Kind {
		case control.NotFound:
			return http.StatusNotFound, e.Message
		case control.Invalid:
			return http.StatusBadRequest, e.Message
		case control.Conflict:
			return http.StatusConflict, e.Message
		case control.Full:
			return http.StatusServiceUnavailable, e.Message
		}
	}
	return http.StatusInternalServerError, "this did not work; the log of the gateway says why"
}
