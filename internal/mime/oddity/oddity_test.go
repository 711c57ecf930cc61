package oddity_test

import (
	"slices"
	"strings"
	"testing"

	"postern/internal/mime/filename"
	"postern/internal/mime/header"
	"postern/internal/mime/oddity"
)

func TestKinds(t *testing.T) {
	bad := 0
	for i, k := range oddity.Kinds() {
		if slices.Contains(oddity.Kinds()[:i], k) || strings.Trim(string(k), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			t.Errorf("%q is no stem of a symbol, or there twice", k)
		}
		if reason, yes := k.Unscannable(); yes {
			bad++
			if len(reason) < 20 || strings.HasSuffix(reason, ".") {
				t.Errorf("%s: %q is no plain reason", k, reason)
			}
		}
	}
	if bad != 16 {
		t.Errorf("%d kinds make a message unscannable, want 16", bad)
	}
}

func TestOf(t *testing.T) {
	if got := oddity.OfHeader(header.NoColon | header.TooMany); !slices.Equal(got, []oddity.Kind{oddity.HeaderNoColon, oddity.TooManyFields}) {
		t.Errorf("%v", got)
	}
	if got := oddity.OfNames(filename.Path | filename.Many); !slices.Equal(got, []oddity.Kind{oddity.NamePath, oddity.TooManyReadings}) {
		t.Errorf("%v", got)
	}
	if oddity.OfHeader(0) != nil || oddity.OfHeader(header.MboxLine) != nil {
		t.Error("a sound header has no kind")
	}
}
