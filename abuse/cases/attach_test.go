package cases_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
)

// A report that was interrupted is taken up after another one about the same account came: both
// count once.
func TestAnotherReportComesBetween(t *testing.T) {
	for cut := range 20 {
		w := newWorld(t)
		left := cut
		w.home.Fail = func() error {
			if left--; left < 0 {
				return errors.New("power cut")
			}
			return nil
		}
		_, err := w.Attach(t.Context(), proven("r1", "a@a.test", "c1"))
		w.home.Fail = nil
		if err == nil && cut > 12 {
			return
		}
		w.attach(t, proven("r2", "a@a.test", "c2"))
		w.attach(t, proven("r1", "a@a.test", "c1"))
		w.tick(t, monday.Add(2*time.Minute))
		c := w.attach(t, proven("r1", "a@a.test", "c1"))
		if c.Reports != 2 || c.Votes != 200 || len(c.Pending) != 0 {
			t.Errorf("cut at write %d: %d reports, %d votes, %d pending", cut, c.Reports, c.Votes, len(c.Pending))
		}
		links, _, err := w.Reports(t.Context(), c.ID, "", 10)
		if err != nil || len(links) != 2 || !links[0].Counted || !links[1].Counted {
			t.Errorf("cut at write %d: %+v, %v", cut, links, err)
		}
	}
	t.Error("no end of its writes")
}

// What a report costs is above all what is written for it, each time synced.
func TestWhatAReportWrites(t *testing.T) {
	w := newWorld(t)
	writes := 0
	w.home.Fail = func() error { writes++; return nil }
	for i, most := range []int{8, 6, 6} { // votes, number, subject, case, link, two lines, both taken off; then votes, link, case, line, taken off, link
		writes = 0
		w.attach(t, proven(fmt.Sprintf("r%d", i), "a@a.test", fmt.Sprintf("c%d", i)))
		if t.Logf("report %d: %d writes", i+1, writes); writes > most {
			t.Errorf("report %d was written %d times, at most %d are needed", i+1, writes, most)
		}
	}
}

// Who acts on a report finds it tied to its case, of one that is born of it too.
func TestFollowersFindTheReport(t *testing.T) {
	w := newWorld(t)
	var seen []string
	w.Followers = []cases.Named{{Name: "letters", Follower: followerFunc(func(ctx context.Context, c cases.Case, e cases.Event) error {
		l, err := w.Link(ctx, e.Report)
		if err == nil {
			seen = append(seen, fmt.Sprintf("%s %s %s %d", e.Action, l.Case, c.ID, c.Reports))
		}
		return err
	})}}
	w.attach(t, proven("r1", "a@a.test", "c1"))
	w.attach(t, proven("r2", "a@a.test", "c1"))
	if want := []string{"opened A-2026-000001 A-2026-000001 1", "report A-2026-000001 A-2026-000001 1", "duplicate A-2026-000001 A-2026-000001 2"}; !slices.Equal(seen, want) {
		t.Errorf("%q", seen)
	}
}

// A report that an earlier program only wrote down is placed and counted.
func TestALinkWithoutACase(t *testing.T) {
	w := newWorld(t)
	c := proven("r1", "a@a.test", "c1")
	if _, err := dossier.Links(w.home).Create(t.Context(), cases.Link{Complaint: c}); err != nil {
		t.Fatal(err)
	}
	w.tick(t, monday.Add(2*time.Minute))
	w.tick(t, monday.Add(4*time.Minute))
	got := w.attach(t, c)
	if got.Reports != 1 || got.Votes != 100 || len(got.Pending) != 0 {
		t.Errorf("%+v", got)
	}
}
