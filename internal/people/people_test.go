package people_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/mailtest/entities"
	"postern/internal/people"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type world struct {
	*people.Directory
	store   *entities.Memory
	now     time.Time
	audited []string
}

func newWorld() *world {
	w := &world{store: &entities.Memory{}, now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.Directory = people.New(w.store, func() time.Time { return w.now }, func(_ context.Context, actor, action, object string, _, _ any, _ string) error {
		w.audited = append(w.audited, actor+" "+action+" "+object)
		return nil
	})
	return w
}

const password = "a long enough one"

func (w *world) add(t *testing.T, u people.User) people.User {
	t.Helper()
	out, err := w.Add(t.Context(), "root", u, "")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUsers(t *testing.T) {
	w := newWorld()
	u, err := w.Add(t.Context(), "root", people.User{Name: " Anna ", Role: people.Postmaster, Email: "Anna@example.com", Epoch: 9, Disabled: true, Hash: "x"}, password)
	if err != nil || u.Name != "anna" || u.Hash != "" || u.Epoch != 1 || u.Disabled || u.By != "root" || !u.Created.Equal(w.now) {
		t.Errorf("%+v %v", u, err)
	}
	if _, err := w.Add(t.Context(), "root", people.User{Name: "anna", Role: people.Agent}, ""); !errors.Is(err, people.ErrExists) {
		t.Errorf("twice: %v", err)
	}
	p, _, err := w.SignIn(t.Context(), "ANNA", password)
	if err != nil || p.Name != "anna" || !p.Can(people.PeopleAct) || p.Actor() != "anna" {
		t.Errorf("%+v %v", p, err)
	}
	w.add(t, people.User{Name: "bob", Role: people.Agent})
	for name, try := range map[string][2]string{"wrong": {"anna", password + "!"}, "unknown": {"carl", password}, "no password": {"bob", ""}, "no password set": {"bob", password}, "hostile name": {"../x\x00", password}, "long": {"anna", strings.Repeat("x", 1<<20)}} {
		if _, _, err := w.SignIn(t.Context(), try[0], try[1]); !errors.Is(err, people.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, err := w.Users(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "anna" || all[1].Name != "bob" || all[0].Hash != "" {
		t.Errorf("%+v %v", all, err)
	}
	if want := []string{"root user-add anna", "root user-add bob"}; !slices.Equal(w.audited, want) {
		t.Errorf("audit %v", w.audited)
	}
}

func TestUsersThatCannotBe(t *testing.T) {
	w := newWorld()
	for name, u := range map[string]people.User{
		"no name": {Role: people.Agent}, "name": {Name: "a b", Role: people.Agent}, "long": {Name: strings.Repeat("a", 65), Role: people.Agent}, "role": {Name: "a", Role: "king"},
		"no domain": {Name: "a", Role: people.DomainAdmin}, "domain of an agent": {Name: "a", Role: people.Agent, Domains: []string{"example.com"}},
		"no address": {Name: "a", Role: people.Recipient}, "bad domain": {Name: "a", Role: people.DomainAdmin, Domains: []string{"exa mple"}},
		"bad address": {Name: "a", Role: people.Recipient, Addresses: []string{"nobody"}}, "bad mail": {Name: "a", Role: people.Agent, Email: "x\r\ny@example.com"},
	} {
		if _, err := w.Add(t.Context(), "root", u, ""); !errors.Is(err, people.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Add(t.Context(), "root", people.User{Name: "a", Role: people.Agent}, "short"); !errors.Is(err, people.ErrInvalid) {
		t.Errorf("password: %v", err)
	}
	if len(w.audited) > 0 {
		t.Errorf("audit %v", w.audited)
	}
}

func ptr[T any](v T) *T { return &v }

func TestChangesOfRights(t *testing.T) {
	w := newWorld()
	w.add(t, people.User{Name: "root", Role: people.Postmaster})
	for name, c := range map[string]people.Change{"role": {Role: ptr(people.Agent)}, "disabled": {Disabled: ptr(true)}} {
		if _, err := w.Change(t.Context(), "root", "root", c); !errors.Is(err, people.ErrLast) {
			t.Errorf("%s of the last postmaster: %v", name, err)
		}
	}
	if err := w.Remove(t.Context(), "root", "root"); !errors.Is(err, people.ErrLast) {
		t.Errorf("removing the last postmaster: %v", err)
	}
	w.add(t, people.User{Name: "second", Role: people.Postmaster})
	u, err := w.Change(t.Context(), "second", "ROOT", people.Change{Role: ptr(people.Auditor)})
	if err != nil || u.Role != people.Auditor || u.Epoch != 2 {
		t.Errorf("%+v %v", u, err)
	}
	if u, err = w.Change(t.Context(), "second", "root", people.Change{Language: ptr("el")}); err != nil || u.Epoch != 2 || u.Language != "el" {
		t.Errorf("the language ends sessions: %+v %v", u, err)
	}
	if u, err = w.Change(t.Context(), "second", "root", people.Change{Password: ptr(password)}); err != nil || u.Epoch != 3 {
		t.Errorf("%+v %v", u, err)
	}
	if _, err := w.Change(t.Context(), "second", "nobody", people.Change{}); !errors.Is(err, people.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, _, err := w.SignIn(t.Context(), "root", password); err != nil {
		t.Error(err)
	}
	if _, err := w.Change(t.Context(), "second", "root", people.Change{Disabled: ptr(true)}); err != nil {
		t.Error(err)
	}
	if _, _, err := w.SignIn(t.Context(), "root", password); !errors.Is(err, people.ErrDenied) {
		t.Errorf("disabled: %v", err)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld()
	w.add(t, people.User{Name: "anna", Role: people.Agent})
	secret, tok, err := w.AddToken(t.Context(), "root", "Anna", "panel", []people.Scope{people.HoldsRead, people.CasesRead}, time.Hour)
	if err != nil || tok.Hash != "" || !strings.HasPrefix(secret, "postern_"+tok.ID+"_") {
		t.Fatalf("%s %+v %v", secret, tok, err)
	}
	p, err := w.Authenticate(t.Context(), secret)
	if err != nil || p.Name != "anna" || !p.Can(people.CasesRead) || p.Can(people.HoldsAct) || p.Actor() != "anna (token panel)" {
		t.Errorf("%+v %v", p, err)
	}
	if all, err := w.Tokens(t.Context(), "anna"); err != nil || len(all) != 1 || !all[0].Used.Equal(w.now.Truncate(time.Hour)) || all[0].Hash != "" {
		t.Errorf("%+v %v", all, err)
	}
	for name, bad := range map[string]string{"empty": "", "no mark": strings.TrimPrefix(secret, "postern_"), "other secret": secret[:len(secret)-2] + "AA",
		"other id": "postern_aaaaaaaaaaaaaaaa_" + strings.SplitN(secret, "_", 3)[2], "bad id": "postern_../../../../../_x", "no secret": "postern_" + tok.ID + "_", "more": secret + "AAAA"} {
		if _, err := w.Authenticate(t.Context(), bad); !errors.Is(err, people.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Change(t.Context(), "root", "anna", people.Change{Role: ptr(people.Auditor)}); err != nil {
		t.Fatal(err)
	}
	if p, err := w.Authenticate(t.Context(), secret); err != nil || !slices.Equal(p.Scopes, []people.Scope{people.HoldsRead, people.CasesRead}) {
		t.Errorf("after the change of role: %+v %v", p, err)
	}
	w.now = w.now.Add(time.Hour)
	if _, err := w.Authenticate(t.Context(), secret); !errors.Is(err, people.ErrDenied) {
		t.Errorf("expired: %v", err)
	}
}

func TestTokensThatEnd(t *testing.T) {
	w := newWorld()
	token := func(owner string) string {
		t.Helper()
		s, _, err := w.AddToken(t.Context(), "root", owner, "x", nil, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	denied := func(why, secret string) {
		t.Helper()
		if _, err := w.Authenticate(t.Context(), secret); !errors.Is(err, people.ErrDenied) {
			t.Errorf("%s: %v", why, err)
		}
	}
	w.add(t, people.User{Name: "anna", Role: people.Agent})
	first, second := token("anna"), token("anna")
	id := strings.Split(first, "_")[1]
	for range 2 { // the second time changes nothing
		if tok, err := w.Revoke(t.Context(), "root", id); err != nil || tok.Revoked.IsZero() {
			t.Errorf("%+v %v", tok, err)
		}
	}
	denied("revoked", first)
	if _, err := w.Change(t.Context(), "root", "anna", people.Change{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	denied("disabled owner", second)
	if err := w.Remove(t.Context(), "root", "anna"); err != nil {
		t.Fatal(err)
	}
	denied("no owner", second)
	w.now = w.now.Add(time.Minute)
	w.add(t, people.User{Name: "anna", Role: people.Postmaster})
	denied("another user of that name", second)
	for name, c := range map[string]struct {
		owner, name string
		scopes      []people.Scope
		life        time.Duration
		want        error
	}{
		"owner": {"nobody", "x", nil, time.Hour, people.ErrNotFound}, "name": {"anna", "", nil, time.Hour, people.ErrInvalid},
		"scope": {"anna", "x", []people.Scope{"all"}, time.Hour, people.ErrInvalid}, "life": {"anna", "x", nil, 0, people.ErrInvalid}, "long": {"anna", "x", nil, 367 * 24 * time.Hour, people.ErrInvalid},
	} {
		if _, _, err := w.AddToken(t.Context(), "root", c.owner, c.name, c.scopes, c.life); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStoreAway(t *testing.T) {
	w := newWorld()
	w.add(t, people.User{Name: "anna", Role: people.Agent})
	secret, _, err := w.AddToken(t.Context(), "root", "anna", "x", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	away := errors.New("away")
	w.store.Fail = func() error { return away }
	if _, err := w.Authenticate(t.Context(), secret); err != nil { // the hour of use is not worth a refusal
		t.Error(err)
	}
	if _, err := w.Add(t.Context(), "root", people.User{Name: "bob", Role: people.Agent}, ""); !errors.Is(err, away) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Authenticate(ctx, secret); errors.Is(err, people.ErrDenied) || err == nil {
		t.Errorf("a store that does not answer says: %v", err)
	}
	if _, _, err := w.SignIn(ctx, "anna", password); errors.Is(err, people.ErrDenied) || err == nil {
		t.Errorf("a store that does not answer says: %v", err)
	}
}

func TestRolesOnlyGrow(t *testing.T) {
	every := people.Scopes()
	for _, r := range people.Roles() {
		for _, s := range r.Scopes() {
			if !slices.Contains(every, s) {
				t.Errorf("%s has %q", r, s)
			}
			if r == people.Auditor && !strings.HasSuffix(string(s), ":read") {
				t.Errorf("an auditor may %s", s)
			}
			if r == people.Agent && !slices.Contains(people.Lead.Scopes(), s) || !slices.Contains(people.Postmaster.Scopes(), s) {
				t.Errorf("%s has %s, who stands above has not", r, s)
			}
		}
	}
	if len(people.Role("king").Scopes()) > 0 {
		t.Error("an unknown role may do something")
	}
}

func TestWhoSeesWhat(t *testing.T) {
	admin := people.Principal{Role: people.DomainAdmin, Domains: []string{"example.com"}}
	user := people.Principal{Role: people.Recipient, Addresses: []string{"a@example.com"}}
	for _, c := range []struct {
		of          string
		admin, user bool
	}{
		{"a@example.com", true, true}, {"A@Example.COM ", true, true}, {"b@example.com", true, false}, {"example.com", true, false}, {"a@sub.example.com", false, false},
		{"a@example.com@example.org", false, false}, {"notexample.com", false, false}, {"", false, false},
	} {
		if admin.Covers(c.of) != c.admin || user.Covers(c.of) != c.user || !(people.Principal{Role: people.Auditor}).Covers(c.of) {
			t.Errorf("%q: %v %v", c.of, admin.Covers(c.of), user.Covers(c.of))
		}
	}
}

// A login of the machine is one user, or nobody.
func TestByUnix(t *testing.T) {
	w := newWorld()
	w.add(t, people.User{Name: "anna", Role: people.Agent, Unix: "ann"})
	for login, want := range map[string]string{"ann": "anna", "anna": "", "root": ""} {
		if p, ok, err := w.ByUnix(t.Context(), login); err != nil || ok != (want != "") || p.Name != want {
			t.Errorf("%s: %+v %v %v", login, p, ok, err)
		}
	}
	w.add(t, people.User{Name: "berta", Role: people.Lead, Unix: "ann"})
	if p, ok, err := w.ByUnix(t.Context(), "ann"); ok || err != nil {
		t.Errorf("one login of two: %+v %v", p, err)
	}
	if _, err := w.Change(t.Context(), "root", "berta", people.Change{Unix: ptr("")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Change(t.Context(), "root", "anna", people.Change{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	if p, ok, err := w.ByUnix(t.Context(), "ann"); ok || err != nil {
		t.Errorf("disabled: %+v %v", p, err)
	}
	if _, err := w.Add(t.Context(), "root", people.User{Name: "carl", Role: people.Agent, Unix: "c d"}, ""); !errors.Is(err, people.ErrInvalid) {
		t.Errorf("%v", err)
	}
}
