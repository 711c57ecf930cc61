package replaycmd

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/features"
	"postern/filter"
	"postern/rules/replay"
)

// TestPrinted: all that was found is said, what was not known too, and nothing of what strangers
// wrote moves the terminal.
func TestPrinted(t *testing.T) {
	evil := "\x1b[2J\u202e"
	v := func(a filter.Action, reasons ...filter.Reason) filter.Verdict {
		out := filter.Verdict{Action: a, Reasons: reasons}
		for _, r := range reasons {
			out.Score += r.Score
		}
		return out
	}
	var o Answer
	o.Rules, o.Days, o.Off = [2]string{"abc", "def"}, 7, []string{"OFF_ONE", "OFF" + evil}
	o.Kept = &features.Total{Kept: 40, Seen: 80, Dropped: 3}
	at := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	o.Add(replay.Pair{ID: "m1", At: at, Before: v(filter.Tag, filter.Reason{Symbol: "A", Score: 450}, filter.Reason{Symbol: "GONE", Score: -25}), After: v(filter.Reject, filter.Reason{Symbol: "A", Score: 1600}, filter.Reason{Symbol: "NEW", Score: -10})})
	o.Add(replay.Pair{Path: "mail/" + evil + ".eml", Label: "ham", Before: v(filter.Accept), After: v(filter.Quarantine)})
	o.Add(replay.Pair{Label: "spam", Before: v(filter.Quarantine), After: v(filter.Quarantine)})
	o.Add(replay.Pair{ID: "m2", Asked: []string{"PAT_ONE"}})
	o.Add(replay.Pair{ID: "m3", NoBody: true})
	o.Add(replay.Pair{ID: "m4", Unlike: true, Before: v(filter.Accept), After: v(filter.Accept)})
	o.Damaged = 2
	o.Finish()
	var b bytes.Buffer
	o.print(&b)
	got := b.String()
	for _, want := range []string{
		"rules abc -> def\n", "the last 7 days: features of 40 of 80 messages are kept, those of 3 were dropped\n", "judged: 2026-11-20",
		"6 messages: 4 known, 2 not known\n", "stricter: 2 = 50.000 %", "milder:   0 = 0.000 %", "ham: 1 messages; becomes wrong 1 = 100.000 %", "spam: 1 messages; becomes wrong 0",
		"tag -> reject: 1 = 25.000 %", "m1", "4.25 -> 15.90", "A +4.50 -> +16.00", "GONE gone -0.25", "NEW new -0.10", "accept -> quarantine: 1",
		"1 messages were refused before their body came", "PAT_ONE leaves 1 messages open", "1 messages were judged otherwise by the present rules", "2 blocks of features could not be read",
		"switched off under both: OFF_ONE OFF",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.ContainsAny(got, "\x1b\u202e") {
		t.Errorf("a terminal is moved by %q", got)
	}
}
