package access

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"postern/internal/control"
	"postern/internal/desk/page"
	"postern/internal/desk/provider"
	"postern/internal/desk/site"
	"postern/internal/people"
	"postern/internal/people/factor"
	"postern/internal/said"
)

var _ site.Directory = (*Pages)(nil)

func (p *Pages) person(ctx context.Context, u people.User) (site.Person, error) {
	s, err := p.factors.Of(ctx, u.Name)
	who := site.Person{User: page.User{Name: u.Name, Role: string(u.Role), Language: u.Language}, Epoch: u.Epoch, Factor: s.On, Secret: u.Password}
	who.Enrol = !s.On && slices.Contains(p.need, string(u.Role))
	return who, err
}

// denied is what strangers hear.
func denied(err error) error {
	if errors.Is(err, people.ErrDenied) || errors.Is(err, factor.ErrDenied) {
		return site.ErrDenied
	}
	return err
}

// SignIn implements site.Directory.
func (p *Pages) SignIn(ctx context.Context, name, password string) (site.Person, error) {
	_, u, err := p.people.SignIn(ctx, name, password)
	if err != nil {
		return site.Person{}, denied(err)
	}
	return p.person(ctx, u)
}

// Resume implements site.Directory.
func (p *Pages) Resume(ctx context.Context, name string, epoch uint64) (context.Context, site.Person, error) {
	principal, u, err := p.people.Resume(ctx, name, epoch)
	if err != nil {
		return ctx, site.Person{}, denied(err)
	}
	who, err := p.person(ctx, u)
	return people.With(control.WithActor(ctx, principal.Actor()), principal), who, err
}

// Code implements site.Directory.
func (p *Pages) Code(ctx context.Context, name, code string) error {
	return denied(p.factors.Use(ctx, name, code))
}

// Provided implements site.Directory.
func (p *Pages) Provided(ctx context.Context, who provider.Identity) (site.Person, error) {
	_, u, err := p.people.Provided(ctx, people.Identity{Issuer: who.Issuer, Subject: who.Subject, Email: who.Email, Name: who.Name, Role: people.Role(who.Role)})
	if err != nil {
		return site.Person{}, denied(err)
	}
	return p.person(ctx, u)
}

// Invited implements site.Directory.
func (p *Pages) Invited(ctx context.Context, token string) (string, error) {
	u, err := p.people.Invited(ctx, token)
	return u.Name, denied(err)
}

// Accept implements site.Directory.
func (p *Pages) Accept(ctx context.Context, token, password string) error {
	_, err := p.people.Accept(ctx, token, password)
	return told(denied(err))
}

// told is an error with what its reader may know.
func told(err error) error {
	switch {
	case errors.Is(err, people.ErrInvalid):
		return &page.Error{Status: http.StatusBadRequest, Words: err.Error(), Said: said.Of(err)}
	case errors.Is(err, factor.ErrNone):
		return &page.Error{Status: http.StatusConflict, Words: err.Error(), Said: said.Of(err)}
	}
	return err
}
