package rules_test

import (
	"slices"
	"sync"
	"testing"

	"postern/rules"
)

// defaults are the embedded rules, loaded once: a Set never changes.
var defaults = sync.OnceValues(func() (*rules.Set, error) { return rules.Load() })

func load(t testing.TB) *rules.Set {
	t.Helper()
	s, err := defaults()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDefaultsLoadAndPassTheirOwnTests(t *testing.T) {
	for _, p := range load(t).Check() {
		t.Error(p)
	}
}

func TestDefaultPolicies(t *testing.T) {
	s := load(t)
	if got := s.Policies(); !slices.Equal(got, []string{"default", "outgoing", "postmaster"}) {
		t.Errorf("policies %v", got)
	}
	if s.PolicyFor("ann@example.com") != "default" || s.AccountPolicy("ann") != "outgoing" {
		t.Error("the defaults do not map everybody")
	}
}
