package filter_test

import (
	"testing"

	"postern/filter"
)

func TestPropIsTheFirstOfTypeAndName(t *testing.T) {
	r := filter.AuthResult{Props: []filter.AuthProp{
		{Type: "smtp", Name: "d", Value: "other type"}, {Type: "header", Name: "s", Value: "other name"},
		{Type: "header", Name: "d", Value: "first"}, {Type: "header", Name: "d", Value: "second"},
	}}
	for _, c := range [][3]string{{"header", "d", "first"}, {"smtp", "d", "other type"}, {"smtp", "s", ""}, {"", "", ""}} {
		if got := r.Prop(c[0], c[1]); got != c[2] {
			t.Errorf("%s.%s is %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
