package who

import (
	"testing"

	"postern/rules/book"
)

// TestHiddenNamesFindTheirLines: what is found of the marks of a name is what is found of the name.
func TestHiddenNamesFindTheirLines(t *testing.T) {
	lines := map[string]string{
		"sales@example.com": "sales", "postmaster@*": "strict", "*@example.com": "house", "*@*.example.org": "below",
		"olga": "trusted", "*": "rest",
	}
	l := NewLines(lines)
	for name, want := range map[string]string{
		"sales@example.com": "sales", "Sales+news@EXAMPLE.com": "sales", "postmaster@example.net": "strict", "postmaster+x@example.com": "strict",
		"ben@example.com": "house", "ben@mail.example.org": "below", "ben@example.org": "rest", "olga": "trusted", "olga+x": "rest", "sales@example.net": "rest", "": "rest",
	} {
		byName, ok := Line(lines, name)
		if got := l.Policy(Hide(name)); got != want || byName != want || !ok {
			t.Errorf("%q: hidden %q, by name %q, want %q", name, got, byName, want)
		}
	}
	delete(lines, "*")
	if _, ok := Line(lines, "x@y.example"); ok || NewLines(lines).Policy(Hide("x@y.example")) != book.DefaultPolicy {
		t.Error("who falls under no line has the default policy")
	}
	if h := Hide("ben+x@example.com"); h.Local == h.Base || h.Base != Hide("ben@example.com").Local {
		t.Errorf("%+v", h)
	}
}
