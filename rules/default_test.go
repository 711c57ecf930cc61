package rules_test

import (
	"slices"
	"testing"

	"postern/rules"
)

func load(t testing.TB, dirs ...string) *rules.Set {
	t.Helper()
	s, err := rules.Load(dirs...)
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
	if got := s.Policies(); !slices.Equal(got, []string{"default", "outgoing"}) {
		t.Errorf("policies %v", got)
	}
	if s.PolicyFor("ann@example.com") != "default" || s.AccountPolicy("ann") != "outgoing" {
		t.Error("the defaults do not map everybody")
	}
}
