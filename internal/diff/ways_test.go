package diff_test

import (
	"testing"

	"postern/internal/diff"
)

func TestTheShortestWay(t *testing.T) {
	for _, c := range []struct {
		name   string
		before string
		after  string
		want   int
	}{
		{
			name:   "nothing",
			before: "",
			after:  "",
			want:   0,
		},
		{
			name:   "a line is added to nothing",
			before: "",
			after:  "a\n",
			want:   1,
		},
		{
			name:   "a line is taken",
			before: "a\n",
			after:  "",
			want:   1,
		},
		{
			name:   "at the beginning",
			before: "b\nc\n",
			after:  "a\nb\nc\n",
			want:   1,
		},
		{
			name:   "at the end",
			before: "a\nb\n",
			after:  "a\nb\nc\n",
			want:   1,
		},
		{
			name:   "in the middle",
			before: "a\nc\n",
			after:  "a\nb\nc\n",
			want:   1,
		},
		{
			name:   "replaced",
			before: "a\nb\nc\n",
			after:  "a\nx\nc\n",
			want:   2,
		},
		{
			name:   "all replaced",
			before: "a\nb\n",
			after:  "x\ny\n",
			want:   4,
		},
		{
			name:   "moved",
			before: "a\nb\nc\n",
			after:  "b\nc\na\n",
			want:   2,
		},
		{
			name:   "doubled",
			before: "a\n",
			after:  "a\na\n",
			want:   1,
		},
		{
			name:   "an empty line",
			before: "a\nb\n",
			after:  "a\n\nb\n",
			want:   1,
		},
		{
			name:   "blanks count",
			before: "a\n",
			after:  " a\n",
			want:   2,
		},
	} {
		all := diff.Lines(c.before, c.after)
		if got := changes(all); got != c.want {
			t.Errorf("%s: %d changes, not %d", c.name, got, c.want)
		}
		if before, after := texts(all); before != c.before || after != c.after {
			t.Errorf("%s: became %q and %q", c.name, before, after)
		}
	}
}
