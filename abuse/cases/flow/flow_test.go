package flow_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/abuse/calendar"
	"postern/abuse/cases/flow"
)

func plain(t interface{ Fatal(...any) }) *calendar.Calendar {
	s, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.Team("")
}

func TestEveryStateIsReachedAndLeft(t *testing.T) {
	for _, external := range []bool{false, true} {
		start := flow.New
		if external {
			start = flow.Detected
		}
		seen := map[flow.State]bool{start: true}
		for todo := []flow.State{start}; len(todo) > 0; todo = todo[1:] {
			next := slices.Concat(flow.Next(external, todo[0], flow.System), flow.Next(external, todo[0], flow.Lead))
			if len(next) == 0 {
				t.Errorf("nothing leads out of %s", todo[0])
			}
			for _, s := range next {
				if !seen[s] {
					seen[s] = true
					todo = append(todo, s)
				}
			}
		}
		if !seen[flow.Closed] || !seen[flow.Reopened] {
			t.Errorf("external %v: %v", external, seen)
		}
		for _, r := range flow.Rules() {
			if r.External == external && !seen[r.From] {
				t.Errorf("nothing leads to %s", r.From)
			}
		}
	}
	used := map[flow.State]bool{}
	for _, r := range flow.Rules() {
		for _, s := range []flow.State{r.From, r.To} {
			if _, ok := flow.Of(s); !ok {
				t.Errorf("%s is not defined", s)
			}
			used[s] = true
		}
	}
	for _, s := range flow.States() {
		if !used[s] {
			t.Errorf("no rule knows %s", s)
		}
	}
}

func TestALeadMayDoAllThatAnAgentMay(t *testing.T) {
	for _, r := range flow.Rules() {
		if slices.Contains(r.Roles, flow.Agent) && !slices.Contains(r.Roles, flow.Lead) {
			t.Errorf("%s to %s", r.From, r.To)
		}
		if r.To == flow.Terminated && (slices.Contains(r.Roles, flow.System) || !slices.Contains(r.Needs, flow.NeedSecond)) {
			t.Error("a permanent end may come by itself")
		}
		if r.To == flow.Probation && slices.Contains(r.Roles, flow.System) {
			t.Error("a suspended account may come back by itself")
		}
	}
	if _, ok, known := flow.Find(false, flow.Suspended, flow.Terminated, flow.Agent); ok || !known {
		t.Error("an agent may end an account")
	}
	if _, _, known := flow.Find(false, flow.Triage, flow.Suspended, flow.Lead); known {
		t.Error("from triage straight to suspended")
	}
}

func TestLengths(t *testing.T) {
	monday := time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC)
	for n, want := range map[flow.Name]time.Time{
		flow.Ack: monday.Add(5 * time.Minute), flow.First: monday.Add(24 * time.Hour), flow.Result: monday.Add(72 * time.Hour),
		flow.Measure: monday.Add(4 * time.Hour), flow.Review: monday.Add(time.Hour), flow.Approve: monday.Add(24 * time.Hour),
		flow.Trial: monday.AddDate(0, 0, 30), flow.Purge: monday.AddDate(0, 0, 90), flow.Reply: monday.AddDate(0, 0, 7),
	} {
		c, err := flow.Start(n, monday, plain(t))
		if err != nil || !c.Due().Equal(want) {
			t.Errorf("%s: %s %v", n, c.Due(), err)
		}
	}
	// 80 % of a business day of 9 hours is 7 h 12.
	c, err := flow.Start(flow.First, monday.Add(-time.Hour), plain(t))
	if err != nil || c.Marks[1].Sub(c.Start) != 7*time.Hour+12*time.Minute {
		t.Errorf("%s %v", c.Marks[1], err)
	}
}

func TestAClockThatStandsStill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 1e7).Draw(t, "start")) * time.Second)
		n := rapid.SampledFrom([]flow.Name{flow.Result, flow.First, flow.Measure}).Draw(t, "clock")
		c, err := flow.Start(n, start, plain(t))
		if err != nil {
			t.Fatal(err)
		}
		due, now, stood := c.Due(), start, time.Duration(0)
		for range rapid.IntRange(0, 5).Draw(t, "pauses") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "goes")) * time.Second)
			c.Pause(now)
			if _, ok := c.Next(); ok {
				t.Fatal("a clock that stands still tells")
			}
			rest := time.Duration(rapid.IntRange(0, 5000).Draw(t, "stands")) * time.Second
			now, stood = now.Add(rest), stood+rest
			c.Resume(now)
		}
		if !c.Due().Equal(due.Add(stood)) || c.Marks[0].After(c.Marks[1]) || c.Marks[1].After(c.Marks[2]) {
			t.Fatalf("%v, stood %s", c, stood)
		}
	})
}
