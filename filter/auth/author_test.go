package auth

import (
	"slices"
	"strings"
	"testing"

	"postern/internal/mime"
)

func TestLoose(t *testing.T) {
	for field, want := range map[string]string{
		"a@example.com":                       "example.com",
		"a@example.com b@bank.example":        "example.com bank.example",
		"a@example.com,b@bank.example":        "example.com bank.example",
		"b@bank.example <a@example.com>":      "",
		"<a@example.com> b@bank.example":      "",
		"x@y.example, B <a@example.com>":      "y.example",
		`"b@bank.example" a@example.com`:      "example.com",
		`"b@bank.example a@example.com`:       "bank.example example.com", // a quote that stays open
		"(b@bank.example) a@example.com":      "example.com",
		"(b@bank.example a@example.com":       "bank.example example.com",
		`("b) c@d.example"`:                   "d.example",
		"a@b@bank.example":                    "bank.example",
		"a@b.example@bank.example>":           "b.example bank.example",
		"a@localhost a@ @example.com. @":      "example.com",
		"Team: a@example.com; b@bank.example": "example.com bank.example",
		"":                                    "",
	} {
		if got := strings.Join(loose(field), " "); got != want {
			t.Errorf("%q: %q, want %q", field, got, want)
		}
	}
}

// FuzzFrom: whatever stands in From, the work is bounded, and what is judged are names.
func FuzzFrom(f *testing.F) {
	f.Add("a@example.com, \"b\" <b@bank.example>")
	f.Add("<@x.example:b@bank.example> (c (d)) a@example.com\x00@y.example\r\nFrom: Team: c@z.example;")
	f.Add("=?utf-8?q?a=40b.example?= \"\\\"@\" <<>>@@,;:")
	f.Fuzz(func(t *testing.T, from string) {
		body := "From: " + from + "\r\nSubject: x\r\n\r\nhello\r\n"
		tree, err := mime.Walk(strings.NewReader(body), int64(len(body)), mime.DefaultLimits())
		if err != nil {
			return
		}
		who := readAuthors(tree)
		if len(who.domains) > MaxAuthors || len(who.domains) == 0 && who.malformed == "" || who.more && who.malformed == "" {
			t.Errorf("%+v", who)
		}
		for i, d := range who.domains {
			if d != strings.ToLower(d) || !strings.Contains(d, ".") || strings.ContainsAny(d, "@ <>\x00") || slices.Index(who.domains, d) != i {
				t.Errorf("%q of %q", d, who.domains)
			}
		}
	})
}
