// Package provider lets people sign in at an OpenID provider: the authorization code with PKCE,
// state and nonce. Discovery happens in the background, so that a provider that is silent keeps
// nobody from the desk who has a password.
package provider

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Bounds of what a provider says.
const (
	maxBody   = 1 << 20          // octets of an answer
	patience  = 10 * time.Second // for one
	maxTo     = 1000             // octets of where somebody wanted to go
	Life      = 10 * time.Minute // between leaving for the provider and coming back
	Fresh     = 5 * time.Minute  // age of a sign-in there that counts as just now
	retry     = 10 * time.Second
	maxGroups = 1000
)

// Errors of a Provider. They are wrapped: use errors.Is.
var (
	ErrSilent  = errors.New("the provider does not answer")
	ErrRefused = errors.New("the provider's answer is not good")
)

// Options are what a Provider is made of.
type Options struct {
	Name, Issuer, ClientID, Secret string
	Scopes                         []string
	Redirect                       string            // where the provider sends people back
	Claim                          string            // that has the groups
	Roles                          map[string]string // by group
	Order                          []string          // of roles: the first that somebody has counts
	Retry                          time.Duration     // 0 = ten seconds
	Now                            func() time.Time
	Log                            *slog.Logger
}

// Identity is who somebody is.
type Identity struct {
	Issuer, Subject string
	Email           string // "" unless verified
	Name, Role      string
}

// Provider is one.
type Provider struct {
	o      Options
	client *http.Client
	known  atomic.Pointer[discovered]
}

type discovered struct {
	verifier *oidc.IDTokenVerifier
	oauth    oauth2.Config
}

// New returns a provider that Run has to find.
func New(o Options) *Provider {
	return &Provider{o: o, client: &http.Client{Timeout: patience, Transport: bounded{http.DefaultTransport}}}
}

// bounded answers are cut off.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxBody), resp.Body}
	}
	return resp, err
}

// Name is what people call it.
func (p *Provider) Name() string {
	if p.o.Name != "" {
		return p.o.Name
	}
	if u, err := url.Parse(p.o.Issuer); err == nil {
		return u.Hostname()
	}
	return p.o.Issuer
}

// Ready reports whether it was found.
func (p *Provider) Ready() bool { return p.known.Load() != nil }

// Run looks for the provider until it was found or ctx ends.
func (p *Provider) Run(ctx context.Context) error {
	pause := p.o.Retry
	if pause == 0 {
		pause = retry
	}
	said := false
	for ctx.Err() == nil {
		err := p.discover(ctx)
		if err == nil {
			return nil
		}
		if !said && ctx.Err() == nil {
			p.o.Log.Warn("the OpenID provider does not answer; people with a password sign in as ever", "issuer", p.o.Issuer, "err", err)
			said = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

func (p *Provider) discover(ctx context.Context) error {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.o.Issuer)
	if err != nil {
		return err
	}
	scopes := p.o.Scopes
	if len(scopes) == 0 {
		scopes = []string{"email", "profile"}
	}
	p.known.Store(&discovered{
		verifier: found.Verifier(&oidc.Config{ClientID: p.o.ClientID, Now: p.o.Now}),
		oauth:    oauth2.Config{ClientID: p.o.ClientID, ClientSecret: p.o.Secret, Endpoint: found.Endpoint(), RedirectURL: p.o.Redirect, Scopes: append([]string{oidc.ScopeOpenID}, scopes...)},
	})
	return nil
}

// Trip is what the browser keeps while its reader is at the provider.
type Trip struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"`
	To       string    `json:"t,omitempty"`
	Again    bool      `json:"a,omitempty"` // somebody signed in shows that it is them
	Left     time.Time `json:"l"`
}

// Begin is where to send somebody, and what the browser keeps. With again the provider asks for
// the password whoever is signed in there.
func (p *Provider) Begin(to string, again bool) (address, kept string, err error) {
	known := p.known.Load()
	if known == nil {
		return "", "", ErrSilent
	}
	if len(to) > maxTo {
		to = ""
	}
	t := Trip{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), To: to, Again: again, Left: p.o.Now()}
	raw, err := json.Marshal(t)
	if err != nil {
		return "", "", err
	}
	ask := []oauth2.AuthCodeOption{oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)}
	if again {
		ask = append(ask, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return known.oauth.AuthCodeURL(t.State, ask...), base64.RawURLEncoding.EncodeToString(raw), nil
}

// Finish is who came back. The error is ErrRefused for whatever is wrong with that, ErrSilent
// where the provider does not answer.
func (p *Provider) Finish(ctx context.Context, kept string, query url.Values) (Identity, Trip, error) {
	known := p.known.Load()
	if known == nil {
		return Identity{}, Trip{}, ErrSilent
	}
	t, err := p.trip(kept, query)
	if err != nil {
		return Identity{}, t, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), 2*patience)
	defer cancel()
	token, err := known.oauth.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(t.Verifier))
	var answered *oauth2.RetrieveError
	switch {
	case errors.As(err, &answered) && answered.Response.StatusCode < http.StatusInternalServerError:
		return Identity{}, t, fmt.Errorf("the code: %w: %w", ErrRefused, err)
	case err != nil:
		return Identity{}, t, fmt.Errorf("the code: %w: %w", ErrSilent, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Identity{}, t, fmt.Errorf("there is no ID token: %w", ErrRefused)
	}
	id, err := known.verifier.Verify(ctx, raw)
	if err != nil {
		return Identity{}, t, fmt.Errorf("the ID token: %w: %w", ErrRefused, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.Nonce)) != 1 {
		return Identity{}, t, fmt.Errorf("the nonce: %w", ErrRefused)
	}
	who, err := p.identity(id, t)
	return who, t, err
}

func (p *Provider) trip(kept string, query url.Values) (Trip, error) {
	var t Trip
	raw, err := base64.RawURLEncoding.DecodeString(kept)
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	age := p.o.Now().Sub(t.Left)
	switch {
	case err != nil || t.State == "" || t.Nonce == "" || t.Verifier == "":
		return Trip{}, fmt.Errorf("this browser did not leave for the provider: %w", ErrRefused)
	case subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(t.State)) != 1:
		return Trip{}, fmt.Errorf("the state is another: %w", ErrRefused)
	case age > Life || age < -Life:
		return t, fmt.Errorf("it took %v: %w", age, ErrRefused)
	case query.Get("code") == "":
		return t, fmt.Errorf("the provider says %.100q: %w", query.Get("error"), ErrRefused)
	}
	return t, nil
}
