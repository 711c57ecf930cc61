package steps_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/internal/config"
	"postern/rules"
)

// seen notes the checks that were asked.
type seen struct {
	mu    sync.Mutex
	names []string
}

func (s *seen) check(name string) filter.Check {
	return filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.names = append(s.names, name)
		return nil, nil
	})
}

// counted is an observer that counts.
type counted struct{ n *int }

func (c counted) Done(context.Context, *filter.Message, filter.Outcome) error { *c.n++; return nil }

// Mail for those who take it whatever is in it is not looked through for what decides nothing;
// where one other recipient has it, everything is looked at.
func TestTakenWhateverIsInIt(t *testing.T) {
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	taken := func(to filter.Recipient) bool { return to.Backend == "desk" }
	desk, other := filter.Recipient{Address: "abuse@x.test", Backend: "desk"}, filter.Recipient{Address: "ada@x.test", Backend: "mail"}
	always := []string{"account", "auth", "bounce", "own"}
	for _, c := range []struct {
		name string
		to   []filter.Recipient
		want []string
		told int
	}{
		{"the desk alone", []filter.Recipient{desk, desk}, always, 0},
		{"somebody beside", []filter.Recipient{desk, other}, append([]string{"attach", "clamav", "greylist", "history", "links"}, always...), 1},
		{"nobody of the desk", []filter.Recipient{other}, append([]string{"attach", "clamav", "greylist", "history", "links"}, always...), 1},
	} {
		s := &seen{}
		checks := steps.Checks{
			Links: s.check("links"), History: s.check("history"), Greylist: s.check("greylist"), Attach: s.check("attach"), ClamAV: s.check("clamav"),
			Auth: s.check("auth"), OwnContent: s.check("own"), Bounce: s.check("bounce"), AccountHeld: s.check("account"), Taken: taken,
		}
		p := steps.Pipeline(checks, set, config.Default(), slog.New(slog.DiscardHandler))
		p.Steps = slices.DeleteFunc(p.Steps, func(s filter.Step) bool { return s.Name == steps.StepPatterns })
		for i := range p.Steps {
			p.Steps[i].Timeout = 0
		}
		m := &filter.Message{To: c.to}
		p.Budget = 0
		p.Run(t.Context(), filter.OnData, m)
		got := slices.Sorted(slices.Values(s.names))
		want := slices.Sorted(slices.Values(c.want))
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v ran, want %v", c.name, got, want)
		}
		told := 0
		if err := steps.Judged(counted{&told}, taken).Done(t.Context(), m, filter.Outcome{}); err != nil || told != c.told {
			t.Errorf("%s: told %d times, want %d (%v)", c.name, told, c.told, err)
		}
	}
}
