package mailtest_test

import (
	"fmt"
	"testing"
	"time"

	"postern/internal/mailtest"
)

// record is a test that remembers what it was told.
type record struct {
	testing.TB
	errors []string
}

func (r *record) Error(args ...any)   { r.errors = append(r.errors, fmt.Sprint(args...)) }
func (r *record) Logf(string, ...any) {}

func TestSteady(t *testing.T) {
	const never = time.Hour
	for name, c := range map[string]struct {
		allowed      time.Duration
		failsUpTo    int
		runs, errors int
	}{
		"passes":                  {never, 0, 1, 0},
		"fails without an excuse": {never, 1, 1, 1},
		"passes later":            {-never, 2, 3, 0},
		"fails every time":        {-never, 9, 6, 1},
	} {
		r, runs, cleaned := &record{TB: t}, 0, 0
		mailtest.Steady(r, c.allowed, func(t testing.TB, scale time.Duration) {
			runs++
			t.Cleanup(func() { cleaned++ })
			if want := time.Duration(1) << (runs - 1); scale != want {
				t.Fatalf("scale %d, want %d", scale, want)
			}
			if runs <= c.failsUpTo {
				t.Fatal("too late")
			}
		})
		if runs != c.runs || cleaned != runs || len(r.errors) != c.errors {
			t.Errorf("%s: %d runs, %d cleaned, said %q", name, runs, cleaned, r.errors)
		}
	}
}
