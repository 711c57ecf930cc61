package taught_test

import (
	"testing"

	"postern/internal/desk/held/taught"
)

func TestShare(t *testing.T) {
	s := taught.Share{N: 1, Of: 8, Low: 0.02, High: 0.47}
	if s.Part() != 12.5 || s.Least() != 2 || s.Most() != 47 {
		t.Errorf("%v %v %v", s.Part(), s.Least(), s.Most())
	}
	if none := (taught.Share{}); none.Part() != 0 {
		t.Errorf("of none %v", none.Part())
	}
}

func TestMark(t *testing.T) {
	for class, want := range map[string]string{"spam": "spam", "ham": "ham", "none": ""} {
		if got := (taught.Known{Class: class}).Mark(); got != want {
			t.Errorf("%s is marked %q", class, got)
		}
	}
}
