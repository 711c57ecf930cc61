package cases_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"postern/internal/said"

	"pgregory.net/rapid"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
)

// TestAnyWayThroughTheMachine does at random what people, rooms, reports and time may do, and
// holds what must be true of every case after each step.
func TestAnyWayThroughTheMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		known := map[string]bool{} // reports
		ids := []string{}
		for step := range rapid.IntRange(5, 20).Draw(t, "steps") {
			w.at(w.clock().Add(time.Duration(rapid.IntRange(0, 40*3600).Draw(t, "passes")) * time.Second))
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0, 1:
				r := drawReport(t, step)
				r.At = w.clock()
				known[r.Report] = true
				if c := w.attach(t, r); !contains(ids, c.ID) {
					ids = append(ids, c.ID)
				}
			case 2:
				if err := w.Tick(context.Background()); err != nil {
					t.Fatal(err)
				}
			default:
				if len(ids) > 0 {
					randomAct(t, w, rapid.SampledFrom(ids).Draw(t, "case"), ids)
				}
			}
			whole(t, w, ids, known)
		}
	})
}

func contains(all []string, s string) bool {
	for _, one := range all {
		if one == s {
			return true
		}
	}
	return false
}

func drawReport(t *rapid.T, step int) cases.Complaint {
	r := proven(fmt.Sprintf("r%d", step), fmt.Sprintf("a%d@a.test", rapid.IntRange(0, 2).Draw(t, "account")), fmt.Sprintf("c%d", rapid.IntRange(0, 6).Draw(t, "copy")))
	r.Grade = rapid.IntRange(0, 4).Draw(t, "grade")
	r.Trust = rapid.IntRange(0, 3).Draw(t, "trust")
	r.Person = rapid.Bool().Draw(t, "person")
	if r.Grade == 0 {
		r.Account, r.Copy, r.Votes = "", "", 0
	}
	if rapid.IntRange(0, 5).Draw(t, "external") == 0 {
		r.Kind, r.Account, r.SourceDomain, r.SourceTime = cases.External, "", "spam.example", monday
	}
	if rapid.IntRange(0, 5).Draw(t, "flood") == 0 {
		r.Fold = "flood"
	}
	return r
}

// randomAct does one thing; that the desk refuses it is no error, anything else is.
func randomAct(t *rapid.T, w *world, id string, ids []string) {
	ctx := context.Background()
	who := rapid.SampledFrom([]cases.Actor{anna, boris, chief, cases.Machine()}).Draw(t, "who")
	var err error
	switch rapid.IntRange(0, 9).Draw(t, "act") {
	case 0, 1, 2, 3, 4:
		c := w.get(t, id)
		to := rapid.SampledFrom(flow.States()).Draw(t, "to")
		if next := flow.Next(c.Kind == cases.External, c.State, who.Role); len(next) > 0 && rapid.Bool().Draw(t, "sensible") {
			to = rapid.SampledFrom(next).Draw(t, "next")
		}
		_, err = w.Move(ctx, who, id, cases.Request{
			To: to, Reason: "drawn", Measure: "M-1", Level: rapid.IntRange(0, 7).Draw(t, "level"), Families: []string{"A", "C"},
			Notice: "N-1", Pack: rapid.SampledFrom([]string{"", "G-1"}).Draw(t, "pack"), Proposer: "boris",
		})
	case 5:
		_, err = w.SetCategories(ctx, who, id, []cases.Category{"S1"})
	case 6:
		_, err = w.Merge(ctx, who, id, rapid.SampledFrom(ids).Draw(t, "other"), "drawn")
	case 7:
		_, err = w.Unmerge(ctx, who, id, "drawn")
	case 8:
		_, err = w.Result(ctx, who, id, "N-2", said.Words{})
	case 9:
		_, err = w.SetPriority(ctx, who, id, rapid.IntRange(0, 5).Draw(t, "priority"), said.Typed("drawn"))
	}
	var refusal *dossier.Refusal
	if err != nil && !errors.As(err, &refusal) {
		t.Fatal(err)
	}
}

// whole holds what is always true.
func whole(t *rapid.T, w *world, ids []string, known map[string]bool) {
	ctx := context.Background()
	reports := 0
	for _, id := range ids {
		c := w.get(t, id)
		def, ok := flow.Of(c.State)
		if !ok || def.Owner == "" {
			t.Fatalf("%s: state %q without an owner", id, c.State)
		}
		running := 0
		for _, k := range c.Clocks {
			if k.Running() {
				running++
			}
		}
		if running == 0 && c.State != flow.Closed && c.State != flow.Duplicate && c.MergedInto == "" {
			t.Fatalf("%s is %s and no clock runs", id, c.State)
		}
		if def.Proven && (len(c.Evidence) == 0 || len(c.Seals) == 0) {
			t.Fatalf("%s is %s without evidence", id, c.State)
		}
		if len(c.Pending) != 0 {
			t.Fatalf("%s: %d events wait", id, len(c.Pending))
		}
		events, _, err := w.Timeline(ctx, id, "", entity.MaxPage)
		if err != nil || len(events) != c.Seq {
			t.Fatalf("%s: %d events of %d, %v", id, len(events), c.Seq, err)
		}
		links, _, err := w.Reports(ctx, id, "", entity.MaxPage)
		votes := 0
		for _, l := range links {
			votes += l.Counts
		}
		if err != nil || len(links) != c.Reports || votes != c.Votes {
			t.Fatalf("%s: %d reports of %d, %d votes of %d, %v", id, len(links), c.Reports, votes, c.Votes, err)
		}
		reports += c.Reports
		if older := c.MergedInto; older != "" && older >= id {
			t.Fatalf("%s is merged into %s", id, older)
		}
	}
	if reports != len(known) {
		t.Fatalf("%d reports of %d are in cases", reports, len(known))
	}
	all := 0
	for _, id := range ids {
		if c := w.get(t, id); c.Open() && c.MergedInto == "" {
			all++
		}
	}
	if n, err := w.Count(ctx, cases.Search{}, 1000); err != nil || n != all {
		t.Fatalf("%d cases in the queue of %d, %v", n, all, err)
	}
}
