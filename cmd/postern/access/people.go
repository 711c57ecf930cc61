package access

import (
	"context"
	"errors"
	"time"

	"postern/internal/control"
	"postern/internal/people"
)

// NewUser asks for a user.
type NewUser struct {
	Name      string      `json:"name"`
	Role      people.Role `json:"role"`
	Email     string      `json:"email,omitempty"`
	Domains   []string    `json:"domains,omitempty"`
	Addresses []string    `json:"addresses,omitempty"`
	Language  string      `json:"language,omitempty"`
	Unix      string      `json:"unix,omitempty"`     // login on this machine
	Password  string      `json:"password,omitempty"` // empty: signs in with tokens alone
}

// UserChange changes a user.
type UserChange struct {
	Name string `json:"name"`
	people.Change
}

// Name names a user.
type Name struct {
	Name string `json:"name"`
}

// NewToken asks for a token.
type NewToken struct {
	User   string         `json:"user"`
	Name   string         `json:"name"`
	Scopes []people.Scope `json:"scopes,omitempty"` // none: all of the user's
	Hours  int            `json:"hours"`
}

// Made is a new token with what to present, which is shown this once.
type Made struct {
	Secret string       `json:"secret"`
	Token  people.Token `json:"token"`
}

// TokenID names a token.
type TokenID struct {
	ID string `json:"id"`
}

// HandlePeople adds the calls about users and tokens, and lets users call over the socket.
func HandlePeople(s *control.Server, d *people.Directory) {
	s.Gate = gate{people: d, bound: bounded{calls: s, now: d.Now}.table()}.enter
	control.Handle(s, "user.list", func(ctx context.Context, _ struct{}) ([]people.User, error) { return d.Users(ctx) })
	control.Handle(s, "user.show", func(ctx context.Context, p Name) (people.User, error) {
		u, err := d.User(ctx, p.Name)
		return u, known(err)
	})
	control.Handle(s, "user.add", func(ctx context.Context, p NewUser) (people.User, error) {
		u, err := d.Add(ctx, control.Actor(ctx), people.User{Name: p.Name, Role: p.Role, Email: p.Email, Domains: p.Domains, Addresses: p.Addresses, Language: p.Language, Unix: p.Unix}, p.Password)
		return u, known(err)
	})
	control.Handle(s, "user.change", func(ctx context.Context, p UserChange) (people.User, error) {
		u, err := d.Change(ctx, control.Actor(ctx), p.Name, p.Change)
		return u, known(err)
	})
	control.Handle(s, "user.remove", func(ctx context.Context, p Name) (string, error) {
		return p.Name, known(d.Remove(ctx, control.Actor(ctx), p.Name))
	})
	control.Handle(s, "token.list", func(ctx context.Context, p Name) ([]people.Token, error) { return d.Tokens(ctx, p.Name) })
	control.Handle(s, "token.add", func(ctx context.Context, p NewToken) (Made, error) {
		secret, t, err := d.AddToken(ctx, control.Actor(ctx), p.User, p.Name, p.Scopes, time.Duration(p.Hours)*time.Hour)
		return Made{secret, t}, known(err)
	})
	control.Handle(s, "token.revoke", func(ctx context.Context, p TokenID) (people.Token, error) {
		t, err := d.Revoke(ctx, control.Actor(ctx), p.ID)
		return t, known(err)
	})
}

func known(err error) error {
	for of, kind := range map[error]control.Kind{
		people.ErrInvalid: control.Invalid, people.ErrNotFound: control.NotFound, people.ErrExists: control.Conflict, people.ErrLast: control.Conflict,
	} {
		if errors.Is(err, of) {
			return control.Because(kind, err)
		}
	}
	return err
}
