package inert_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"postern/internal/report/inert"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"  Example, Inc. ": "Example, Inc.", "a\r\nb\x00c\x1b[31m": "a  b c [31m", "caf\xe9": "caf?", "a\u009b31mb\u202ec\u2028d": "a 31mb c d", "": "",
	} {
		if got := inert.Text(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	long := inert.Text(strings.Repeat("ä", inert.Max))
	if len(long) > inert.Max || !utf8.ValidString(long) {
		t.Errorf("%d bytes", len(long))
	}
	if inert.Word(" PASS ") != "pass" {
		t.Error("words are lower case")
	}
}
