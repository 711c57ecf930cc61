package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"postern/internal/control"
	"postern/internal/desk/page"
	"postern/internal/desk/site"
	"postern/internal/people"
)

// Pages makes the calls for whoever is signed in, within the same bounds as over HTTP. It is
// the page.Caller and the site.Directory of the desk.
type Pages struct {
	people *people.Directory
	may    func(context.Context, string) (string, bool)
	call   func(context.Context, string, json.RawMessage) (any, error)
}

// Pages are the calls for pages.
func (a *Access) Pages() *Pages {
	bound := bounded{calls: a.Calls, now: a.Now}.table()
	return &Pages{people: a.People, may: may(bound), call: a.call(bound)}
}

// May implements page.Caller.
func (p *Pages) May(ctx context.Context, name string) bool {
	_, ok := p.may(ctx, name)
	return ok
}

// Call implements page.Caller.
func (p *Pages) Call(ctx context.Context, name string, params, result any) error {
	if lacks, ok := p.may(ctx, name); !ok {
		return &page.Error{Status: http.StatusForbidden, Words: lacks}
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("parameters of %s: %w", name, err)
	}
	out, err := p.call(ctx, name, raw)
	if err != nil {
		if status, words := explain(err); status < http.StatusInternalServerError {
			return &page.Error{Status: status, Words: words}
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	text, ok := out.(json.RawMessage)
	if !ok {
		if text, err = json.Marshal(out); err != nil {
			return fmt.Errorf("answer of %s: %w", name, err)
		}
	}
	if err := json.Unmarshal(text, result); err != nil {
		return fmt.Errorf("answer of %s: %w", name, err)
	}
	return nil
}

func person(u people.User) site.Person {
	return site.Person{User: page.User{Name: u.Name, Role: string(u.Role), Language: u.Language}, Epoch: u.Epoch}
}

// SignIn implements site.Directory.
func (p *Pages) SignIn(ctx context.Context, name, password string) (site.Person, error) {
	_, u, err := p.people.SignIn(ctx, name, password)
	if errors.Is(err, people.ErrDenied) {
		return site.Person{}, site.ErrDenied
	}
	return person(u), err
}

// Resume implements site.Directory.
func (p *Pages) Resume(ctx context.Context, name string, epoch uint64) (context.Context, site.Person, error) {
	principal, u, err := p.people.Resume(ctx, name, epoch)
	switch {
	case errors.Is(err, people.ErrDenied):
		return ctx, site.Person{}, site.ErrDenied
	case err != nil:
		return ctx, site.Person{}, err
	}
	return people.With(control.WithActor(ctx, principal.Actor()), principal), person(u), nil
}
