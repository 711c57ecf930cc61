package provider_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/provider"
	"postern/internal/mailtest/openid"
)

const back = "https://desk.example/sign-in/provider/back"

func options(issuer string) provider.Options {
	return provider.Options{
		Issuer: issuer, ClientID: "postern", Secret: "the secret of the client", Redirect: back, Claim: "groups", Roles: map[string]string{"desk": "abuse-agent", "leads": "abuse-lead"},
		Order: []string{"abuse-lead", "abuse-agent"}, Retry: time.Millisecond, Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func found(t *testing.T, o provider.Options) *provider.Provider {
	t.Helper()
	p := provider.New(o)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Run(ctx); err != nil || !p.Ready() {
		t.Fatal("not found:", err)
	}
	return p
}

func TestTrip(t *testing.T) {
	srv := openid.New(t)
	srv.Set(openid.Script{Who: openid.Claims{"sub": "s1", "email": "olga@example.com", "email_verified": true, "preferred_username": "olga", "groups": []string{"x", "desk", "leads"}}})
	p := found(t, options(srv.URL))
	at, kept, err := p.Begin("/held?q=1", false)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at)
	if q := u.Query(); err != nil || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" || q.Get("redirect_uri") != back || q.Get("scope") != "openid email profile" || q.Get("prompt") != "" {
		t.Error(at, err)
	}
	who, trip, err := p.Finish(t.Context(), kept, srv.Yes(at).Query())
	if want := (provider.Identity{Issuer: srv.URL, Subject: "s1", Email: "olga@example.com", Name: "olga", Role: "abuse-lead"}); err != nil || who != want || trip.To != "/held?q=1" || trip.Again {
		t.Error(who, trip, err)
	}
	if p.Name() != "127.0.0.1" {
		t.Error(p.Name())
	}
}

// TestWrong has answers that let nobody in.
func TestWrong(t *testing.T) {
	who := openid.Claims{"sub": "s1", "email": "olga@example.com", "email_verified": true}
	change := func(key string, value any) openid.Script {
		return openid.Script{Who: who, Change: func(c openid.Claims) { c[key] = value }}
	}
	srv := openid.New(t)
	p := found(t, options(srv.URL))
	for name, c := range map[string]struct {
		script openid.Script
		query  func(url.Values)
		kept   func(string) string
		again  bool
		want   error
	}{
		"forged":                 {script: openid.Script{Who: who, Forge: true}},
		"not signed":             {script: openid.Script{Who: who, None: true}},
		"another nonce":          {script: change("nonce", "x")},
		"no nonce":               {script: change("nonce", "")},
		"another audience":       {script: change("aud", "somebody else")},
		"another issuer":         {script: change("iss", "https://evil.example")},
		"over":                   {script: change("exp", time.Now().Add(-time.Hour).Unix())},
		"groups that are none":   {script: change("groups", map[string]int{"desk": 1})},
		"email that is none":     {script: change("email", 7)},
		"not asked again":        {script: change("auth_time", time.Now().Add(-time.Hour).Unix()), again: true},
		"no time of the sign-in": {script: change("auth_time", 0), again: true},
		"another state":          {script: openid.Script{Who: who}, query: func(q url.Values) { q.Set("state", "x") }},
		"no state":               {script: openid.Script{Who: who}, query: func(q url.Values) { q.Del("state") }},
		"another code":           {script: openid.Script{Who: who}, query: func(q url.Values) { q.Set("code", "x") }},
		"they said no":           {script: openid.Script{Who: who}, query: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }},
		"another browser":        {script: openid.Script{Who: who}, kept: func(string) string { return "" }},
		"another trip":           {script: openid.Script{Who: who}, kept: func(string) string { _, k, _ := p.Begin("", false); return k }},
		"a cookie of nonsense":   {script: openid.Script{Who: who}, kept: func(string) string { return "!!" }},
		"an empty trip":          {script: openid.Script{Who: who}, kept: func(string) string { return "e30" }, query: func(q url.Values) { q.Set("state", "") }},
		"no ID token": {script: openid.Script{Who: who, Token: func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"x","token_type":"Bearer"}`)
			return true
		}}},
		"silent at the end": {script: openid.Script{Who: who, Token: func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusBadGateway); return true }}, want: provider.ErrSilent},
		"without an end": {script: openid.Script{Who: who, Token: func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"`+strings.Repeat("x", 2<<20))
			return true
		}}, want: provider.ErrSilent},
	} {
		srv.Set(c.script)
		at, kept, err := p.Begin("/", c.again)
		if err != nil {
			t.Fatal(err)
		}
		q := srv.Yes(at).Query()
		if c.query != nil {
			c.query(q)
		}
		if c.kept != nil {
			kept = c.kept(kept)
		}
		want := c.want
		if want == nil {
			want = provider.ErrRefused
		}
		if who, _, err := p.Finish(t.Context(), kept, q); !errors.Is(err, want) || who != (provider.Identity{}) {
			t.Errorf("%s: %+v %v", name, who, err)
		}
	}
}

// TestClaims has what providers say of addresses and groups.
func TestClaims(t *testing.T) {
	srv := openid.New(t)
	p := found(t, options(srv.URL))
	for name, c := range map[string]struct {
		who         openid.Claims
		email, role string
	}{
		"verified":       {openid.Claims{"email_verified": true}, "o@example.com", ""},
		"as text":        {openid.Claims{"email_verified": "true"}, "o@example.com", ""},
		"not verified":   {openid.Claims{"email_verified": false}, "", ""},
		"nothing said":   {openid.Claims{}, "", ""},
		"a number":       {openid.Claims{"email_verified": 1}, "", ""},
		"one group":      {openid.Claims{"groups": "desk"}, "", "abuse-agent"},
		"several":        {openid.Claims{"groups": []string{"desk", "leads"}}, "", "abuse-lead"},
		"of others":      {openid.Claims{"groups": []string{"postmaster", "abuse-lead"}}, "", ""},
		"none":           {openid.Claims{"groups": []string{}}, "", ""},
		"another case":   {openid.Claims{"groups": "DESK"}, "", ""},
		"role of itself": {openid.Claims{"role": "postmaster"}, "", ""},
	} {
		c.who["sub"], c.who["email"] = "s", "o@example.com"
		srv.Set(openid.Script{Who: c.who})
		at, kept, err := p.Begin("/", true)
		if err != nil {
			t.Fatal(err)
		}
		who, trip, err := p.Finish(t.Context(), kept, srv.Yes(at).Query())
		if err != nil || who.Email != c.email || who.Role != c.role || !trip.Again {
			t.Errorf("%s: %+v %v", name, who, err)
		}
	}
	last := srv.Asked()[len(srv.Asked())-1]
	if last.Get("prompt") != "login" || last.Get("max_age") != "0" {
		t.Error(last)
	}
}

// TestSilent has a provider that is away at first, and one that never comes.
func TestSilent(t *testing.T) {
	srv := openid.New(t)
	srv.Set(openid.Script{Silent: true})
	p := provider.New(options(srv.URL))
	if _, _, err := p.Begin("/", false); !errors.Is(err, provider.ErrSilent) {
		t.Error(err)
	}
	if _, _, err := p.Finish(t.Context(), "", url.Values{}); !errors.Is(err, provider.ErrSilent) {
		t.Error(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(t.Context()) }()
	srv.Set(openid.Script{})
	select {
	case err := <-done:
		if err != nil || !p.Ready() {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("not found though it answers")
	}
	ctx, cancel := context.WithCancel(t.Context())
	dead := provider.New(options(openid.Dead(t)))
	go func() { done <- dead.Run(ctx) }()
	cancel()
	if err := <-done; err != nil || dead.Ready() {
		t.Error(err)
	}
}
