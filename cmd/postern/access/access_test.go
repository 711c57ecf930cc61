package access_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/cmd/postern/access"
	"postern/cmd/postern/access/looks"
	"postern/cmd/postern/access/summary"
	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/gateway"
	"postern/cmd/postern/tracecalls"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/desk/api"
	"postern/internal/desk/once"
	"postern/internal/mailtest/entities"
	"postern/internal/people"
	"postern/internal/record"
	"postern/quarantine"
)

// world is the API over scripted calls, with a token for each role.
type world struct {
	t       *testing.T
	h       http.Handler
	people  *people.Directory
	made    []string // calls that went through, with their parameters and who made them
	written []string // the audit: who, what, on what, with which parameters
	token   map[people.Role]string
}

var holds = map[string]quarantine.Hold{
	"mine":     {ID: "mine", Class: quarantine.ByVerdict, Direction: "inbound", To: []string{"a@example.com"}},
	"shared":   {ID: "shared", Class: quarantine.ByVerdict, Direction: "inbound", To: []string{"a@example.com", "b@example.org"}},
	"theirs":   {ID: "theirs", Class: quarantine.ByVerdict, Direction: "inbound", To: []string{"b@example.org"}},
	"evidence": {ID: "evidence", Class: quarantine.Evidence, Direction: "inbound", To: []string{"a@example.com"}},
	"sick":     {ID: "sick", Class: quarantine.ByVerdict, Direction: "inbound", To: []string{"a@example.com"}, Reasons: []quarantine.Reason{{Symbol: "VIRUS"}}},
	"sent":     {ID: "sent", Class: quarantine.ByVerdict, Direction: "outbound", To: []string{"a@example.com"}},
}

// traffic is a message for both domains, one for the other, and one sent from each.
func traffic() []record.Row {
	to := func(addrs ...string) (out []record.Fate) {
		for i, a := range addrs {
			out = append(out, record.Fate{Address: a, Hold: fmt.Sprintf("h%d", i+1)})
		}
		return out
	}
	return []record.Row{
		{ID: "t-both", Direction: "inbound", To: to("a@example.com", "b@example.org")}, {ID: "t-theirs", Direction: "inbound", From: "a@example.com", To: to("b@example.org")},
		{ID: "t-sent", Direction: "outbound", Account: "a@example.com", To: to("x@far.example")}, {ID: "t-others", Direction: "outbound", Account: "b@example.org", From: "a@example.com", To: to("a@example.com")},
	}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, token: map[people.Role]string{}}
	w.people = people.New(&entities.Memory{}, time.Now, func(context.Context, string, string, string, any, any, string) error { return nil })
	s := control.NewServer()
	for _, name := range access.Known() {
		if strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "token.") {
			continue
		}
		control.Handle(s, name, func(ctx context.Context, p json.RawMessage) (any, error) { return w.scripted(ctx, name, p) })
	}
	access.HandlePeople(s, w.people)
	for _, r := range people.Roles() {
		u := people.User{Name: "the-" + string(r), Role: r}
		switch r {
		case people.DomainAdmin:
			u.Domains = []string{"example.com"}
		case people.Recipient:
			u.Addresses = []string{"a@example.com"}
		}
		if _, err := w.people.Add(t.Context(), "root", u, ""); err != nil {
			t.Fatal(err)
		}
		secret, _, err := w.people.AddToken(t.Context(), "root", u.Name, "t", nil, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		w.token[r] = secret
	}
	var err error
	w.h, err = (&access.Access{Looks: &looks.Book{Audit: w.audit, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, Calls: s, People: w.people, Keys: once.New(&entities.Memory{}, time.Now), Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Handler()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) audit(_ context.Context, actor, action, object string, _, _ any, note string) error {
	w.written = append(w.written, strings.Join([]string{actor, action, object, note}, " "))
	return nil
}

func (w *world) scripted(ctx context.Context, name string, p json.RawMessage) (any, error) {
	w.made = append(w.made, name+" "+string(p)+" "+control.Actor(ctx))
	var id calls.ID
	_ = json.Unmarshal(p, &id)
	switch name {
	case "quarantine.list":
		var page quarantine.Page
		for _, n := range []string{"evidence", "mine", "sent", "shared"} {
			page.Holds = append(page.Holds, holds[n])
		}
		return page, nil
	case "quarantine.show", "quarantine.release", "quarantine.delete":
		h, ok := holds[id.ID]
		if !ok {
			return nil, control.Because(control.NotFound, quarantine.ErrNotFound)
		}
		return h, nil
	case "quarantine.raw":
		return calls.Raw{Hold: holds[id.ID], Body: []byte("x")}, nil
	case "quarantine.view":
		return calls.Seen{Hold: holds[id.ID], Body: []byte("x")}, nil
	case "trace":
		var a tracecalls.Ask
		_ = json.Unmarshal(p, &a)
		var f tracecalls.Found
		f.Rows = traffic()
		return f, nil
	case "trace.show":
		for _, r := range traffic() {
			if r.ID == id.ID {
				return tracecalls.Told{Row: r, Holds: []tracecalls.Held{{ID: "h1", To: []string{"a@example.com"}}, {ID: "h2", To: []string{"b@example.org"}}}}, nil
			}
		}
		return nil, control.Refuse(control.NotFound, "test.it", "nothing is known of this message, or no longer")
	case "account.list":
		return []abuse.Account{{Name: "a@example.com"}, {Name: "b@example.org"}}, nil
	case "account.show", "account.suspend", "account.restore":
		return abuse.Account{Name: "a@example.com"}, nil
	}
	return ownDomain(name, string(p)), nil
}

func (w *world) call(role people.Role, name, params string) (int, string) {
	w.t.Helper()
	r := httptest.NewRequest("POST", "/api/v1/calls/"+name, strings.NewReader(params))
	r.Header.Set("Authorization", "Bearer "+w.token[role])
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

func TestEachCallAndRole(t *testing.T) {
	bound := []string{"account.find", "account.activity", "case.list", "case.show", "suppress.list", "suppress.add", "suppress.lift", "blocklist.list", "blocklist.add", "blocklist.remove", "trace", "trace.show", "complaint.take", "view.list", "view.save", "view.remove", "quarantine.list", "quarantine.show", "quarantine.raw", "quarantine.view", "quarantine.release", "quarantine.delete", "account.list", "account.show", "account.suspend", "account.restore",
		"recipient.list", "recipient.show", "recipient.release", "recipient.allow", "recipient.delete", "recipient.disown", "recipient.settings", "recipient.set"}
	w := newWorld(t)
	for _, name := range access.Known() {
		need, _ := access.Needs(name)
		if !slices.Contains(people.Scopes(), need) {
			t.Errorf("%s needs %q, which is no scope", name, need)
		}
		for _, role := range people.Roles() {
			may := slices.Contains(role.Scopes(), need) && (!role.Bounded() || slices.Contains(bound, name))
			w.made = nil
			code, body := w.call(role, name, `{"nonsense-in-params": true}`)
			if denied := code == http.StatusForbidden; denied == may {
				t.Errorf("%s by %s: %d %s", name, role, code, body)
			}
			if !may && len(w.made) > 0 {
				t.Errorf("%s by %s was refused and made: %v", name, role, w.made)
			}
			if role == people.Auditor && may && !strings.HasSuffix(string(need), ":read") {
				t.Errorf("an auditor changes something by %s", name)
			}
		}
	}
	if code, _ := w.call(people.Postmaster, "no.such", `{}`); code != http.StatusNotFound {
		t.Errorf("an unknown call: %d", code)
	}
}

func TestBoundedToTheirOwn(t *testing.T) {
	for _, c := range []struct {
		role         people.Role
		call, params string
		code         int
		has, lacks   string
	}{
		{people.Recipient, "quarantine.list", ``, 200, `"mine"`, `b@example.org`},
		{people.Recipient, "quarantine.list", `{"text":"prize"}`, 200, `"shared"`, `"id":"evidence"`},
		{people.Recipient, "quarantine.list", `{"text":"to:b@example.org"}`, 404, "", "mine"},
		{people.Recipient, "quarantine.list", `{"text":"to:@example.com"}`, 404, "", "mine"},
		{people.Recipient, "quarantine.list", `{"text":"to:"}`, 400, "", "mine"},
		{people.Recipient, "quarantine.list", `{"txt":""}`, 400, "unknown field", "mine"},
		{people.DomainAdmin, "quarantine.list", `{"text":"to:@example.com"}`, 200, `"mine"`, `"sent"`},
		{people.DomainAdmin, "quarantine.list", `{"text":"to:@example.org"}`, 404, "", "mine"},
		{people.DomainAdmin, "quarantine.show", `{"id":"shared"}`, 200, "a@example.com", "b@example.org"},
		{people.DomainAdmin, "quarantine.show", `{"id":"theirs"}`, 404, "", "example.org"},
		{people.DomainAdmin, "quarantine.show", `{"id":"evidence"}`, 404, "", "a@example.com"},
		{people.DomainAdmin, "quarantine.show", `{"id":"sent"}`, 404, "", "a@example.com"},
		{people.DomainAdmin, "quarantine.raw", `{"id":"theirs"}`, 404, "", "eA=="},
		{people.DomainAdmin, "quarantine.raw", `{"id":"shared"}`, 200, "eA==", "b@example.org"},
		{people.DomainAdmin, "quarantine.raw", `{"id":"sick"}`, 409, "a virus was found", "eA=="},
		{people.DomainAdmin, "quarantine.view", `{"id":"theirs"}`, 404, "", "eA=="},
		{people.DomainAdmin, "quarantine.view", `{"id":"shared"}`, 200, "eA==", "b@example.org"},
		{people.DomainAdmin, "quarantine.view", `{"id":"sick"}`, 409, "a virus was found", "eA=="},
		{people.Agent, "quarantine.view", `{"id":"sick"}`, 200, "eA==", ""},
		{people.DomainAdmin, "quarantine.release", `{"id":"mine"}`, 200, "mine", ""},
		{people.DomainAdmin, "quarantine.release", `{"id":"shared"}`, 409, "also concerns others", ""},
		{people.Recipient, "quarantine.delete", `{"id":"theirs"}`, 404, "", ""},
		{people.DomainAdmin, "trace", `{"text":"x"}`, 200, `"t-both"`, "b@example.org"},
		{people.DomainAdmin, "trace", `{"text":"x"}`, 200, `"t-sent"`, "t-others"},
		{people.DomainAdmin, "trace", `{"within":["example.org"]}`, 404, "", "t-"},
		{people.DomainAdmin, "trace", `{"within":["@example.com"]}`, 200, "t-sent", "t-theirs"},
		{people.DomainAdmin, "trace.show", `{"id":"t-both"}`, 200, `"h1"`, "b@example.org"},
		{people.DomainAdmin, "trace.show", `{"id":"t-sent"}`, 200, "x@far.example", "t-both"},
		{people.DomainAdmin, "trace.show", `{"id":"t-theirs"}`, 404, "nothing is known", "b@example.org"},
		{people.DomainAdmin, "trace.show", `{"id":"t-others"}`, 404, "nothing is known", "b@example.org"},
		{people.DomainAdmin, "trace.show", `{"id":"t-none"}`, 404, "nothing is known", ""},
		{people.Recipient, "trace", `{}`, 403, "", "t-"},
		{people.DomainAdmin, "account.list", `{}`, 200, "a@example.com", "b@example.org"},
		{people.DomainAdmin, "account.suspend", `{"name":"x@example.com","reason":"r"}`, 200, "", ""},
		{people.DomainAdmin, "account.suspend", `{"name":"b@example.org","reason":"r"}`, 404, "", ""},
		{people.DomainAdmin, "account.restore", `{"name":"root"}`, 404, "", ""},
		{people.Agent, "account.suspend", `{"name":"b@example.org","reason":"r"}`, 200, "", ""},
	} {
		w := newWorld(t)
		code, body := w.call(c.role, c.call, c.params)
		if code != c.code || !strings.Contains(body, c.has) || c.lacks != "" && strings.Contains(body, c.lacks) {
			t.Errorf("%s by %s with %s: %d %s", c.call, c.role, c.params, code, body)
		}
		changed := slices.ContainsFunc(w.made, func(s string) bool {
			return strings.HasPrefix(s, c.call) && !strings.HasSuffix(c.call, ".show") && !strings.HasSuffix(c.call, ".list") && c.call != "trace"
		})
		if told := slices.Contains(w.written, "the-"+string(c.role)+" (token t) refused "+c.call+" "+c.params); told != (c.code == 404) {
			t.Errorf("%s by %s with %s: the audit has %q", c.call, c.role, c.params, w.written)
		}
		if c.code != 200 && changed {
			t.Errorf("%s by %s was refused and made: %v", c.call, c.role, w.made)
		}
		if c.code == 200 && !strings.Contains(strings.Join(w.made, "\n"), "the-"+string(c.role)+" (token t)") {
			t.Errorf("%s: the audit would not know who: %v", c.call, w.made)
		}
	}
}

func TestPeopleOverTheAPI(t *testing.T) {
	w := newWorld(t)
	code, body := w.call(people.Postmaster, "user.add", `{"name":"new","role":"abuse-agent","password":"a long enough one"}`)
	if code != 200 || strings.Contains(body, "argon2") {
		t.Errorf("%d %s", code, body)
	}
	code, body = w.call(people.Postmaster, "token.add", `{"user":"new","name":"x","scopes":["cases:read"],"hours":1}`)
	var made access.Made
	if err := json.Unmarshal([]byte(body), &made); code != 200 || err != nil || made.Token.Hash != "" {
		t.Fatalf("%d %s", code, body)
	}
	w.token["new"] = made.Secret
	r := httptest.NewRequest("GET", "/api/v1/calls", nil)
	r.Header.Set("Authorization", "Bearer "+made.Secret)
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	var got struct{ Calls []api.Call }
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || slices.ContainsFunc(got.Calls, func(c api.Call) bool { return c.Scope != "cases:read" }) {
		t.Errorf("a token of one scope sees %s", rec.Body)
	}
	for _, c := range []struct {
		call, params string
		code         int
	}{
		{"user.add", `{"name":"new","role":"auditor"}`, 409}, {"user.add", `{"name":"bad","role":"king"}`, 400}, {"user.show", `{"name":"nobody"}`, 404},
		{"user.change", `{"name":"the-postmaster","disabled":true}`, 409}, {"token.revoke", `{"id":"` + made.Token.ID + `"}`, 200}, {"user.remove", `{"name":"new"}`, 200}, {"user.list", `{}`, 200},
	} {
		if code, body := w.call(people.Postmaster, c.call, c.params); code != c.code {
			t.Errorf("%s %s: %d %s", c.call, c.params, code, body)
		}
	}
	if code, _ := w.call("new", "status", `{}`); code != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", code)
	}
}

func build(t *testing.T) *gateway.Gateway {
	cfg := config.Default()
	cfg.Hostname, cfg.State = "mx.example.com", t.TempDir()+"/state"
	set, err := app.LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.Build(t.Context(), gateway.Options{Config: cfg, Rules: set, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now, Passive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.WithoutCancel(t.Context())) })
	return g
}

// TestEveryCallHasAScope keeps a new call from being forgotten, and an old name from staying.
func TestEveryCallHasAScope(t *testing.T) {
	g := build(t)
	has := g.Calls().Calls()
	for _, name := range has {
		if _, ok := access.Needs(name); !ok {
			t.Errorf("%s has no scope", name)
		}
		if summary.Of(name) == "" {
			t.Errorf("%s has no summary", name)
		}
	}
	for _, name := range access.Known() {
		if !slices.Contains(has, name) {
			t.Errorf("%s has a scope and is no call", name)
		}
	}
}
