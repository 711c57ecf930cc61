package rules_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/mime"
)

const quietParts = `patterns:
  - {id: Q_ONE, in: body, match: 'one', quiet: true, describe: One part}
  - {id: Q_TWO, in: body, match: 'two', quiet: true, describe: Another part}
  - {id: Q_SAID, in: body, match: 'one', describe: It is said though it is worth nothing}
composites:
  - {id: Q_BOTH, when: Q_ONE and Q_TWO, quiet: true, describe: Both parts}
  - {id: Q_WHOLE, when: Q_BOTH and Q_SAID, score: 3, describe: The whole}
symbols:
  Q_HELD: {score: 5, unless: Q_BOTH, describe: It does not count beside both}
`

// search is what the patterns find in a text, and the message with it.
func search(t *testing.T, src, body string) (*filter.Message, []filter.Finding) {
	t.Helper()
	raw := []byte("Subject: x\r\n\r\n" + body)
	m := &filter.Message{Body: bytes.NewReader(raw), Size: int64(len(raw)), Parts: func() (*mime.Tree, error) { return mime.Bytes(raw, mime.Limits{}), nil }}
	found, err := layer(t, src).Patterns().Check(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	return m, slices.DeleteFunc(found, func(f filter.Finding) bool { return !strings.HasPrefix(f.Symbol, "Q_") })
}

// TestQuiet: what is quiet counts for composites and for unless, and no verdict says it.
func TestQuiet(t *testing.T) {
	s := layer(t, quietParts)
	for body, want := range map[string]struct {
		said  string
		score filter.Score
		held  string
	}{
		"one":         {"Q_HELD Q_SAID", 500, ""},
		"two":         {"Q_HELD", 500, ""},
		"one and two": {"Q_WHOLE Q_HELD Q_SAID", 300, "does not count beside Q_BOTH"},
	} {
		m, found := search(t, quietParts, body)
		v := s.Judge(m, filter.Report{Findings: append(found, filter.Finding{Symbol: "Q_HELD"})}, "default")
		var said []string
		for _, r := range v.Reasons {
			said = append(said, r.Symbol)
			if r.Symbol == "Q_HELD" && r.Detail != want.held {
				t.Errorf("%s: Q_HELD: %q", body, r.Detail)
			}
		}
		if strings.Join(said, " ") != want.said || v.Score != want.score {
			t.Errorf("%s: %v %v", body, said, v.Score)
		}
	}
}

// TestQuietFindings: the patterns find what is quiet, and say of it that it is.
func TestQuietFindings(t *testing.T) {
	_, found := search(t, quietParts, "one and two")
	want := []filter.Finding{{Symbol: "Q_ONE", Quiet: true}, {Symbol: "Q_SAID", Detail: "one"}, {Symbol: "Q_TWO", Quiet: true}}
	if !slices.Equal(found, want) {
		t.Errorf("%+v", found)
	}
}

// TestQuietIsExplained: who asks for it by name is told all of it.
func TestQuietIsExplained(t *testing.T) {
	s := layer(t, quietParts)
	for symbol, quiet := range map[string]bool{"Q_ONE": true, "Q_BOTH": true, "Q_SAID": false, "Q_WHOLE": false} {
		var b strings.Builder
		if err := s.Explain(&b, symbol); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "  quiet      it counts for other rules and is not said\n") != quiet {
			t.Errorf("%s", b.String())
		}
	}
	var b strings.Builder
	if err := s.Document(&b); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(b.String(), "(not said; other rules look at it)"); got != 3 {
		t.Errorf("the reference has %d quiet symbols", got)
	}
}
