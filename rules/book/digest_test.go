package book_test

import (
	"slices"
	"testing"

	"postern/rules/book"
)

func TestDigestHours(t *testing.T) {
	for text, want := range map[string][]int{"off": nil, "daily": nil, "8": {8}, "17, 8,12": {8, 12, 17}, "0,23": {0, 23}} {
		if got, err := book.DigestHours(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "24", "-1", "8,8", "often", "8,", "8;9", "08:00"} {
		if _, err := book.DigestHours(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
