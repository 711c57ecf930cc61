package figures_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/figures"
	"postern/abuse/cases/flow"
)

var monday = time.Date(2026, 6, 8, 9, 0, 0, 0, time.UTC)

type list []dossier.Case

func (l list) Each(_ context.Context, from, to time.Time, f func(dossier.Case) error) error {
	for _, c := range l {
		if !c.Opened.Before(from) && c.Opened.Before(to) {
			if err := f(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func plain(t *testing.T) func(string) *calendar.Calendar {
	t.Helper()
	s, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.Team
}

// answered is a person's case that was answered after a while.
func answered(t *testing.T, by string, after time.Duration) dossier.Case {
	t.Helper()
	cal := plain(t)("")
	c := dossier.Case{ID: "A-2026-000001", Opened: monday, State: flow.Triage, Priority: 3, Person: true}
	for _, n := range []flow.Name{flow.First, flow.Result} {
		k, err := flow.Start(n, monday, cal)
		if err != nil {
			t.Fatal(err)
		}
		c.Clocks = append(c.Clocks, k)
	}
	if after > 0 {
		c.Decide(by, monday.Add(after))
	}
	return c
}

func count(t *testing.T, agent string, now time.Time, all ...dossier.Case) figures.Figures {
	t.Helper()
	got, err := figures.Count(t.Context(), list(all), figures.Period{From: monday.Add(-time.Hour), To: monday.Add(time.Hour), Agent: agent}, now, plain(t))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTwoFourAndSixHoursAreFour(t *testing.T) {
	drill, feed, merged, machine := answered(t, "anna", time.Hour), answered(t, "anna", time.Hour), answered(t, "anna", time.Hour), answered(t, "abuse-desk", time.Minute)
	drill.Drill, feed.Person, merged.MergedInto = true, false, "A-2026-000001"
	late := answered(t, "", 0)
	got := count(t, "", monday.Add(30*time.Hour),
		answered(t, "anna", 2*time.Hour), answered(t, "boris", 4*time.Hour), answered(t, "anna", 6*time.Hour), drill, feed, merged, machine, late)
	if f := got.First; f == nil || f.Count != 3 || f.Mean != (4*time.Hour).Seconds() || f.Sum != (12*time.Hour).Seconds() || f.P50 != f.Mean || f.Max != (6*time.Hour).Seconds() {
		t.Errorf("%+v", got.First)
	}
	if got.FirstInDay.Part != 3 || got.FirstInDay.Of != 4 || got.Unanswered != 1 || got.Cases != 6 {
		t.Errorf("%+v, %d unanswered of %d", got.FirstInDay, got.Unanswered, got.Cases)
	}
	if got.Left["drill"] != 1 || got.Left["feed"] != 1 || got.Left["merged"] != 1 || got.Late["T_first"] != 1 {
		t.Errorf("%v %v", got.Left, got.Late)
	}
	if anna := count(t, "anna", monday.Add(time.Hour), answered(t, "anna", 2*time.Hour), answered(t, "boris", 4*time.Hour)); anna.First.Mean != 7200 || anna.Left["agent"] != 1 {
		t.Errorf("%+v", anna)
	}
}

func TestNothingIsInvented(t *testing.T) {
	got := count(t, "", monday)
	text, err := json.Marshal(got)
	if err != nil || strings.Contains(string(text), "mean_s") || strings.Contains(string(text), `"share"`) {
		t.Errorf("%s %v", text, err)
	}
	if _, err := figures.Count(t.Context(), list{}, figures.Period{From: monday, To: monday}, monday, plain(t)); !errors.Is(err, dossier.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func TestResultsAndFates(t *testing.T) {
	in, out, barred := answered(t, "anna", time.Hour), answered(t, "anna", time.Hour), answered(t, "anna", time.Hour)
	in.ResultAt, out.ResultAt, barred.ResultAt, barred.Barred = monday.Add(72*time.Hour), monday.Add(73*time.Hour), monday.Add(time.Hour), true
	missing := answered(t, "anna", time.Hour)
	in.Closed, in.Reopened = monday.Add(80*time.Hour), 0
	out.Reopened = 1
	wrong := answered(t, "anna", time.Hour)
	wrong.Contained, wrong.NoAbuse, wrong.State, wrong.Grade = monday, true, flow.Released, 4
	wrong.Categories = []dossier.Category{"S1", "S5"}
	k, err := flow.Start(flow.Review, monday, plain(t)(""))
	if err != nil {
		t.Fatal(err)
	}
	k.Stopped = monday.Add(30 * time.Minute)
	wrong.Clocks = append(wrong.Clocks, k)
	right := answered(t, "anna", time.Hour)
	right.Contained = monday
	got := count(t, "", monday.Add(100*time.Hour), in, out, barred, missing, wrong, right)
	if r := got.ResultIn72; r.Part != 1 || r.Of != 5 { // three were never told
		t.Errorf("%+v", r)
	}
	if got.Result.Count != 2 || got.Reopened.Part != 1 || got.Reopened.Of != 2 || got.Wrong.Part != 1 || got.Wrong.Of != 2 || got.WrongFor.Mean != 1800 {
		t.Errorf("%+v %+v %+v %+v", got.Result, got.Reopened, got.Wrong, got.WrongFor)
	}
	if got.Proof["P4"] != 1 || got.Category["S5"] != 1 || got.State["RELEASED"] != 1 {
		t.Errorf("%v %v %v", got.Proof, got.Category, got.State)
	}
}

func TestRanks(t *testing.T) {
	var all []time.Duration
	for i := 100; i >= 1; i-- {
		all = append(all, time.Duration(i)*time.Second)
	}
	if got := figures.Sum(all); got.P50 != 50 || got.P90 != 90 || got.P99 != 99 || got.Max != 100 || got.Mean != 50.5 {
		t.Errorf("%+v", got)
	}
	if got := figures.Sum([]time.Duration{time.Second}); got.P50 != 1 || got.P99 != 1 {
		t.Errorf("%+v", got)
	}
	p, err := figures.Month("2026-02", time.UTC)
	if err != nil || p.To.Sub(p.From) != 28*24*time.Hour {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := figures.Month("Feb", time.UTC); err == nil {
		t.Error("passes")
	}
}
