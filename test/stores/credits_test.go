package stores_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"postern/abuse/second"
	"postern/abuse/service/credit"
	"postern/cmd/postern/service"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/people"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest/credittest"
)

// onEntities runs a test on the entities of each home.
func onEntities(t *testing.T, run func(t *testing.T, empty func(t testing.TB) entity.Store)) {
	t.Run("embedded", func(t *testing.T) {
		run(t, func(t testing.TB) entity.Store { return embedded(t).Entities() })
	})
	t.Run("redis", func(t *testing.T) {
		server := redistest.Server(t)
		run(t, func(t testing.TB) entity.Store { return shared(t, server).Entities })
	})
}

// TestCredits has the ledger of credits kept by each home.
func TestCredits(t *testing.T) { onEntities(t, credittest.Credits) }

// A credit that waits for a second person and is refused, or approved by who broke the glass,
// leaves no proposal that waits.
func TestCreditTakesItsProposalWithIt(t *testing.T) {
	onEntities(t, func(t *testing.T, empty func(t testing.TB) entity.Store) {
		home, server := empty(t), control.NewServer()
		now := time.Date(2030, 7, 2, 12, 0, 0, 0, time.UTC) // the month is closed: nothing counts it again
		audit := func(context.Context, string, string, string, any, any, string) error { return nil }
		desk := service.New(service.Parts{
			Config: config.Default, Entities: home.(entity.Home), Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler), Audit: audit, Event: func(string, string, bool) {},
		})
		desk.Second = &second.Book{Store: home, Now: func() time.Time { return now }, Audit: audit, Alert: func(string, string, bool) {}, Do: desk.ApprovedCredit, Dropped: desk.DroppedCredit, Moot: desk.MootCredit}
		desk.Handle(server)
		value := 200.0
		for _, figure := range []string{"refused", "alone", "waits"} {
			must(t, desk.Credits.Settle(t.Context(), "2026-06", []credit.Result{{Figure: figure, Clause: "5", Kind: credit.Waived, Value: &value, Verdict: credit.Broken}}))
			id := credit.ID("2026-06", figure)
			p, err := desk.Second.Propose(t.Context(), second.Person{Name: "lea", User: true, Lead: true}, second.Proposal{Act: service.ActCredit, Object: id, Reason: "owed"})
			must(t, err)
			_, err = desk.Credits.Ask(t.Context(), "lea", id, p.ID, "owed")
			must(t, err)
		}
		lee := people.With(t.Context(), people.Principal{Name: "lee", Role: people.Lead})
		must(t, server.Call(lee, "service.credit-refuse", service.CreditDecision{ID: "c-2026-06-refused", Why: "no"}, nil))
		_, err := desk.Credits.Decide(t.Context(), "break-glass by root", "c-2026-06-alone", true, "a holiday")
		must(t, err)
		ended := map[string]second.State{}
		all, err := desk.Second.List(t.Context(), "", "", 100)
		must(t, err)
		for _, p := range all.Proposals {
			ended[p.Object] = p.State
		}
		if ended["c-2026-06-refused"] != second.Refused || ended["c-2026-06-alone"] != second.Withdrawn || ended["c-2026-06-waits"] != second.Open || len(ended) != 3 {
			t.Errorf("%v", ended)
		}
		open, err := desk.Second.List(t.Context(), second.Open, "", 100)
		must(t, err)
		if len(open.Proposals) != 1 {
			t.Errorf("%+v", open.Proposals)
		}
	})
}
