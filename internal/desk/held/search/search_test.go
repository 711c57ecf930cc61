package search_test

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/desk/held/search"
)

func TestRead(t *testing.T) {
	q := search.Read(`invoice "two words" from:@x.example SCORE:5..10 foo:bar from:again "to:A B"`)
	for name, want := range map[string]string{"from": "@x.example", "score": "5..10", "to": "A B", "state": ""} {
		if got := q.Field(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if got := q.Words(); got != `invoice "two words" foo:bar from:again` {
		t.Errorf("words %q", got)
	}
	if got := q.String(); got != `invoice "two words" foo:bar from:again from:@x.example "to:A B" score:5..10` {
		t.Errorf("%q", got)
	}
}

func TestScores(t *testing.T) {
	for form, want := range map[string][3]string{
		"low=1&high=2": {"1..2", "1", "2"}, "low=1": {">=1", "1", ""}, "high=2": {"<=2", "", "2"}, "": {"", "", ""},
	} {
		values, err := url.ParseQuery("fields=1&" + form)
		if err != nil {
			t.Fatal(err)
		}
		q, ok := search.Filled(values)
		if !ok || q.Field("score") != want[0] || q.Low() != want[1] || q.High() != want[2] {
			t.Errorf("%s: %q from %q to %q", form, q.Field("score"), q.Low(), q.High())
		}
	}
	if _, ok := search.Filled(url.Values{"q": {"x"}}); ok {
		t.Error("a search by text is taken for the form")
	}
}

// What is read and written again means the same, whatever was typed.
func TestAgain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		words := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", `"b c"`, "from:x", "state:held", `"to:y z"`, "foo:", ":", `"`, "score:>1", "  "}), rapid.ID).Draw(rt, "words")
		once := search.Read(strings.Join(words, " ")).String()
		if twice := search.Read(once).String(); twice != once {
			rt.Fatalf("%q, then %q", once, twice)
		}
	})
}
