package diff_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"postern/internal/diff"
)

// texts are what a comparison says both were.
func texts(all []diff.Line) (before, after string) {
	for _, l := range all {
		if l.Op != diff.Added {
			before += l.Text + "\n"
		}
		if l.Op != diff.Removed {
			after += l.Text + "\n"
		}
	}
	return before, after
}

func changes(all []diff.Line) (n int) {
	for _, l := range all {
		if l.Op != diff.Same {
			n++
		}
	}
	return n
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		a, b    string
		changes int
	}{
		{"", "", 0}, {"a\n", "a\n", 0}, {"", "a\nb\n", 2}, {"a\nb\n", "", 2}, {"a\nb\nc\n", "a\nc\n", 1}, {"a\nc\n", "a\nb\nc\n", 1},
		{"a\nb\nc\nd\n", "a\nx\nc\ny\nd\n", 3}, {"a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n", 5},
	} {
		got := diff.Lines(c.a, c.b)
		a, b := texts(got)
		if a != c.a || b != c.b || changes(got) != c.changes {
			t.Errorf("%q %q: %d changes, %q %q", c.a, c.b, changes(got), a, b)
		}
	}
}

func TestEveryComparisonGivesBothTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	make := func() string {
		var b strings.Builder
		for range r.IntN(40) {
			b.WriteString(string(rune('a'+r.IntN(4))) + "\n")
		}
		return b.String()
	}
	for range 2000 {
		x, y := make(), make()
		all := diff.Lines(x, y)
		if a, b := texts(all); a != x || b != y {
			t.Fatalf("%q %q became %q %q", x, y, a, b)
		}
		old, now := 0, 0
		for _, l := range all {
			if l.Old > 0 {
				if old++; l.Old != old {
					t.Fatalf("old line %d is called %d", old, l.Old)
				}
			}
			if l.New > 0 {
				if now++; l.New != now {
					t.Fatalf("new line %d is called %d", now, l.New)
				}
			}
		}
	}
}

func TestLongTextsAreReplaced(t *testing.T) {
	x, y := strings.Repeat("a\n", diff.MaxLines+1), strings.Repeat("b\n", diff.MaxLines+1)
	all := diff.Lines("same\n"+x, "same\n"+y)
	if a, b := texts(all); a != "same\n"+x || b != "same\n"+y || all[0].Op != diff.Same {
		t.Error("not both texts")
	}
}

func TestHunks(t *testing.T) {
	a := "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n"
	b := strings.Replace(strings.Replace(a, "2\n3\n", "2\nx\n", 1), "\n18\n", "\n", 1)
	h := diff.Between(a, b)
	if len(h) != 2 {
		t.Fatalf("%d hunks: %s", len(h), diff.Text(h))
	}
	want := "@@ -1,6 +1,6 @@\n 1\n 2\n-3\n+x\n 4\n 5\n 6\n@@ -15,6 +15,5 @@\n 15\n 16\n 17\n-18\n 19\n 20\n"
	if got := diff.Text(h); got != want {
		t.Errorf("%s", got)
	}
	if len(diff.Between(a, a)) != 0 {
		t.Error("hunks of nothing")
	}
	near := strings.Replace(strings.Replace(a, "\n5\n", "\nx\n", 1), "\n9\n", "\ny\n", 1)
	if h := diff.Between(a, near); len(h) != 1 || len(h[0].Lines) != 13 {
		t.Errorf("changes close to each other: %s", diff.Text(h))
	}
}
