package part

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"postern/internal/desk/page"
)

// rights are the calls that somebody may make.
type rights []string

func (r rights) May(_ context.Context, name string) bool    { return slices.Contains(r, name) }
func (rights) Call(context.Context, string, any, any) error { return errors.New("not called") }

func TestTabsAreWhatTheReaderMaySee(t *testing.T) {
	for _, c := range []struct {
		name string
		may  rights
		here string
		want []string
	}{
		{name: "nothing", here: "rules"},
		{name: "all", may: rights{"audit.find", "blocklist.list", "calendar.show", "rules.files", "rules.history", "rules.list"}, here: "changes", want: []string{"rules", "files", "*changes", "lists", "calendar", "audit"}},
		{name: "an auditor", may: rights{"audit.find", "audit.verify"}, here: "audit", want: []string{"*audit"}},
		{name: "acts alone show nothing", may: rights{"rules.off", "rules.save", "blocklist.add"}, here: "rules"},
	} {
		var got []string
		for _, x := range (Part{Calls: c.may}).tabs(t.Context(), c.here) {
			if x.Here {
				x.Key = "*" + x.Key
			}
			got = append(got, x.Key)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// TestRefusals: what a caller may be told stands apart from what is a fault, or no business of
// the page.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		err    error
		words  string
		status int
	}{
		{err: nil},
		{err: errors.New("the disk is full")},
		{err: &page.Error{Status: http.StatusInternalServerError, Words: "x"}},
		{err: &page.Error{Status: http.StatusServiceUnavailable, Words: "x"}},
		{err: &page.Error{Status: http.StatusForbidden, Words: "x"}},
		{err: &page.Error{Status: http.StatusConflict, Words: "changed"}, words: "changed", status: http.StatusConflict},
		{err: fmt.Errorf("save: %w", &page.Error{Status: http.StatusBadRequest, Words: "line 3"}), words: "line 3", status: http.StatusBadRequest},
	} {
		words, status, ok := Refusal(c.err)
		if words != c.words || status != c.status || ok != (c.status != 0) {
			t.Errorf("%v: %q %d %v", c.err, words, status, ok)
		}
	}
}
