package filter_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"postern/filter"
)

func TestStandingComesFromTheCheck(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&filter.CouldNot{Words: "switched off", Standing: true}, true},
		{fmt.Errorf("wrapped: %w", &filter.CouldNot{Words: "switched off", Standing: true}), true},
		{&filter.CouldNot{Words: "timed out"}, false},
		{errors.New("plain"), false},
		{context.DeadlineExceeded, false},
	} {
		fails := filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) { return nil, c.err })
		p := &filter.Pipeline{Steps: []filter.Step{{Name: "s", Stage: filter.OnData, Check: fails}}}
		r := p.Run(t.Context(), filter.OnData, &filter.Message{})
		if len(r.Failures) != 1 || r.Failures[0].Standing != c.want {
			t.Errorf("%v: %+v", c.err, r.Failures)
		}
	}
}
