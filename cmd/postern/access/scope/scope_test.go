package scope_test

import (
	"slices"
	"strings"
	"testing"

	"postern/cmd/postern/access/scope"
	"postern/internal/people"
)

// TestKnownScopes has every call need a scope that a token can hold, and every scope but those
// that are asked for within a call be needed by one: a misspelt one would lock a call for good.
func TestKnownScopes(t *testing.T) {
	needed := map[people.Scope]bool{}
	for _, call := range scope.Known() {
		s, ok := scope.Of(call)
		if !ok || !slices.Contains(people.Scopes(), s) {
			t.Errorf("%s needs %q, which nobody can have (%v)", call, s, ok)
		}
		needed[s] = true
	}
	for _, s := range people.Scopes() {
		if !needed[s] {
			t.Errorf("no call needs %s", s)
		}
	}
}

func TestKnownIsSorted(t *testing.T) {
	all := scope.Known()
	if len(all) == 0 || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Error(all)
	}
	all[0] = "changed"
	if slices.Contains(scope.Known(), "changed") {
		t.Error("who asks for the names can change them")
	}
}

func TestUnknownCall(t *testing.T) {
	for _, call := range []string{"", "quarantine", "quarantine.", "Quarantine.List", "quarantine.list ", "no.such"} {
		if s, ok := scope.Of(call); ok || s != "" {
			t.Errorf("%q needs %q", call, s)
		}
	}
}

// TestActsAreNoReading has no call that changes something for others be open to who may only
// read.
func TestActsAreNoReading(t *testing.T) {
	acts := []string{
		"add", "allow", "apply", "approve", "change", "delete", "disable", "disown", "enable", "hold", "invite", "move", "off", "on", "propose", "reindex", "release",
		"remove", "reset", "restore", "retry", "revoke", "rollback", "rotate", "run", "save", "send", "set", "suspend", "throttle", "undo", "upload",
	}
	own := []string{"view.save", "view.remove"} // the reader's own
	for _, call := range scope.Known() {
		_, verb, _ := strings.Cut(call, ".")
		if s, _ := scope.Of(call); s.Reads() && slices.Contains(acts, verb) && !slices.Contains(own, call) {
			t.Errorf("%s needs only %s", call, s)
		}
	}
}

// TestRoles holds a few calls against what roles may do: the table and the roles must agree.
func TestRoles(t *testing.T) {
	for call, may := range map[string][]people.Role{
		"quarantine.list": {people.Recipient, people.DomainAdmin, people.Agent, people.Lead, people.Postmaster, people.Auditor},
		"measure.apply":   {people.DomainAdmin, people.Agent, people.Lead, people.Postmaster},
		"outbox.retry":    {people.Lead, people.Postmaster},
		"token.add":       {people.Postmaster},
		"rules.save":      {people.Postmaster},
		"user.list":       {people.Postmaster, people.Auditor},
	} {
		s, _ := scope.Of(call)
		for _, r := range []people.Role{people.Recipient, people.DomainAdmin, people.Agent, people.Lead, people.Postmaster, people.Auditor} {
			if got, want := slices.Contains(r.Scopes(), s), slices.Contains(may, r); got != want {
				t.Errorf("%s by %s: %v", call, r, got)
			}
		}
	}
}
