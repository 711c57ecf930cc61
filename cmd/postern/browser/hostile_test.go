package browser_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"postern/internal/control"
	"postern/internal/desk/page"
	"postern/internal/entity"
	"postern/internal/people"
)

// TestHK05 has other sites make a signed-in browser change something: a form, JSON sent as
// text, a request without a body that is a form, an upgrade to a socket.
func TestHK05(t *testing.T) {
	d := newDesk(t, people.Postmaster)
	made := 0
	d.calls.Wrap("quarantine.release", func(ctx context.Context, raw json.RawMessage, next func(context.Context) (any, error)) (any, error) {
		made++
		return next(ctx)
	})
	d.calls.Wrap("quarantine.delete", func(ctx context.Context, raw json.RawMessage, next func(context.Context) (any, error)) (any, error) {
		made++
		return next(ctx)
	})
	form := url.Values{"act": {"delete"}, "id": {"x1"}, "seen": {"yes"}}
	right := url.Values{"act": {"delete"}, "id": {"x1"}, "seen": {"yes"}, "form": {d.forms[people.Postmaster]}}
	evil := func(r *http.Request) {
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	for name, c := range map[string]struct {
		form   url.Values
		change func(*http.Request)
	}{
		"a form of theirs":          {form, evil},
		"with the token they stole": {right, evil},
		"an old browser":            {form, func(*http.Request) {}},
		"JSON as text": {url.Values{}, func(r *http.Request) {
			r.Header.Set("Content-Type", "text/plain")
			r.Body = io.NopCloser(strings.NewReader(`{"act":"delete","id":"x1","form":"` + d.forms[people.Postmaster] + `"}`))
		}},
		"JSON as JSON": {url.Values{}, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/json")
			r.Body = io.NopCloser(strings.NewReader(`{"act":"delete","id":"x1"}`))
		}},
		"the token in the address": {form, func(r *http.Request) { r.URL.RawQuery = "form=" + d.forms[people.Postmaster] }},
		"a socket": {form, func(r *http.Request) {
			evil(r)
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
		}},
		"another method": {form, func(r *http.Request) { evil(r); r.Method = http.MethodPut }},
	} {
		if rec := d.ask(people.Postmaster, "POST", "/held/act", c.form, c.change); rec.Code != http.StatusForbidden && rec.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", name, rec.Code)
		}
	}
	for _, query := range []string{"?act=delete&id=x1&seen=yes", "?act=delete&id=x1&form=" + d.forms[people.Postmaster]} {
		if rec := d.ask(people.Postmaster, "GET", "/held/act"+query, nil); rec.Code < 400 {
			t.Errorf("a GET: %d", rec.Code)
		}
	}
	rec := d.ask(people.Postmaster, "GET", "/live", nil, func(r *http.Request) {
		evil(r)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	})
	if rec.Code == http.StatusSwitchingProtocols || rec.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("another site reads the stream:", rec.Code, rec.Header())
	}
	if made != 0 {
		t.Errorf("%d calls were made", made)
	}
}

// TestBodies has bodies larger than a form may be, on every route that takes one.
func TestBodies(t *testing.T) {
	d := newDesk(t, people.Postmaster)
	for _, pattern := range d.Routes() {
		method, path := split(pattern)
		if method != http.MethodPost || pattern == "POST /sign-out" {
			continue
		}
		form := url.Values{"x": {strings.Repeat("y", page.MaxForm)}, "form": {d.forms[people.Postmaster]}}
		if rec := d.ask(people.Postmaster, method, path, form); rec.Code != http.StatusForbidden && rec.Code != http.StatusRequestEntityTooLarge && !table[pattern].open {
			t.Errorf("%s takes a form of %d octets: %d", pattern, page.MaxForm, rec.Code)
		}
	}
}

// TestHK11 has sessions after the password, the role or the user changed, and hashes in the
// store that are none: nobody gets in.
func TestHK11(t *testing.T) {
	role := people.Auditor
	name := "the-" + string(role)
	other, next, yes := people.Agent, "another long password", true
	for what, change := range map[string]people.Change{
		"the password": {Password: &next}, "the role": {Role: &other}, "the addresses": {Addresses: &[]string{"x@example.com"}}, "disabled": {Disabled: &yes},
	} {
		d := newDesk(t, role)
		if rec := d.ask(role, "GET", "/held", nil); rec.Code != 200 {
			t.Fatal(rec.Code)
		}
		if _, err := d.door.People.Change(t.Context(), "root", name, change); err != nil {
			t.Fatal(err)
		}
		if rec := d.ask(role, "GET", "/held", nil); rec.Code != 303 || !strings.Contains(rec.Header().Get("Location"), "why=ended") {
			t.Errorf("%s was changed and the session stands: %d %v", what, rec.Code, rec.Header())
		}
		if rec := d.ask(role, "POST", "/held/act", url.Values{"form": {d.forms[role]}, "act": {"delete"}, "id": {"x"}}); rec.Code != 303 {
			t.Errorf("%s was changed and a form is taken: %d", what, rec.Code)
		}
	}
	d := newDesk(t, role)
	if err := d.door.People.Remove(t.Context(), "root", name); err != nil {
		t.Fatal(err)
	}
	if rec := d.ask(role, "GET", "/held", nil); rec.Code != 303 {
		t.Error("the user is gone and the session stands:", rec.Code)
	}
	malformed(t, newDesk(t, people.Agent), "the-"+string(people.Agent))
}

// malformed puts hashes into the store that are none.
func malformed(t *testing.T, d *desk, name string) {
	t.Helper()
	ctx := control.WithActor(t.Context(), "test")
	store := d.store
	whole, err := store.Get(ctx, "user", name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(whole.Data), `"hash":"`)
	hash, _, _ := strings.Cut(rest, `"`)
	parts := strings.Split(hash, "$")
	if len(parts) != 6 {
		t.Fatal(hash)
	}
	with := func(i int, s string) string {
		p := append([]string(nil), parts...)
		p[i] = s
		return strings.Join(p, "$")
	}
	for _, bad := range []string{
		"", "$", "x", password, "{PLAIN}" + password, "$argon2id$", with(1, "argon2i"), with(2, "v=16"), with(3, "m=0,t=0,p=0"), with(3, "m=4294967295,t=1,p=1"), with(3, "m=47104,t=4294967295,p=1"),
		with(4, ""), with(4, "!"), with(5, ""), with(5, "!"), with(5, "AAAA"), hash + "$", "$" + hash,
	} {
		now, err := store.Get(ctx, "user", name)
		if err != nil {
			t.Fatal(err)
		}
		next := entity.Record{Kind: now.Kind, ID: now.ID, Version: now.Version + 1, Keys: whole.Keys, Data: []byte(strings.Replace(string(whole.Data), hash, bad, 1))}
		if err := store.Put(ctx, next); err != nil {
			t.Fatal(err)
		}
		for _, try := range []string{password, "", bad} {
			rec := httptest.NewRecorder()
			r := httptest.NewRequest("POST", "http://desk.example/sign-in", strings.NewReader(url.Values{"name": {name}, "password": {try}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.RemoteAddr = "[2001:db8:" + hex(len(bad)) + ":" + hex(len(try)) + "::1]:1"
			d.Desk.ServeHTTP(rec, r)
			if rec.Code != http.StatusForbidden && rec.Code != http.StatusTooManyRequests || len(rec.Result().Cookies()) > 0 {
				t.Errorf("the hash %q lets %q in: %d", bad, try, rec.Code)
			}
		}
	}
}

func hex(n int) string {
	return string("0123456789abcdef"[n>>8&15]) + string("0123456789abcdef"[n>>4&15]) + string("0123456789abcdef"[n&15])
}
