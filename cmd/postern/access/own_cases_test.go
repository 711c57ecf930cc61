package access_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"postern/cmd/postern/listcalls"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/guarantee"
	"postern/abuse/signal"
	"postern/abuse/suppress"
	"postern/blocklist"
	"postern/cmd/postern/accountcalls"
	"postern/cmd/postern/casecalls"
	"postern/internal/people"
)

const reporter = "reporter@far.example"

// caseAbout is a case with the words of a reporter everywhere.
func caseAbout(id, account string) cases.Case {
	return cases.Case{
		ID:       id,
		Kind:     cases.Local,
		State:    "TRIAGE",
		Account:  account,
		Subject:  "message " + reporter,
		Sentence: "the copy of " + reporter + " was 1 of 3",
		Evidence: []cases.Evidence{{Name: "report of " + reporter}},
		Pending:  []cases.Event{{Text: reporter}},
		Votes:    300,
		Reports:  3,
		Grade:    4,
		Priority: 2,
	}
}

// ownDomain answers about cases, opt-outs and lists.
func ownDomain(name, params string) any {
	switch name {
	case "case.list":
		return casecalls.Page{
			Cases: []cases.Case{
				caseAbout("A-1", "a@example.com"),
				caseAbout("A-2", "b@example.org"),
				caseAbout("A-3", ""),
			},
			Next: "1/A-3",
		}
	case "case.show":
		account := "b@example.org"
		switch {
		case strings.Contains(params, "A-1"):
			account = "a@example.com"
		case strings.Contains(params, "A-3"):
			account = ""
		}
		return casecalls.Shown{
			Case:  caseAbout("A-1", account),
			Moves: []flow.State{"VERIFIED"},
			Timeline: []cases.Event{{
				Seq:    1,
				Actor:  "olga",
				Action: "opened",
				To:     "TRIAGE",
				Text:   reporter,
				Report: "r-" + reporter,
				Data:   map[string]string{"from": reporter},
			}},
		}
	case "suppress.list":
		if strings.Contains(params, "page2") {
			return suppress.Page{Entries: []suppress.Entry{{ID: "e2", Account: "a@example.com", Recipient: "x@far.example"}}}
		}
		return suppress.Page{Entries: []suppress.Entry{{ID: "e1", Account: "a@example.com", Recipient: "y@far.example"}}, Next: "page2"}
	case "suppress.add", "suppress.lift":
		return suppress.Entry{ID: "e2", Account: "a@example.com"}
	case "blocklist.list":
		return listcalls.Entries{Entries: []listcalls.Entry{{Key: params}}}
	case "account.find":
		return accountcalls.Found{Accounts: []accountcalls.Row{{Name: "a@example.com"}, {Name: "b@example.org"}, {Name: "@example.com"}}, Total: 3}
	case "account.activity":
		return accountcalls.Activity{Name: "a@example.com", Known: true, Votes: accountcalls.Votes{Proven: 300, Last: []signal.Signal{{Account: reporter}}}, Guarantees: []guarantee.Pack{{ID: "G-1"}}}
	case "blocklist.add":
		return blocklist.Entry{Value: "new.example", Scope: "domain:example.com"}
	}
	return "done"
}

// TestDomainAdminsSeeTheirOwn: cases, opt-outs and lists of the own domains, and nothing of
// those who reported or of other domains.
func TestDomainAdminsSeeTheirOwn(t *testing.T) {
	for _, c := range []struct {
		call, params string
		code         int
		has, lacks   string
	}{
		{"case.list", `{}`, 200, `"A-1"`, `"A-2"`},
		{"case.list", `{"view":"all"}`, 200, `"votes":300`, `"A-3"`},
		{"case.list", `{}`, 200, `"A-1"`, reporter},
		{"case.list", `{"domains":["example.com"],"grade":"P4"}`, 200, `"A-1"`, "example.org"},
		{"case.list", `{"domains":["example.org"]}`, 404, "not all", "A-"},
		{"case.list", `{"domains":["example.com","example.org"]}`, 404, "not all", "A-1"},
		{"case.list", `{"text":"reporter"}`, 400, "searches by", "A-1"},
		{"case.list", `{"colour":"red"}`, 400, "unknown field", "A-1"},
		{"case.show", `{"id":"A-1"}`, 200, `"opened"`, reporter},
		{"case.show", `{"id":"A-1"}`, 200, `"a@example.com"`, "VERIFIED"},
		{"case.show", `{"id":"A-1"}`, 200, `"timeline"`, "olga"},
		{"case.show", `{"id":"A-2"}`, 404, "no case", "b@example.org"},
		{"case.show", `{"id":"A-3"}`, 404, "no case", reporter},
		{"suppress.list", `{"account":"a@example.com"}`, 200, "y@far.example", ""},
		{"suppress.list", `{"account":"b@example.org"}`, 404, "none", "far.example"},
		{"suppress.list", `{"account":"example.com"}`, 404, "none", "far.example"},
		{"suppress.list", `{"recipient":"y@far.example"}`, 404, "say of which", "e1"},
		{"suppress.list", `{}`, 404, "say of which", "e1"},
		{"suppress.add", `{"account":"a@example.com","recipient":"z@far.example","reason":"r"}`, 200, "e2", ""},
		{"suppress.add", `{"account":"b@example.org","recipient":"z@far.example","reason":"r"}`, 404, "no account of yours", ""},
		{"suppress.lift", `{"id":"e2","account":"a@example.com","reason":"r"}`, 200, "e2", ""},
		{"suppress.lift", `{"id":"e1","account":"a@example.com","reason":"r"}`, 200, "e2", ""},
		{"suppress.lift", `{"id":"e9","account":"a@example.com","reason":"r"}`, 404, "no such entry", ""},
		{"suppress.lift", `{"id":"e1","account":"b@example.org","reason":"r"}`, 404, "none", ""},
		{"suppress.lift", `{"id":"e1","reason":"r"}`, 404, "say of which", ""},
		{"account.find", `{}`, 200, "a@example.com", "b@example.org"},
		{"account.find", `{"domain":"@Example.com"}`, 200, "a@example.com", "b@example.org"},
		{"account.find", `{"domain":"example.org"}`, 404, "not yours", "a@example.com"},
		{"account.find", `{"domains":["example.com","example.org"]}`, 404, "not yours", "a@example.com"},
		{"account.activity", `{"name":"a@example.com"}`, 200, `"proven":300`, reporter},
		{"account.activity", `{"name":"a@example.com"}`, 200, `"known":true`, "G-1"},
		{"account.activity", `{"name":"b@example.org"}`, 404, "no account of yours", "proven"},
		{"account.activity", `{"name":"@example.com"}`, 200, `"known":true`, reporter},
		{"blocklist.list", ``, 200, `\"within\":[\"example.com\"]`, ""},
		{"blocklist.list", `{"text":"x","after":"m"}`, 200, `{\"text\":\"x\",\"within\":[\"example.com\"],\"after\":\"m\"}`, ""},
		{"blocklist.list", `{"within":["a@example.com"]}`, 200, `\"within\":[\"a@example.com\"]`, ""},
		{"blocklist.list", `{"within":["example.org"]}`, 404, "is not yours", "within"},
		{"blocklist.add", `{"value":"new.example","scope":"domain:example.com"}`, 200, "new.example", ""},
		{"blocklist.add", `{"value":"new.example","scope":"recipient:x@example.com"}`, 200, "new.example", ""},
		{"blocklist.add", `{"value":"new.example","scope":"all"}`, 400, "scope", ""},
		{"blocklist.add", `{"value":"new.example"}`, 400, "scope", ""},
		{"blocklist.add", `{"value":"new.example","scope":"domain:example.org"}`, 400, "scope", ""},
		{"blocklist.add", `{"value":"new.example","scope":"anything:example.com"}`, 400, "scope", ""},
		{"blocklist.remove", `{"id":"block ours.example domain:example.com"}`, 200, "done", ""},
		{"blocklist.remove", `{"id":"block theirs.example domain:example.org"}`, 404, "no such entry", ""},
		{"blocklist.remove", `{"id":"block everybody.example all"}`, 404, "no such entry", ""},
		{"blocklist.remove", `{"id":"domain:example.com"}`, 404, "no such entry", ""},
	} {
		w := newWorld(t)
		code, body := w.call(people.DomainAdmin, c.call, c.params)
		if code != c.code || !strings.Contains(body, c.has) || c.lacks != "" && strings.Contains(body, c.lacks) {
			t.Errorf("%s with %s: %d %s", c.call, c.params, code, body)
		}
		changes := strings.HasSuffix(c.call, ".add") || strings.HasSuffix(c.call, ".lift") || strings.HasSuffix(c.call, ".remove")
		made := slices.ContainsFunc(w.made, func(s string) bool { return strings.HasPrefix(s, c.call+" ") })
		if changes && made != (c.code == http.StatusOK) {
			t.Errorf("%s with %s answered %d and made %v", c.call, c.params, code, w.made)
		}
	}
}

// TestDomainIsAskedFor: what others have is not even read.
func TestDomainIsAskedFor(t *testing.T) {
	w := newWorld(t)
	if code, body := w.call(people.DomainAdmin, "case.list", `{"state":"TRIAGE"}`); code != 200 {
		t.Fatal(code, body)
	}
	if len(w.made) != 1 || !strings.Contains(w.made[0], `"domains":["example.com"]`) || !strings.Contains(w.made[0], `"state":"TRIAGE"`) {
		t.Error(w.made)
	}
	for _, name := range []string{"case.list", "case.show", "suppress.list", "blocklist.list", "blocklist.add"} {
		if code, _ := w.call(people.Recipient, name, `{}`); code != http.StatusForbidden {
			t.Errorf("a recipient makes %s: %d", name, code)
		}
	}
	for _, name := range []string{"case.assign", "case.state", "case.reports", "case.sent", "case.log", "complaint.view", "measure.apply", "notice.list"} {
		if code, _ := w.call(people.DomainAdmin, name, `{}`); code != http.StatusForbidden {
			t.Errorf("a domain admin makes %s: %d", name, code)
		}
	}
}
