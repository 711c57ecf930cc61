package summary

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"postern/cmd/postern/access/scope"
)

// TestSameCalls has no scope without a sentence, and no sentence of a call that is gone.
func TestSameCalls(t *testing.T) {
	for _, call := range scope.Known() {
		if Of(call) == "" {
			t.Errorf("%s has a scope and no sentence", call)
		}
	}
	for call := range sentences {
		if _, ok := scope.Of(call); !ok {
			t.Errorf("%s has a sentence and no scope", call)
		}
	}
	if got := Of("no.such"); got != "" {
		t.Error(got)
	}
}

// TestSentences has each be one that can stand in a table, and tell its call from all others.
func TestSentences(t *testing.T) {
	of := map[string]string{}
	for call, text := range sentences {
		first, _ := utf8.DecodeRuneInString(text)
		switch {
		case !unicode.IsUpper(first) || !strings.HasSuffix(text, ".") || strings.HasSuffix(text, ".."):
			t.Errorf("%s: no sentence: %q", call, text)
		case strings.TrimSpace(text) != text || strings.ContainsAny(text, "\n\t|") || strings.Contains(text, "  "):
			t.Errorf("%s: not one line of a table: %q", call, text)
		case len(text) > 160:
			t.Errorf("%s: %d octets", call, len(text))
		case of[text] != "":
			t.Errorf("%s and %s say the same: %q", call, of[text], text)
		}
		of[text] = call
	}
}
