package e2e

import (
	"os/user"
	"strings"
	"testing"

	"postern/abuse/measure"
	"postern/abuse/second"
	"postern/cmd/postern/access"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/casecalls"
)

// signedIn makes the commands those of a user of the desk from now on; "" those of whoever
// runs them.
func signedIn(t *testing.T, g *gateway, tokens map[string]string, who string) {
	t.Helper()
	g.Env = nil
	if who != "" {
		g.Env = []string{"POSTERN_TOKEN=" + tokens[who]}
	}
}

// desks adds users with a token each.
func desks(t *testing.T, g *gateway, users map[string]string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, role := range users {
		g.run(t, 0, "user", "add", name, "--role", role)
		out[name] = runJSON[access.Made](t, g, 0, "token", "add", name, "--name", "cli", "--json").Secret
	}
	return out
}

// What one person may not do alone is done by two who have signed in, or by whoever has the
// machine and says why nobody else is there.
func TestTwoPersons(t *testing.T) {
	t.Parallel()
	g, _, id := complained(t)
	tokens := desks(t, g, map[string]string{"anna": "abuse-agent", "berta": "abuse-lead", "chief": "abuse-lead"})
	level := func(account string) string {
		return runJSON[calls.AccountWhy](t, g, 0, "account", "why", account, "--json").Level
	}
	open := func(want int) []second.Proposal {
		t.Helper()
		all := runJSON[second.Page](t, g, 0, "approval", "list", "--json").Proposals
		if len(all) != want {
			t.Fatalf("%+v", all)
		}
		return all
	}

	p := runJSON[second.Proposal](t, g, 0, "measure", "apply", "login-off", "bob@example.com", "--reason", "in other hands", "--json")
	if p.State != second.Open || open(1)[0].ID != p.ID || level("bob@example.com") == "M5" {
		t.Fatalf("%+v", p)
	}
	if out := g.run(t, 1, "approval", "approve", p.ID); !strings.Contains(out, "no user of the desk") {
		t.Errorf("by the machine: %s", out)
	}
	signedIn(t, g, tokens, "anna")
	if out := g.run(t, 1, "approval", "approve", p.ID); !strings.Contains(out, "lacks the scope") {
		t.Errorf("by an agent: %s", out)
	}
	g.run(t, 1, "user", "list")
	signedIn(t, g, tokens, "berta")
	g.run(t, 1, "approval", "approve", p.ID, "--break-glass", "I am in a hurry")
	g.run(t, 0, "approval", "approve", p.ID, "--reason", "seen")
	if all := runJSON[calls.MeasurePage](t, g, 0, "measure", "list", "bob@example.com", "--json").Measures; len(all) != 1 || all[0].Approver != "berta" || all[0].ID != "m-"+p.ID || level("bob@example.com") != "M5" {
		t.Errorf("%+v", all)
	}
	g.run(t, 1, "approval", "approve", p.ID)

	p = runJSON[second.Proposal](t, g, 0, "measure", "apply", "hold", "@example.com", "--reason", "all of them", "--json")
	if out := g.run(t, 1, "approval", "approve", p.ID); p.By != "berta" || !strings.Contains(out, "has proposed it") {
		t.Errorf("%+v %s", p, out)
	}
	signedIn(t, g, tokens, "chief")
	g.run(t, 2, "approval", "refuse", p.ID)
	g.run(t, 0, "approval", "refuse", p.ID, "--reason", "not the whole domain")
	g.run(t, 1, "approval", "approve", p.ID)
	open(0)

	// The permanent end of an account.
	signedIn(t, g, tokens, "chief")
	m := runJSON[measure.Measure](t, g, 0, "measure", "apply", "suspend", "ada@example.com", "--reason", "the catalogue", "--case", id, "--json")
	g.run(t, 0, "case", "category", id, "S1")
	g.run(t, 0, "case", "state", id, "VERIFIED", "--reason", "proved")
	g.run(t, 0, "case", "state", id, "SUSPENDED", "--reason", "suspended", "--measure", m.ID, "--level", "3")
	g.run(t, 0, "case", "end", id, "--reason", "again and again", "--order", "letter of the board")
	end := open(1)[0]
	signedIn(t, g, tokens, "berta")
	g.run(t, 1, "case", "state", id, "TERMINATED", "--reason", "yes")
	g.run(t, 0, "approval", "refuse", end.ID, "--reason", "once more")
	if c := runJSON[casecalls.Shown](t, g, 0, "case", "show", id, "--json").Case; c.Ending != nil || c.State != "SUSPENDED" {
		t.Errorf("%+v", c)
	}
	signedIn(t, g, tokens, "chief")
	g.run(t, 0, "case", "end", id, "--reason", "again and again", "--order", "letter of the board")
	signedIn(t, g, tokens, "berta")
	g.run(t, 0, "approval", "approve", open(1)[0].ID, "--reason", "agreed")
	if c := runJSON[casecalls.Shown](t, g, 0, "case", "show", id, "--json").Case; c.State != "TERMINATED" || c.Ending == nil || c.Ending.By != "chief" {
		t.Errorf("%+v", c)
	}

	alone(t, g, tokens)
}

// alone: whoever has the machine can act, and everybody hears of it; a login of the machine
// can be a user of the desk, who then is nobody's second person but his own.
func alone(t *testing.T, g *gateway, tokens map[string]string) {
	t.Helper()
	signedIn(t, g, tokens, "")
	g.run(t, 0, "measure", "apply", "login-off", "carl@example.com", "--reason", "in other hands", "--break-glass", "nobody else is awake")
	audit := g.run(t, 0, "audit", "list")
	for _, want := range []string{"break-glass", "approval-propose", "approval-approve", "approval-refused"} {
		if !strings.Contains(audit, want) {
			t.Errorf("the audit lacks %s:\n%s", want, audit)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	g.run(t, 0, "user", "change", "chief", "--unix", me.Username)
	p := runJSON[second.Proposal](t, g, 0, "measure", "apply", "login-off", "dora@example.com", "--reason", "in other hands", "--json")
	if p.By != "chief" {
		t.Errorf("%+v", p)
	}
	if out := g.run(t, 1, "approval", "approve", p.ID); !strings.Contains(out, "has proposed it") {
		t.Errorf("%s", out)
	}
	g.run(t, 1, "approval", "approve", p.ID, "--break-glass", "nobody else is awake")
	g.Env = []string{"POSTERN_TOKEN=pt_nonsense"}
	g.run(t, 1, "case", "list")
	signedIn(t, g, tokens, "")
}
