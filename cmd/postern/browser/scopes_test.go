package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/access"
	"postern/internal/people"
)

// may is what each scope is good for: the roles that have it.
var may = map[people.Scope]string{
	people.HoldsRead: "udAlpa", people.HoldsAct: "udAlp", people.ListsRead: "dAlpa", people.ListsAct: "dAlp", people.AccountsRead: "dAlpa", people.AccountsAct: "dAlp",
	people.TraceRead: "dAlpa", people.CasesRead: "dAlpa", people.CasesAct: "Alp", people.CasesApprove: "lp", people.EvidenceRead: "Alpa", people.ReportsRead: "Alpa",
	people.ReportsSend: "dAlp", people.OutboxRead: "Alpa", people.OutboxAct: "lp", people.KeysRead: "pa", people.KeysAct: "p", people.AuditRead: "lpa",
	people.SystemRead: "Alpa", people.SystemAct: "p", people.PeopleRead: "pa", people.PeopleAct: "p",
	people.InboxRead: "Alpa", people.InboxAct: "Alp",
}

// TestScopesOfRoles pins what a role may do.
func TestScopesOfRoles(t *testing.T) {
	for _, s := range people.Scopes() {
		got := ""
		for _, r := range people.Roles() {
			if slices.Contains(r.Scopes(), s) {
				got += letters[r]
			}
		}
		if want, ok := may[s]; !ok || got != want {
			t.Errorf("%s: %q, want %q", s, got, want)
		}
	}
}

// TestEveryCall makes every call over HTTP with tokens of the one scope it needs, of all others,
// and of none. The parameters are such that nothing is done: who is let in hears of them.
func TestEveryCall(t *testing.T) {
	d := newDesk(t)
	token := func(role people.Role, scopes ...people.Scope) string {
		t.Helper()
		secret, _, err := d.door.People.AddToken(t.Context(), "root", "the-"+string(role), "t", scopes, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	n := 0
	ask := func(call, token string) int {
		n++
		r := httptest.NewRequest("POST", "/api/v1/calls/"+call, strings.NewReader(`{"no such parameter": 1}`))
		r.Header.Set("Content-Type", "application/json")
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", n>>16, n>>8&255, n&255)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		rec := httptest.NewRecorder()
		d.API.ServeHTTP(rec, r)
		return rec.Code
	}
	whole := map[people.Role]string{}
	for _, r := range people.Roles() {
		whole[r] = token(r)
	}
	exact, others := map[people.Scope]string{}, map[people.Scope]string{}
	for _, s := range people.Scopes() {
		exact[s] = token(people.Postmaster, s)
		others[s] = token(people.Postmaster, slices.DeleteFunc(people.Scopes(), func(o people.Scope) bool { return o == s })...)
	}
	for _, call := range d.calls.Calls() {
		need, ok := access.Needs(call)
		if !ok {
			t.Errorf("%s has no scope", call)
			continue
		}
		for name, c := range map[string]struct {
			token string
			want  []int
		}{
			"nobody":             {"", []int{http.StatusUnauthorized}},
			"a token of nobody":  {"postern_aaaaaaaaaaaaaaaa_" + strings.Repeat("A", 43), []int{http.StatusUnauthorized}},
			"exactly its scope":  {exact[need], []int{http.StatusBadRequest}},
			"all but its scope":  {others[need], []int{http.StatusForbidden}},
			"a session's cookie": {d.jars[people.Postmaster][0].Value, []int{http.StatusUnauthorized}},
		} {
			if got := ask(call, c.token); !slices.Contains(c.want, got) {
				t.Errorf("%s with %s: %d, want %v", call, name, got, c.want)
			}
		}
		for _, r := range people.Roles() {
			got := ask(call, whole[r])
			let := got == http.StatusBadRequest
			if has := strings.Contains(may[need], letters[r]); let && !has || !let && got != http.StatusForbidden || !let && has && !r.Bounded() {
				t.Errorf("%s as %s: %d", call, r, got)
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d requests", n)
	}
}
