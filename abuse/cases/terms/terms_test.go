package terms_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/abuse/cases/terms"
)

func TestTerms(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                  nil,
		"User7@D7.example":                  {"user7", "d7", "example"},
		"A-2026-000042, twice twice":        {"a", "2026", "000042", "twice"},
		"Ärger\xff\x00über 東京":              {"ärger", "über", "東京"},
		strings.Repeat("a", 100) + " b":     {strings.Repeat("a", 64), "b"},
		strings.Repeat("é", 50) + " \n- __": {strings.Repeat("é", 32)},
	} {
		if got := terms.Of(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
	long := ""
	for i := range 100 {
		long += fmt.Sprint(" w", i)
	}
	if n := len(terms.Of(long)); n != 30 {
		t.Errorf("%d words", n)
	}
}

func TestRarest(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "@ .": "", "verified of the": "verified", "user12@example.com": "user12", "A-2026-000042": "000042", "s1 message": "message",
	} {
		if got := terms.Rarest(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}
