package access

import (
	"context"
	"strings"
	"time"

	"postern/internal/control"
	"postern/internal/people/factor"
)

// Link is a one-time link, which is shown this once.
type Link struct {
	User    string    `json:"user"`
	Path    string    `json:"path"` // on the desk's listener
	URL     string    `json:"url,omitempty"`
	Expires time.Time `json:"expires"`
}

// FactorReset takes a second factor away.
type FactorReset struct {
	Name string `json:"name"`
	Note string `json:"note,omitempty"`
}

// SignedIn is a session of a user.
type SignedIn struct {
	ID    string    `json:"id"`
	Began time.Time `json:"began"`
	Seen  time.Time `json:"seen"`
	From  string    `json:"from"`
	Agent string    `json:"agent"`
	By    string    `json:"by,omitempty"` // "provider": signed in there
}

// SignOut ends sessions of a user.
type SignOut struct {
	Name string `json:"name"`
	ID   string `json:"id,omitempty"` // "" = all
}

// signedIn are the sessions of a user that still let in.
func (a *Access) signedIn(ctx context.Context, name string) ([]SignedIn, error) {
	u, err := a.People.User(ctx, name)
	if err != nil {
		return nil, known(err)
	}
	all, err := a.Sessions.List(ctx, name)
	out := []SignedIn{}
	for _, v := range all {
		if v.Epoch == u.Epoch && !u.Disabled {
			out = append(out, SignedIn{ID: v.ID, Began: v.Began, Seen: v.Seen, From: v.From, Agent: v.Agent, By: v.By})
		}
	}
	return out, err
}

// Handle adds the calls about users and tokens, and about how they sign in.
func (a *Access) Handle(s *control.Server) {
	d := a.People
	HandlePeople(s, d)
	control.Handle(s, "user.invite", func(ctx context.Context, p Name) (Link, error) {
		token, i, err := d.Invite(ctx, control.Actor(ctx), p.Name)
		if err != nil {
			return Link{}, known(err)
		}
		l := Link{User: i.User, Path: "/welcome/" + token, Expires: i.Expires}
		if a.Base != "" {
			l.URL = strings.TrimSuffix(a.Base, "/") + l.Path
		}
		return l, nil
	})
	control.Handle(s, "user.factor", func(ctx context.Context, p Name) (factor.State, error) {
		u, err := d.User(ctx, p.Name)
		if err != nil {
			return factor.State{}, known(err)
		}
		return a.Factors.Of(ctx, u.Name)
	})
	control.Handle(s, "user.factor-reset", func(ctx context.Context, p FactorReset) (factor.State, error) {
		u, err := d.User(ctx, p.Name)
		if err != nil {
			return factor.State{}, known(err)
		}
		if err := a.Factors.Reset(ctx, control.Actor(ctx), u.Name, p.Note); err != nil {
			return factor.State{}, err
		}
		return factor.State{}, a.Sessions.EndAll(ctx, u.Name, "")
	})
	control.Handle(s, "user.sessions", func(ctx context.Context, p Name) ([]SignedIn, error) {
		return a.signedIn(ctx, strings.ToLower(p.Name))
	})
	control.Handle(s, "user.sign-out", func(ctx context.Context, p SignOut) ([]SignedIn, error) {
		name := strings.ToLower(p.Name)
		end := func() error { return a.Sessions.EndAll(ctx, name, "") }
		if p.ID != "" {
			end = func() error { return a.Sessions.EndOne(ctx, name, p.ID) }
		}
		if err := end(); err != nil {
			return nil, err
		}
		left, err := a.signedIn(ctx, name)
		if err != nil {
			return nil, err
		}
		return left, a.People.Note(ctx, control.Actor(ctx), "user-sign-out", name)
	})
}
