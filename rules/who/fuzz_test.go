package who

import (
	"strings"
	"testing"

	"postern/rules/book"
)

// lines have one of each form that a rule file may write.
func lines() map[string]string {
	return map[string]string{
		"sales@example.com":  "sales",
		"info@example.org":   "info",
		"postmaster@*":       "strict",
		"abuse@*":            "strict",
		"*@example.com":      "house",
		"*@*.example.org":    "below",
		"*@xn--e1afmkfd.xyz": "idn",
		"olga":               "trusted",
		"*":                  "rest",
	}
}

// FuzzHide: whatever a name is, its marks find the line that the name finds, and are not the name.
func FuzzHide(f *testing.F) {
	for _, name := range []string{
		"sales@example.com",
		"Sales+x@EXAMPLE.com",
		"postmaster+a+b@sub.example.net",
		"\"quoted local\"@example.com",
		"имя@пример.xyz",
		"a@b@example.com",
		"olga",
		"olga+x",
		"@",
		"+@example.com",
		"*",
		"*@example.com",
		"\xff@\xfe",
		strings.Repeat("x", 300) + "@example.org",
	} {
		f.Add(name)
	}
	all := lines()
	hidden := NewLines(all)
	f.Fuzz(func(t *testing.T, name string) {
		if strings.HasPrefix(book.MapKey(name), "*") || strings.HasSuffix(book.MapKey(name), "@*") {
			return // a line, and nobody's name
		}
		want, ok := Line(all, name)
		if !ok {
			t.Fatalf("%q falls under no line", name)
		}
		if got := hidden.Policy(Hide(name)); got != want {
			t.Errorf("%q: %q hidden, %q by name", name, got, want)
		}
	})
}
