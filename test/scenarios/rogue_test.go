package scenarios

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"postern/abuse/second"
	"postern/blocklist"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/secondcalls"
	"postern/internal/people"
	"postern/test/world"
)

// An agent who lifts suspensions and allows senders one after the other is stopped after ten of
// them within an hour: the next waits for another person, who sees what it is and says no or yes.
// Everything stands in the audit with who did it, and what was lifted is suspended again by a call.
func TestHL12RogueAgent(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis, More: fmt.Sprintf("api: {addr: \"127.0.0.1:%d\"}\n", world.FreePort(t))})
		agent, lead := n.hire("rob", people.Agent), n.hire("lena", people.Lead)
		for i := range 12 {
			n.call("account.suspend", calls.AccountChange{Name: fmt.Sprintf("a%d@example.com", i), Reason: "it sent spam"}, nil)
		}
		lift := func(i int) (int, string) {
			return agent.call("account.restore", calls.AccountChange{Name: fmt.Sprintf("a%d@example.com", i), Reason: "friends"}, nil)
		}
		for i := range second.Most - 1 {
			if status, words := lift(i); status != http.StatusOK {
				t.Fatalf("lift %d: %d %s", i, status, words)
			}
		}
		allow := func(value string) (int, string) {
			return agent.call("blocklist.add", blocklist.Entry{Allow: true, Value: value, Scope: "all", Reason: "friends"}, nil)
		}
		if status, words := allow("spammer.example"); status != http.StatusOK {
			t.Fatalf("%d %s", status, words)
		}
		if status, words := allow("other.example"); status != http.StatusConflict || !strings.Contains(words, "waits for another person") {
			t.Errorf("an allow entry beyond the ten: %d %s", status, words)
		}
		if status, words := agent.call("blocklist.add", blocklist.Entry{Value: "192.0.2.9", Scope: "all", Reason: "spam"}, nil); status != http.StatusOK {
			t.Errorf("blocking is not allowing: %d %s", status, words)
		}
		if status, _ := lift(10); status != http.StatusConflict || n.level("a10@example.com") < 3 {
			t.Errorf("lifted beyond the ten: %d, %s", status, n.level("a10@example.com"))
		}
		var waiting second.Page
		lead.must("approval.list", secondcalls.Query{State: second.Open}, &waiting)
		if len(waiting.Proposals) != 2 || waiting.Proposals[0].By != "rob" || !strings.Contains(waiting.Proposals[0].Words, "account.restore of a10@example.com") {
			t.Fatalf("%+v", waiting.Proposals)
		}
		if status, words := agent.call("approval.approve", secondcalls.Decision{ID: waiting.Proposals[0].ID}, nil); status == http.StatusOK {
			t.Errorf("approved by who asked for it: %s", words)
		}
		lead.must("approval.approve", secondcalls.Decision{ID: waiting.Proposals[0].ID, Reason: "this one is right"}, nil)
		lead.must("approval.refuse", secondcalls.Decision{ID: waiting.Proposals[1].ID, Reason: "this one is not"}, nil)
		if n.level("a10@example.com") != 0 || n.level("a11@example.com") < 3 {
			t.Errorf("%s, %s", n.level("a10@example.com"), n.level("a11@example.com"))
		}
		lead.must("account.suspend", calls.AccountChange{Name: "a0@example.com", Reason: "it was no friend"}, nil)
		if n.level("a0@example.com") < 3 {
			t.Error("what was lifted cannot be suspended again")
		}
		var done []string
		for _, e := range n.audit() {
			if strings.HasPrefix(e.Actor, "rob") {
				done = append(done, e.Actor)
			}
		}
		if len(done) < second.Most+3 || !slices.ContainsFunc(done, func(a string) bool { return strings.Contains(a, "approved by lena") }) {
			t.Errorf("%d lines of the audit: %q", len(done), done)
		}
	})
}
