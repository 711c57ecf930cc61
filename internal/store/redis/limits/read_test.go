package limits

import (
	"errors"
	"math"
	"testing"

	"postern/filter/limit"
)

// F10: an answer about another name, or of another shape, is an error and no count.
func TestF10AnswersOfOthers(t *testing.T) {
	asked := limit.Windows{{Number: 7}, {Number: 8}, {Number: 9}}
	good := []any{"k", int64(1), int64(2), int64(3), int64(4), int64(-5), int64(math.MaxInt64)}
	want := limit.Windows{{Number: 7, Now: 1, Old: 2}, {Number: 8, Now: 3, Old: 4}, {Number: 9, Old: math.MaxInt32 / 4}}
	if got, err := read(good, "k", asked); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	with := func(i int, v any) []any {
		all := append([]any(nil), good...)
		all[i] = v
		return all
	}
	for what, answer := range map[string][]any{
		"nothing": nil, "another name": with(0, "other"), "no name": with(0, int64(1)), "short": good[:6], "long": append(with(0, "k"), int64(1)),
		"text": with(1, "1"), "text at the end": with(6, "2"), "nil": with(3, nil),
	} {
		if got, err := read(answer, "k", asked); !errors.Is(err, errForeign) {
			t.Errorf("%s: %+v %v", what, got, err)
		}
	}
}
