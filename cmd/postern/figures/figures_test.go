package figures_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"postern/blocklist"
	"postern/blocklist/zone"
	"postern/cmd/postern/figures"
	"postern/cmd/postern/home"
	"postern/filter/clamav"
	"postern/internal/alert"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/record"
	"postern/internal/record/trend"
	"postern/quarantine"
)

var noon = time.Date(2026, 6, 8, 12, 0, 30, 0, time.UTC)

type holds struct{ quarantine.Store }

func (holds) Stats(context.Context) (quarantine.Stats, error) {
	return quarantine.Stats{States: map[quarantine.State]int{quarantine.Held: 4}, Bytes: 1000}, nil
}

type owed struct{ home.Outbox }

func (owed) Count(context.Context) (int, error) { return 0, errors.New("away") }

// TestNowAndThen has a minute sampled and told again: what each list did in it, and nothing of
// what could not be looked at.
func TestNowAndThen(t *testing.T) {
	now := noon
	lists := []blocklist.ListHealth{{Name: "zen", On: true, Tally: zone.Tally{Asked: 10, Listed: 2, Failed: 1, Millis: 300}}, {Name: "off"}}
	d := figures.New(figures.Parts{
		Home: &home.Home{Holds: holds{}, Outbox: owed{}, Entities: &entities.Memory{}, Status: func(context.Context) home.Status { return home.Status{Home: "redis", Journal: &home.Journal{Live: 3}} }},
		Node: "mx1", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler), Lists: func() []blocklist.ListHealth { return lists },
		Scanner: func() *clamav.Scanner { return nil }, Sessions: func() int { return 5 }, Cap: func() int64 { return 1 << 30 },
		Alerts: func() []alert.Alert {
			return []alert.Alert{{Key: "a", Severity: alert.Critical}, {Key: "b", Severity: alert.Warning}}
		},
	})
	s := control.NewServer()
	d.Handle(s, func(context.Context) []home.Size { return nil })
	turn := func() trend.Trend {
		t.Helper()
		now = now.Truncate(time.Minute).Add(time.Minute)
		if err := d.Book.Turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got trend.Trend
		if err := s.Call(t.Context(), "figures.trend", figures.Ask{Range: "hour", Node: "mx1"}, &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	d.Book.Count(record.Row{Direction: "inbound", Action: "accept", To: []record.Fate{{State: "delivered"}}})
	got := turn()
	g := got.Total.Gauges
	if _, known := g["outbox"]; known || g["holds:held"] != 4 || g["stored"] != 1000 || g["owed"] != 3 || g["alerts"] != 2 || g["alerts-critical"] != 1 || g["sessions"] != 5 {
		t.Errorf("%v", g)
	}
	if _, known := g["scanners"]; known || got.Total.Fates["in:delivered"] != 1 {
		t.Errorf("%+v", got.Total)
	}
	if l := got.Total.Lists; l["zen"] != (trend.List{Asked: 10, Listed: 2, Failed: 1, Sum: 300}) || !l["off"].Off {
		t.Errorf("%+v", l)
	}
	lists[0].Tally = zone.Tally{Asked: 13, Listed: 2, Failed: 2, Millis: 350}
	if l := turn().Total.Lists["zen"]; l.Asked != 13 || l.Failed != 2 {
		t.Errorf("the second minute: %+v", l)
	}
	lists[0].Tally = zone.Tally{Asked: 1}
	if l := turn().Total.Lists["zen"]; l.Asked != 14 {
		t.Errorf("after the lists began anew: %+v", l)
	}
	var at figures.Now
	if err := s.Call(t.Context(), "figures.now", struct{}{}, &at); err != nil || at.Node != "mx1" || at.StoreMs == nil || at.AVAge != nil || len(at.Lists) != 2 || len(at.Alerts) != 2 || at.Scanners == nil {
		t.Errorf("%+v %v", at, err)
	}
	var e *control.Error
	if err := s.Call(t.Context(), "figures.trend", figures.Ask{Range: "decade"}, nil); !errors.As(err, &e) || e.Kind != control.Invalid {
		t.Error(err)
	}
}
