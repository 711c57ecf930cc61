package scim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"postern/abuse"
	"postern/abuse/connect/scim"
	"postern/abuse/measure"
)

// provider is a scripted SCIM service provider.
type provider struct {
	t                           *testing.T
	users                       map[string]map[string]any // by id
	version                     int
	noPatch, text, ignoreFilter bool
	deaf                        bool // says yes and changes nothing
	race                        bool // the user changes between the read and the write
	status                      int
}

func (p *provider) show(w http.ResponseWriter, id string) {
	u := p.users[id]
	if p.text {
		c := map[string]any{}
		for k, v := range u {
			c[k] = v
		}
		c["active"] = strings.ToUpper(fmt.Sprint(u["active"])[:1]) + fmt.Sprint(u["active"])[1:]
		u = c
	}
	w.Header().Set("ETag", fmt.Sprintf(`W/"%d"`, p.version))
	_ = json.NewEncoder(w).Encode(u)
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer secret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if p.status != 0 {
		w.WriteHeader(p.status)
		_, _ = io.WriteString(w, `{"detail":"not today"}`)
		return
	}
	id := strings.TrimPrefix(r.URL.Path, "/scim/v2/Users/")
	switch {
	case r.URL.Path == "/scim/v2/Users":
		var found []any
		for _, u := range p.users {
			if p.ignoreFilter || r.URL.Query().Get("filter") == fmt.Sprintf("userName eq %q", strings.ToLower(u["userName"].(string))) {
				found = append(found, u)
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"totalResults": len(found), "Resources": found})
	case p.users[id] == nil:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet:
		p.show(w, id)
		if p.race {
			p.version++
		}
	case r.Header.Get("If-Match") != fmt.Sprintf(`W/"%d"`, p.version):
		w.WriteHeader(http.StatusPreconditionFailed)
	case r.Method == http.MethodPatch && p.noPatch:
		w.WriteHeader(http.StatusNotImplemented)
	default:
		p.change(w, r, id)
	}
}

func (p *provider) change(w http.ResponseWriter, r *http.Request, id string) {
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("Content-Type") != "application/scim+json" {
		p.t.Errorf("content type %q", r.Header.Get("Content-Type"))
	}
	p.version++
	if p.deaf {
		p.show(w, id)
		return
	}
	if r.Method == http.MethodPut {
		u := map[string]any{}
		if err := json.Unmarshal(body, &u); err != nil || u["userName"] != p.users[id]["userName"] || u["title"] != p.users[id]["title"] {
			p.t.Errorf("the whole resource: %s", body)
		}
		p.users[id] = u
		p.show(w, id)
		return
	}
	want := `{"Operations":[{"op":"replace","path":"active","value":` + fmt.Sprint(p.users[id]["active"] == false) + `}],"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}`
	if string(body) != want {
		p.t.Errorf("%s, want %s", body, want)
	}
	p.users[id]["active"] = p.users[id]["active"] == false
	w.WriteHeader(http.StatusNoContent)
}

func newProvider(t *testing.T) (*provider, *scim.Connector) {
	p := &provider{t: t, version: 1, users: map[string]map[string]any{
		"17": {"id": "17", "userName": "Anna@x.example", "active": true, "title": "boss"}, "18": {"id": "18", "userName": "bob@x.example", "active": false},
	}}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return p, &scim.Connector{Label: "idp", Base: srv.URL + "/scim/v2/", HTTP: srv.Client(), Token: func() (string, error) { return "secret", nil }}
}

func measureOf(target string) measure.Measure {
	return measure.Measure{ID: "m1", Target: target, Level: abuse.M5}
}

func TestSwitchOffAndOn(t *testing.T) {
	for name, set := range map[string]func(*provider){
		"patch": func(*provider) {}, "no patch": func(p *provider) { p.noPatch = true }, "text for booleans": func(p *provider) { p.text = true }, "no filter": func(p *provider) { p.ignoreFilter = true },
	} {
		p, c := newProvider(t)
		set(p)
		m := measureOf("anna@x.example")
		if in, err := c.Verify(t.Context(), m, ""); in || err != nil {
			t.Errorf("%s, before: %v %v", name, in, err)
		}
		h, err := c.Apply(t.Context(), m)
		if err != nil || p.users["17"]["active"] != false {
			t.Fatalf("%s: %v %v", name, err, p.users["17"])
		}
		again, err := c.Apply(t.Context(), m)
		if err != nil || again == h {
			t.Errorf("%s: a second Apply sees what the first did: %s %v", name, again, err)
		}
		if in, err := c.Verify(t.Context(), m, h); !in || err != nil {
			t.Errorf("%s: %v %v", name, in, err)
		}
		for range 2 {
			if err := c.Undo(t.Context(), m, h); err != nil || p.users["17"]["active"] != true {
				t.Errorf("%s, undo: %v %v", name, err, p.users["17"])
			}
		}
	}
}

func TestWhoWasOffStaysOff(t *testing.T) {
	p, c := newProvider(t)
	m := measureOf("bob@x.example")
	h, err := c.Apply(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Undo(t.Context(), m, h); err != nil || p.users["18"]["active"] != false {
		t.Errorf("%v %v", err, p.users["18"])
	}
}

func TestTrouble(t *testing.T) {
	p, c := newProvider(t)
	m := measureOf("anna@x.example")
	p.deaf = true
	h, err := c.Apply(t.Context(), m)
	if err != nil {
		t.Error(err)
	}
	if in, err := c.Verify(t.Context(), m, h); in || err != nil {
		t.Errorf("says yes and does nothing: %v %v", in, err)
	}
	p.deaf, p.race = false, true
	if _, err := c.Apply(t.Context(), m); !errors.Is(err, scim.ErrConflict) {
		t.Errorf("changed in the meantime: %v", err)
	}
	p.race = false
	if _, err := c.Apply(t.Context(), measureOf(`nobody" or userName pr`)); !errors.Is(err, scim.ErrUnknown) {
		t.Errorf("%v", err)
	}
	p.users["19"] = map[string]any{"id": "19", "userName": "anna@X.example", "active": true}
	if _, err := c.Apply(t.Context(), m); !errors.Is(err, scim.ErrSeveral) {
		t.Errorf("%v", err)
	}
	delete(p.users, "19")
	delete(p.users, "17")
	if in, err := c.Verify(t.Context(), m, h); !in || err != nil {
		t.Errorf("a user who is gone: %v %v", in, err)
	}
	for _, status := range []int{401, 429, 500, 302} {
		p.status = status
		if _, err := c.Apply(t.Context(), m); !errors.Is(err, scim.ErrAnswer) {
			t.Errorf("%d: %v", status, err)
		}
		if in, err := c.Verify(t.Context(), m, h); in || err == nil {
			t.Errorf("%d: %v %v", status, in, err)
		}
	}
	p.status = 0
	c.Token = func() (string, error) { return "wrong", nil }
	if _, err := c.Apply(t.Context(), m); !errors.Is(err, scim.ErrAnswer) {
		t.Errorf("wrong token: %v", err)
	}
	c.HTTP = &http.Client{}
	c.Base = "http://127.0.0.1:1"
	if in, err := c.Verify(t.Context(), m, h); in || err == nil {
		t.Errorf("nobody there: %v %v", in, err)
	}
}
