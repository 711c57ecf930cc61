package intakecalls_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases"
	"postern/abuse/intake"
	"postern/abuse/intake/bundle"
	"postern/abuse/intake/feeds"
	"postern/abuse/intake/shelf"
	"postern/cmd/postern/intakecalls"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

// takes is a desk of cases that takes everything into one.
type takes struct{}

func (takes) Attach(context.Context, cases.Complaint) (cases.Case, error) {
	return cases.Case{ID: "A-2026-000007"}, nil
}

// flood is a server with a flood of reports that was handed to its case.
func flood(t *testing.T) (s *control.Server, id string, audit *[]string) {
	t.Helper()
	now := time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	home := &entities.Memory{Now: clock}
	var works []shelf.Work
	for _, name := range []string{"r-1", "r-2", "r-3"} {
		w := shelf.Work{
			Report: name,
			At:     now,
			State:  shelf.New,
			Fold:   "flood",
			SHA256: strings.Repeat("a", 64),
		}
		if _, err := shelf.Works(home).Create(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		works = append(works, w)
	}
	if err := (bundle.Binder{Home: home, Cases: takes{}, Now: clock}).Take(t.Context(), "flood", works); err != nil {
		t.Fatal(err)
	}
	err := bundle.Shelf(home).Each(t.Context(), entity.Query{Index: "all"}, func(r entity.Row[bundle.Bundle]) error {
		id = r.Value.ID
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	audit = &[]string{}
	s = control.NewServer()
	intakecalls.Parts{
		Desk: &intake.Desk{
			Home:  home,
			Feeds: &feeds.Book{Home: home, Now: clock},
			Now:   clock,
			Log:   slog.New(slog.DiscardHandler),
		},
		Audit: func(_ context.Context, actor, action, object string, _, _ any, _ string) error {
			*audit = append(*audit, action+" "+object)
			return nil
		},
	}.Handle(s)
	return s, id, audit
}

// TestBundles: what a timeline names as b-… is shown as the reports that it stands for.
func TestBundles(t *testing.T) {
	s, id, audit := flood(t)
	var got intakecalls.Complaint
	if err := s.Call(t.Context(), "complaint.show", intakecalls.ID{ID: id}, &got); err != nil {
		t.Fatal(err)
	}
	switch {
	case got.Bundle == nil:
		t.Fatalf("%+v", got)
	case got.Like != 3 || len(got.Bundle.Reports) != 3 || got.Bundle.Case != "A-2026-000007" || got.Bundle.Reports[1].ID != "r-2":
		t.Errorf("%+v", got.Bundle)
	case got.Report.ID != "":
		t.Errorf("it is one report as well: %+v", got.Report)
	}
	for _, name := range []string{"complaint.view", "complaint.raw"} {
		err := s.Call(t.Context(), name, intakecalls.ID{ID: id}, nil)
		var e *control.Error
		if !errors.As(err, &e) || e.Kind != control.Invalid || !strings.Contains(e.Message, "stands for many") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(*audit) != 0 {
		t.Errorf("nobody looked at evidence, and the audit says %v", *audit)
	}
}

func TestReportsThatThereAreNot(t *testing.T) {
	s, _, _ := flood(t)
	for _, name := range []string{"complaint.show", "complaint.view", "complaint.raw"} {
		for _, id := range []string{"b-000000000000000000000000", "r-9", "", "b-"} {
			if name != "complaint.show" && strings.HasPrefix(id, "b-") {
				continue
			}
			err := s.Call(t.Context(), name, intakecalls.ID{ID: id}, nil)
			var e *control.Error
			if !errors.As(err, &e) || e.Kind != control.NotFound && e.Kind != control.Invalid {
				t.Errorf("%s %q: %v", name, id, err)
			}
		}
	}
}
