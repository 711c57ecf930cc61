package desk

import (
	"strings"
	"testing"
	"time"

	"postern/filter/greylist"
)

func TestPrintWaiting(t *testing.T) {
	at := time.Date(2026, 11, 22, 14, 0, 0, 0, time.Local)
	w := greylist.Waiting{ID: "id", To: []string{"a@us.example", "b\x1b@us.example"}, Recipients: 5, Client: "192.0.2.1", Name: "mx.example",
		First: at, Last: at.Add(time.Minute), NotBefore: at.Add(5 * time.Minute), Tries: 2}
	for now, want := range map[time.Time]string{at: "may come from 2026-11-22 14:05:00", at.Add(time.Hour): "may come since 2026-11-22 14:05:00"} {
		var b strings.Builder
		printWaiting(&b, w, now)
		for _, part := range []string{want, "<> -> a@us.example", "and 3 more", "from 192.0.2.1 mx.example", "2 tries, the last at 2026-11-22 14:01:00"} {
			if !strings.Contains(b.String(), part) {
				t.Errorf("%q has no %q", b.String(), part)
			}
		}
		if strings.Contains(b.String(), "\x1b") {
			t.Error("control characters reach the terminal")
		}
	}
}
