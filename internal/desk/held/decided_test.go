package held_test

import (
	"strings"
	"testing"
)

// TestWhatHeldIt shows on the row what made the action, whichever reason was stored first, and the
// step that could not tell where that is why.
func TestWhatHeldIt(t *testing.T) {
	reason := func(symbol string, decides bool) map[string]any {
		return map[string]any{"symbol": symbol, "score": 100, "describe": "d", "decides": decides}
	}
	for name, c := range map[string]struct {
		class      string
		reasons    []any
		unchecked  []any
		has, lacks string
	}{
		"the second":           {"quarantine", []any{reason("A_FIRST", false), reason("B_SECOND", true)}, nil, ">B_SECOND<", ">A_FIRST<"},
		"a record of before":   {"quarantine", []any{reason("A_FIRST", false), reason("B_SECOND", false)}, nil, ">A_FIRST<", ">B_SECOND<"},
		"a step":               {"quarantine", []any{reason("A_FIRST", false)}, []any{map[string]any{"step": "clamav", "reason": "timed out", "decides": true}}, "clamav ?", ">A_FIRST<"},
		"the server behind":    {"backend-refused", []any{reason("A_FIRST", false)}, nil, "the server behind refused it", ">A_FIRST<"},
		"a step beside others": {"quarantine", []any{reason("A_FIRST", true)}, []any{map[string]any{"step": "clamav", "reason": "timed out"}}, ">A_FIRST<", "clamav ?"},
	} {
		q := newQuarantine()
		for id := range q.holds {
			if id != "hold-0" {
				delete(q.holds, id)
			}
		}
		q.holds["hold-0"]["class"], q.holds["hold-0"]["reasons"], q.holds["hold-0"]["unchecked"] = c.class, c.reasons, c.unchecked
		row := ask(desk(t, q), "en", "GET", "/held", nil).Body.String()
		if _, rest, ok := strings.Cut(row, "<tr data-row>"); ok {
			row = rest
		}
		if !strings.Contains(row, c.has) || strings.Contains(row, c.lacks) {
			t.Errorf("%s: %s", name, row)
		}
	}
}
