package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"postern/internal/control"
	"postern/internal/desk/page"
	"postern/internal/desk/session"
	"postern/internal/people"
	"postern/internal/people/factor"
	"postern/internal/said"
)

// Pages makes the calls for whoever is signed in, within the same bounds as over HTTP. It is
// the page.Caller and the site.Directory of the desk.
type Pages struct {
	people   *people.Directory
	factors  *factor.Book
	sessions *session.Sessions
	need     []string
	issuer   string // what authenticators call us

	may  func(context.Context, string) (said.Words, bool)
	call func(context.Context, string, json.RawMessage) (any, error)
}

// Pages are the calls for pages.
func (a *Access) Pages() *Pages {
	bound := bounded{calls: a.Calls, now: a.Now}.table()
	issuer := "Postern"
	if u, err := url.Parse(a.Base); err == nil && u.Hostname() != "" {
		issuer += " " + u.Hostname()
	}
	return &Pages{people: a.People, factors: a.Factors, sessions: a.Sessions, need: a.Need, issuer: issuer, may: may(bound), call: a.call(bound)}
}

// May implements page.Caller.
func (p *Pages) May(ctx context.Context, name string) bool {
	_, ok := p.may(ctx, name)
	return ok
}

// Call implements page.Caller.
func (p *Pages) Call(ctx context.Context, name string, params, result any) error {
	if lacks, ok := p.may(ctx, name); !ok {
		return &page.Error{Status: http.StatusForbidden, Words: lacks.English, Said: lacks}
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("parameters of %s: %w", name, err)
	}
	out, err := p.call(ctx, name, raw)
	if err != nil {
		if status, words := explain(err); status < http.StatusInternalServerError {
			refused := &page.Error{Status: status, Words: words}
			if e := new(control.Error); errors.As(err, &e) {
				refused.Waits, refused.Said = e.Waits, e.Said()
			}
			return refused
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
