package rulecalls_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/rulecalls"
	"postern/filter"
	"postern/internal/mailtest/entities"
	"postern/rules/replay"
)

// passed tells the node of messages that were judged, so long before now.
func (n *node) passed(ago time.Duration, times int, symbols ...string) (ids []string) {
	n.t.Helper()
	for range times {
		id, err := filter.NewID(n.now.Add(-ago), rand.Reader)
		if err != nil {
			n.t.Fatal(err)
		}
		m := &filter.Message{ID: id, Body: strings.NewReader(""), To: []filter.Recipient{{Address: "ben@example.com", Policy: "default"}}}
		var r filter.Report
		for _, s := range symbols {
			r.Findings = append(r.Findings, filter.Finding{Symbol: s, Step: replay.StepPatterns})
		}
		if err := n.desk.Features.Done(n.t.Context(), m, filter.Outcome{Report: r, Verdicts: filter.Verdicts(n.set, m, r)}); err != nil {
			n.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func TestAReplayShowsWhatAFileWouldHaveDone(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	held := n.passed(time.Hour, 3, "HOLD_THIS")
	n.passed(time.Hour, 97)
	const file = "rules/own.yaml"
	softer := strings.Replace(own, "score: 8", "score: 1", 1)
	for _, c := range []struct {
		name                        string
		ask                         rulecalls.Replay
		known, open, milder, strict int
	}{
		{"the rules as they are", rulecalls.Replay{}, 100, 0, 0, 0},
		{"a lower score", rulecalls.Replay{File: file, Text: softer}, 100, 0, 3, 0},
		{"the file is removed", rulecalls.Replay{File: file, Gone: true}, 100, 0, 3, 0},
		{"no file at all", rulecalls.Replay{Whole: true}, 100, 0, 3, 0},
		{"all files", rulecalls.Replay{Files: map[string]string{"a.yaml": own, "b.yaml": "policies:\n  default: {tag: 0.5, greylist: off, quarantine: 9, reject: 20}\n"}}, 100, 0, 3, 0},
		{"another expression", rulecalls.Replay{File: file, Text: strings.Replace(own, "'please hold'", "'(?i)please hold'", 1)}, 0, 100, 0, 0},
		{"one that changes nothing by itself", rulecalls.Replay{File: "rules/new.yaml", Text: "patterns:\n  - {id: NEW_ONE, describe: A new one, in: body, match: word, score: 1}\n"}, 100, 0, 0, 0},
		{"one that may", rulecalls.Replay{File: "rules/new.yaml", Text: "patterns:\n  - {id: NEW_ONE, describe: A new one, in: body, match: word, score: -2}\n"}, 97, 3, 0, 0},
	} {
		out, refused := call[rulecalls.Replayed](n, "rules.replay", c.ask)
		r := out.Report
		if refused != "" || r.Messages != 100 || r.Known != c.known || r.NotKnown != c.open || r.Milder.N != c.milder || r.Stricter.N != c.strict || r.Unlike != 0 || out.Next != "" {
			t.Errorf("%s: %+v %s", c.name, r, refused)
		}
	}
	out, _ := call[rulecalls.Replayed](n, "rules.replay", rulecalls.Replay{File: file, Text: softer})
	f := out.Report.Flips[0]
	if f.From != "quarantine" || f.To != "accept" || len(f.Examples) != 3 || !slices.Contains(held, f.Examples[0].ID) || f.Examples[0].Changed[0] != (replay.Changed{Symbol: "HOLD_THIS", Before: 800, After: 100}) {
		t.Errorf("%+v", f)
	}
	if out.Kept.Kept != 100 || out.Kept.Seen != 100 || out.Days != 7 || out.Report.Milder.CI[1] < 0.08 {
		t.Errorf("%+v", out)
	}
}

// TestAReplayIsDoneInParts that come to the same as one.
func TestAReplayIsDoneInParts(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	for range 4 {
		n.passed(time.Minute, 5, "HOLD_THIS")
		if err := n.desk.Features.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.now = n.now.Add(time.Minute)
	}
	ask := rulecalls.Replay{File: "rules/own.yaml", Gone: true, Parts: 1}
	calls := 0
	for {
		out, refused := call[rulecalls.Replayed](n, "rules.replay", ask)
		if refused != "" {
			t.Fatal(refused)
		}
		if calls++; out.Report.Messages != 5*calls || out.Report.Milder.N != 5*calls || out.Report.Milder.Share != 1 {
			t.Errorf("part %d: %+v", calls, out.Report)
		}
		if out.Next == "" {
			break
		}
		ask.After, ask.SoFar = out.Next, &out.Report
	}
	if calls != 4 {
		t.Errorf("%d parts", calls)
	}
}

func TestAReplayGoesBackSoManyDays(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	n.passed(50*time.Hour, 2)
	n.passed(time.Hour, 3)
	for days, want := range map[int]int{1: 3, 3: 5, 0: 5, 90: 5} {
		if out, refused := call[rulecalls.Replayed](n, "rules.replay", rulecalls.Replay{Days: days}); refused != "" || out.Report.Messages != want || out.Days > 7 {
			t.Errorf("%d days: %d messages %s", days, out.Report.Messages, refused)
		}
	}
}

// TestWhatIsSwitchedOffStaysSo under both sets.
func TestWhatIsSwitchedOffStaysSo(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	n.passed(time.Hour, 2, "HOLD_THIS")
	if _, refused := call[any](n, "rules.off", map[string]any{"symbol": "HOLD_THIS", "hours": 1, "note": "wrong"}); refused != "" {
		t.Fatal(refused)
	}
	whole := n.set
	n.set = whole.Without([]string{"HOLD_THIS"})
	out, refused := call[rulecalls.Replayed](n, "rules.replay", rulecalls.Replay{File: "rules/own.yaml", Text: strings.Replace(own, "score: 8", "score: 20", 1)})
	if refused != "" || out.Report.Flipped() != 0 || out.Report.Known != 2 || !slices.Equal(out.Off, []string{"HOLD_THIS"}) {
		t.Errorf("%+v %s", out, refused)
	}
}

func TestWhatIsNoReplay(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	many := map[string]string{}
	for i := range rulecalls.MaxRuleFiles + 1 {
		many[fmt.Sprintf("%d.yaml", i)] = ""
	}
	for _, c := range []struct {
		ask  rulecalls.Replay
		says string
	}{
		{rulecalls.Replay{Days: -1}, "invalid: days: 0 to"},
		{rulecalls.Replay{Days: 91}, "invalid: days: 0 to"},
		{rulecalls.Replay{File: "rules/own.yaml", Text: "scor: 1\n"}, "invalid: "},
		{rulecalls.Replay{File: "config/postern.yaml", Text: "x"}, "invalid: "},
		{rulecalls.Replay{File: "nothing/x.yaml"}, ""},
		{rulecalls.Replay{Files: map[string]string{"../x.yaml": own}}, "no rule file"},
		{rulecalls.Replay{Files: map[string]string{"x.txt": own}}, "no rule file"},
		{rulecalls.Replay{Files: map[string]string{"x.yaml": strings.Repeat("#", 1<<20)}}, "no rule file"},
		{rulecalls.Replay{Files: map[string]string{"x.yaml": "patterns: [{}]"}}, "invalid: "},
		{rulecalls.Replay{Files: many}, "at most 200 files"},
	} {
		if _, refused := call[rulecalls.Replayed](n, "rules.replay", c.ask); refused == "" || !strings.Contains(refused, c.says) {
			t.Errorf("%+v: %q", c.ask, refused)
		}
	}
	n.desk.Config().Rules.Replay.Keep = 0
	if _, refused := call[rulecalls.Replayed](n, "rules.replay", rulecalls.Replay{}); !strings.HasPrefix(refused, "conflict: no features") {
		t.Error(refused)
	}
}

// TestReplaysWaitForEachOther: one runs at a time, and who leaves waits no longer.
func TestReplaysWaitForEachOther(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	n.passed(time.Minute, 3, "HOLD_THIS")
	first, refused := call[rulecalls.Replayed](n, "rules.replay", rulecalls.Replay{})
	if refused != "" || first.Report.Messages != 3 {
		t.Fatalf("%+v %s", first, refused)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := n.calls.Call(gone, "rules.replay", rulecalls.Replay{}, nil); err == nil {
		t.Error("who has left is answered")
	}
	again, refused := call[rulecalls.Replayed](n, "rules.replay", rulecalls.Replay{})
	if refused != "" || again.Report.Messages != 3 {
		t.Errorf("after one who left: %+v %s", again, refused)
	}
}
