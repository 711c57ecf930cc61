package rulecalls_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/cmd/postern/rulecalls"
	"postern/cmd/postern/rulecalls/list"
	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/internal/mailtest/entities"
	"postern/internal/spool"
	"postern/internal/store/local"
	"postern/quarantine"
)

// held is a node that keeps mail.
type held struct {
	*node
	keeps *quarantine.Quarantine
	asked atomic.Int32 // steps that should have been left alone
	scan  error        // why the scanner cannot tell
}

// looking is a step that finds one thing.
func looking(name string, stage filter.Stage, find func() ([]filter.Finding, error)) filter.Step {
	return filter.Step{Name: name, Stage: stage, Check: filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) { return find() })}
}

func newHeld(t *testing.T) *held {
	t.Helper()
	home, err := local.Open(t.Context(), local.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = home.Close() })
	w := &held{node: newNode(t, "mx1", &entities.Memory{})}
	w.keeps = quarantine.New(quarantine.Config{
		Store: home.Holds(), Spool: &spool.Spool{Dir: t.TempDir()}, Now: time.Now, Subject: func(*filter.Message) string { return "please hold this" },
	})
	w.desk.Quarantine = w.keeps
	alone := func() ([]filter.Finding, error) { w.asked.Add(1); return nil, nil }
	w.desk.Pipeline = func() *filter.Pipeline {
		return &filter.Pipeline{Judge: w.set.Without(w.off), Steps: []filter.Step{
			looking(steps.StepSPF, filter.OnSender, alone),
			looking(steps.StepLists, filter.OnData, alone),
			looking(steps.StepPatterns, filter.OnData, alone), // each set brings its own
			looking(steps.StepAuth, filter.OnData, func() ([]filter.Finding, error) { return []filter.Finding{{Symbol: "DKIM_FAIL"}}, nil }),
			looking(steps.StepClamAV, filter.OnData, func() ([]filter.Finding, error) { return nil, w.scan }),
		}}
	}
	return w
}

// keep holds a message for reasons that are written as "SYMBOL by the steps".
func (w *held) keep(id, to string, direction filter.Direction, because ...string) string {
	w.t.Helper()
	text := "From: a@b.example\r\nTo: " + to + "\r\nSubject: please hold this\r\n\r\nAn offer.\r\n"
	m := &filter.Message{
		ID: id, Direction: direction, From: "a@b.example", Account: "anna@example.com", Body: strings.NewReader(text), Size: int64(len(text)),
		SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(text))), To: []filter.Recipient{{Address: to, Policy: "of-before"}},
	}
	v := filter.Verdict{Action: filter.Quarantine, Policy: "of-before"}
	for _, b := range because {
		symbol, by, _ := strings.Cut(b, " ")
		v.Reasons = append(v.Reasons, filter.Reason{Symbol: symbol, Step: by})
	}
	kept, err := w.keeps.Keep(w.t.Context(), quarantine.Request{Message: m, Recipient: m.To[0], Verdict: v, Class: string(quarantine.ByVerdict), Key: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return kept
}

// marks are the reasons that have a mark, as "mark SYMBOL".
func marks(all []rulecalls.Why) (out []string) {
	for _, y := range all {
		if y.Mark != "" {
			out = append(out, y.Mark+" "+y.Symbol)
		}
	}
	slices.Sort(out)
	return out
}

func has(j rulecalls.Judged, symbol string) bool {
	return slices.ContainsFunc(j.Why, func(y rulecalls.Why) bool { return y.Symbol == symbol })
}

func TestATryShowsWhatATextWouldChange(t *testing.T) {
	w := newHeld(t)
	hold := w.keep("m1", "ben@example.com", filter.Inbound, "HOLD_THIS "+steps.StepPatterns, "SPF_FAIL "+steps.StepSPF)
	for _, c := range []struct {
		name      string
		text      string
		then      string
		flips     bool
		gone, new []string
	}{
		{name: "the same text", text: own, then: "quarantine"},
		{name: "less of it", text: strings.Replace(own, "score: 8", "score: 1", 1), then: "accept", flips: true, new: []string{"other HOLD_THIS"}},
		{name: "more of it", text: strings.Replace(own, "score: 8", "score: 9", 1), then: "quarantine", new: []string{"other HOLD_THIS"}},
		{name: "nothing of it", text: "symbols: {}\n", then: "accept", flips: true, gone: []string{"gone HOLD_THIS"}},
		{name: "another name", text: strings.Replace(own, "HOLD_THIS", "HOLD_THAT", 1), then: "quarantine", gone: []string{"gone HOLD_THIS"}, new: []string{"new HOLD_THAT"}},
	} {
		out, refused := call[rulecalls.Tried](w.node, "rules.try", rulecalls.Try{Hold: hold, File: "rules/own.yaml", Text: c.text})
		if refused != "" || out.Hold != hold || out.Subject != "please hold this" || out.Held != "quarantine" {
			t.Fatalf("%s: %q %+v", c.name, refused, out)
		}
		if out.Now.Action != "quarantine" || out.Then.Action != c.then || out.Flips != c.flips {
			t.Errorf("%s: from %s to %s, flips: %v", c.name, out.Now.Action, out.Then.Action, out.Flips)
		}
		if !slices.Equal(marks(out.Now.Why), c.gone) || !slices.Equal(marks(out.Then.Why), c.new) {
			t.Errorf("%s: now %q, then %q", c.name, marks(out.Now.Why), marks(out.Then.Why))
		}
		if w.text("rules.d/own.yaml") != own {
			t.Fatalf("%s: it was written", c.name)
		}
	}
}

// TestATryLooksAnew has what is found again, and what is taken from when the message came
// because it depends on that moment.
func TestATryLooksAnew(t *testing.T) {
	w := newHeld(t)
	hold := w.keep("m1", "ben@example.com", filter.Inbound,
		"SPF_FAIL "+steps.StepSPF, "DKIM_NONE "+steps.StepAuth, "FROM_MULTIPLE "+steps.StepLists+","+steps.StepAuth, "HOLD_THIS "+steps.StepPatterns, "SPF_NONE", "NO_LONGER_KNOWN")
	out, refused := call[rulecalls.Tried](w.node, "rules.try", rulecalls.Try{Hold: hold})
	if refused != "" || !slices.Equal(out.As, []string{"SPF_FAIL", "SPF_NONE"}) {
		t.Fatalf("%q: as it came: %q", refused, out.As)
	}
	for symbol, want := range map[string]bool{"SPF_FAIL": true, "SPF_NONE": true, "DKIM_FAIL": true, "HOLD_THIS": true, "DKIM_NONE": false, "FROM_MULTIPLE": false, "NO_LONGER_KNOWN": false} {
		if has(out.Now, symbol) != want {
			t.Errorf("%s: %v, %+v", symbol, !want, out.Now.Why)
		}
	}
	if n := w.asked.Load(); n != 0 {
		t.Errorf("%d steps ran that depend on the moment", n)
	}
	if len(out.Unchecked) != 0 || out.Flips || marks(out.Then.Why) != nil {
		t.Errorf("%+v", out)
	}
	w.scan = &filter.CouldNot{Words: "no scanner answers", Cause: errors.New("10.0.0.9 refuses")}
	if out, _ = call[rulecalls.Tried](w.node, "rules.try", rulecalls.Try{Hold: hold}); !slices.Equal(out.Unchecked, []string{"clamav: no scanner answers"}) {
		t.Errorf("%q", out.Unchecked)
	}
}

// TestATryGoesByThePoliciesThereAre and not by the name of the one that held it.
func TestATryGoesByThePoliciesThereAre(t *testing.T) {
	w := newHeld(t)
	for _, c := range []struct {
		id, to    string
		direction filter.Direction
		policy    string
		action    string
	}{
		{id: "m1", to: "ben@example.com", policy: "default", action: "quarantine"},
		{id: "m2", to: "postmaster@example.com", policy: "postmaster", action: "tag"},
		{id: "m3", to: "postmaster@other.example", direction: filter.Outbound, policy: "outgoing", action: "quarantine"},
	} {
		out, refused := call[rulecalls.Tried](w.node, "rules.try", rulecalls.Try{Hold: w.keep(c.id, c.to, c.direction)})
		if refused != "" || out.Now.Policy != c.policy || out.Now.Action != c.action {
			t.Errorf("%s: %q %s by %s", c.to, refused, out.Now.Action, out.Now.Policy)
		}
	}
}

// TestATryCountsNothingForWhatIsSwitchedOff on either side: the text does not switch it on.
func TestATryCountsNothingForWhatIsSwitchedOff(t *testing.T) {
	w := newHeld(t)
	hold := w.keep("m1", "ben@example.com", filter.Inbound)
	if _, refused := call[list.Off](w.node, "rules.off", list.TurnOff{Symbol: "HOLD_THIS", Hours: 1, Note: "too many"}); refused != "" {
		t.Fatal(refused)
	}
	out, refused := call[rulecalls.Tried](w.node, "rules.try", rulecalls.Try{Hold: hold, File: "rules/own.yaml", Text: strings.Replace(own, "score: 8", "score: 20", 1)})
	if refused != "" || out.Now.Action != "accept" || out.Then.Action != "accept" || !has(out.Then, "HOLD_THIS") {
		t.Errorf("%q %+v", refused, out)
	}
}

func TestATryThatCannotBeMade(t *testing.T) {
	w := newHeld(t)
	hold := w.keep("m1", "ben@example.com", filter.Inbound)
	for _, c := range []struct {
		name string
		try  rulecalls.Try
		says string
	}{
		{name: "no such message", try: rulecalls.Try{Hold: "m2-00"}, says: "not found: "},
		{name: "no message", try: rulecalls.Try{}, says: "not found: "},
		{name: "a wrong text", try: rulecalls.Try{Hold: hold, File: "rules/own.yaml", Text: strings.Replace(own, "score: 8", "scor: 8", 1)}, says: "own.yaml:6:5"},
		{name: "a file that holds no rules", try: rulecalls.Try{Hold: hold, File: "config/postern.yaml", Text: own}, says: "only files of rules can be tried"},
		{name: "a file of no folder", try: rulecalls.Try{Hold: hold, File: "nowhere/own.yaml", Text: own}, says: "not found: "},
	} {
		if _, refused := call[rulecalls.Tried](w.node, "rules.try", c.try); !strings.Contains(refused, c.says) {
			t.Errorf("%s: %q", c.name, refused)
		}
	}
}
