package access

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"postern/cmd/postern/access/looks"
	"postern/cmd/postern/access/summary"
	"postern/internal/control"
	"postern/internal/desk/api"
	"postern/internal/desk/once"
	"postern/internal/desk/openapi"
	"postern/internal/desk/session"
	"postern/internal/people"
	"postern/internal/people/factor"
	"postern/internal/said"
)

// Access is the calls over HTTP.
type Access struct {
	Calls  *control.Server
	People *people.Directory
	Keys   *once.Keys

	Factors  *factor.Book // of the pages
	Sessions *session.Sessions
	Need     []string // roles that need a second factor
	Base     string   // where browsers find the pages

	Looks *looks.Book // somebody who sees a part alone reached for what is not theirs; nil: nobody wants to know

	Now func() time.Time
	Log *slog.Logger
}

// Handler serves the API. The error is of a call that cannot be described.
func (a *Access) Handler() (http.Handler, error) {
	bound := bounded{calls: a.Calls, now: a.Now}.table()
	return api.New(api.Options{
		Who: a.who, May: plainly(may(bound)), Call: a.call(bound), Calls: allowed(bound), Describe: a.describe(), Secret: secret, Keys: a.Keys, Caller: control.Actor,
		Explain: explain, Now: a.Now, Log: a.Log,
	})
}

// secret reports whether a call's answer has what is shown once.
func secret(call string) bool { return call == "token.add" || call == "user.invite" }

// describe lists the calls that there are with what they take and answer.
func (a *Access) describe() []openapi.Call {
	var out []openapi.Call
	for _, name := range Known() {
		shape, ok := a.Calls.Shape(name)
		if !ok {
			continue // of a part that is not switched on
		}
		need, _ := Needs(name)
		out = append(out, openapi.Call{
			Name: name, Scope: string(need), Summary: summary.Of(name), Acts: !need.Reads(), Params: shape.Params, Result: shape.Result,
		})
	}
	return out
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
func may(bound map[string]boundedCall) func(context.Context, string) (said.Words, bool) {
	return func(ctx context.Context, call string) (said.Words, bool) {
		p, ok := people.From(ctx)
		need, known := Needs(call)
		switch {
		case !ok || !known:
			return said.Words{}, false
		case !p.Can(need):
			return said.Say("access.scope", "this token lacks the scope %s", "scope", need), false
		}
		if _, can := bound[call]; p.Role.Bounded() && !can {
			return said.Say("access.role", "a %s does not make this call", "role", p.Role), false
		}
		return said.Words{}, true
	}
}

// plainly is may in English, as the API says it.
func plainly(may func(context.Context, string) (said.Words, bool)) func(context.Context, string) (string, bool) {
	return func(ctx context.Context, call string) (string, bool) {
		lacks, ok := may(ctx, call)
		return lacks.English, ok
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
			out, err := bound[name](ctx, p, raw)
			a.refused(ctx, name, raw, err)
			return out, err
		}
		if len(raw) == 0 {
			raw = json.RawMessage("null")
		}
		var out json.RawMessage
		err := a.Calls.Call(ctx, name, raw, &out)
		return out, err
	}
}

// refused writes down that a bounded reader asked for what is not there or not theirs.
func (a *Access) refused(ctx context.Context, name string, raw json.RawMessage, err error) {
	e := new(control.Error)
	if a.Looks == nil || !errors.As(err, &e) || e.Kind != control.NotFound {
		return
	}
	a.Looks.Note(ctx, looks.Look{Actor: control.Actor(ctx), Kind: name, Object: name, Note: string(raw)})
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
