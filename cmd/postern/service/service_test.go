package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/figures"
	"postern/abuse/second"
	"postern/abuse/service/exclusion"
	"postern/abuse/service/month"
	"postern/cmd/postern/service"
	"postern/filter"
	"postern/internal/alert"
	"postern/internal/config"
	"postern/internal/config/desk"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/relay/outbox"
)

var noon = time.Date(2026, 6, 8, 12, 0, 0, 0, time.UTC)

type none struct{}

func (none) Each(context.Context, time.Time, time.Time, func(dossier.Case) error) error { return nil }

type world struct {
	config *config.Config
	desk   *service.Desk
	server *control.Server
	now    time.Time
	why    []string
	up     bool
	second *second.Book
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{config: config.Default(), now: noon, up: true, server: control.NewServer()}
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := w.config
	c.Hostname, c.Egress = "mx1.example", "out"
	c.Backends = map[string][]config.Backend{"out": nil, "mail": nil}
	w.desk = service.New(service.Parts{
		Config: func() *config.Config { return c }, Entities: &entities.Memory{}, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
		Audit:     func(context.Context, string, string, string, any, any, string) error { return nil },
		Calendars: func() *calendar.Set { return set }, Cases: func() figures.Source { return none{} },
		Up: func(string) bool { return w.up }, NotReady: func() []string { return w.why },
		AV: func() (string, time.Duration, bool) { return "1", 3 * time.Hour, true },
		Backups: func(context.Context) (service.Ages, error) {
			return service.Ages{Last: time.Hour, Full: -1, Oldest: time.Hour}, nil
		},
		Event: func(string, string, bool) {},
		Alone: func(ctx context.Context, _ string, f func(context.Context) error) error { return f(ctx) },
	})
	w.second = &second.Book{Store: &entities.Memory{}, Now: func() time.Time { return w.now }, Alert: func(string, string, bool) {}, Do: w.desk.ApprovedCredit, Dropped: w.desk.DroppedCredit, Moot: w.desk.MootCredit,
		Audit: func(context.Context, string, string, string, any, any, string) error { return nil }}
	w.desk.Second = w.second
	w.desk.Handle(w.server)
	return w
}

func (w *world) figures(t *testing.T) map[string]month.Figure {
	t.Helper()
	var r month.Report
	if err := w.server.Call(t.Context(), "service.report", service.Ask{Month: "2026-06"}, &r); err != nil {
		t.Fatal(err)
	}
	out := map[string]month.Figure{}
	for _, f := range r.Figures {
		out[f.ID] = f
	}
	return out
}

// Each copy that is delivered has a delay of its own; a message that goes out has one; held
// copies are counted apart; what comes late through the outbox counts when it comes.
func TestMail(t *testing.T) {
	w := start(t)
	at := filter.Times{Received: noon, Handed: noon.Add(2 * time.Second), Relayed: noon.Add(4 * time.Second)}
	done := func(m *filter.Message, o filter.Outcome) {
		t.Helper()
		if err := w.desk.Done(t.Context(), m, o); err != nil {
			t.Fatal(err)
		}
	}
	done(&filter.Message{ID: "a", Direction: filter.Inbound}, filter.Outcome{Times: at, Fates: []filter.Fate{
		{Recipient: "x@a.example", State: filter.Delivered}, {Recipient: "y@b.example", State: filter.Held}, {Recipient: "z@a.example", State: filter.InOutbox},
	}})
	done(&filter.Message{ID: "b", Direction: filter.Outbound, Account: "ann@a.example"}, filter.Outcome{Times: at, Fates: []filter.Fate{{Recipient: "x@far.example", State: filter.Delivered}, {Recipient: "y@far.example", State: filter.InOutbox}}})
	done(&filter.Message{ID: "c", Direction: filter.Outbound, From: "bob@b.example"}, filter.Outcome{Times: at, Fates: []filter.Fate{{Recipient: "x@far.example", State: filter.Held}}})
	done(&filter.Message{ID: "d", Direction: filter.Inbound}, filter.Outcome{Fates: []filter.Fate{{Recipient: "x@a.example", State: filter.Delivered}}}) // an answer that was given before
	w.now = noon.Add(time.Minute)
	w.desk.Ended(t.Context(), outbox.Entry{Direction: filter.Inbound, Origin: outbox.OriginRelay, Received: noon, MessageID: "a"}, filter.Fate{Recipient: "z@a.example", State: filter.Delivered})
	w.desk.Ended(t.Context(), outbox.Entry{Direction: filter.Inbound, Origin: "release", Received: noon}, filter.Fate{Recipient: "z@a.example", State: filter.Delivered})
	w.now = noon.Add(time.Hour)
	got := w.figures(t)
	for id, want := range map[string]float64{"receive-delay-mean": 32, "receive-delay-max": 60, "receive-held": 1, "send-delay-mean": 2, "send-held": 1} {
		if f := got[id]; f.Value == nil || *f.Value != want {
			text, _ := json.Marshal(f)
			t.Errorf("%s is not %v: %s", id, want, text)
		}
	}
}

// Of what is said aloud the faults are kept, and why the node was not ready.
func TestFaults(t *testing.T) {
	w := start(t)
	say := func(key string, since, at time.Time, over bool) {
		if err := w.desk.Send(t.Context(), alert.Alert{Key: key, Since: since, At: at, Over: over}); err != nil {
			t.Fatal(err)
		}
	}
	say("clamav:down", noon, noon, false)
	say("clamav:down", noon, noon.Add(3*time.Minute), true)
	say("A-2026-000001-T_first-50", noon, noon, false)
	w.now = noon.Add(10 * time.Minute)
	w.why = []string{"the store: away"}
	w.desk.Look(t.Context())
	w.now, w.why, w.up = noon.Add(12*time.Minute), nil, false
	w.desk.Look(t.Context())
	w.now = noon.Add(time.Hour)
	got := w.figures(t)
	if f := got["fault-minutes"]; f.Value == nil || *f.Value != 5 {
		t.Errorf("%+v", f)
	}
	if f := got["unreached-minutes"]; f.Value == nil || *f.Value != 1 || f.Of["observed"] != 2 {
		t.Errorf("%+v", f)
	}
	if a, b := got["signature-age"], got["backup-full-age"]; a.Value == nil || *a.Value != 3 || b.Value != nil {
		t.Errorf("%+v %+v", a, b)
	}
}

// Pages over narrow lines are timed apart from our own; a door of mail and one without a band are
// no pages.
func TestPagesByBand(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(web.Close)
	addr := web.Listener.Addr().String()
	for band, want := range map[string][2]bool{"": {}, "narrow": {false, true}, "broad": {true, false}} {
		w := start(t)
		w.config.Abuse.Service.Also = []desk.Door{{Group: "web", Addr: addr, Web: true, Band: band}}
		w.desk.Look(t.Context())
		w.now = noon.Add(time.Hour)
		got := w.figures(t)
		for i, id := range []string{"page-mean", "page-mean-narrow"} {
			if f := got[id]; (f.Value != nil) != want[i] || f.Value != nil && (*f.Value <= 0 || f.Of["pages"] != 1) {
				t.Errorf("%q: %+v", band, f)
			}
		}
	}
}

// The loop looks at the doors that answer, writes, and ends with its context.
func TestLoop(t *testing.T) {
	w := start(t)
	w.desk.Doors(map[string]net.Addr{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.desk.Loop(ctx); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	w := start(t)
	for call, params := range map[string]any{
		"service.report": service.Ask{Month: "June"}, "service.exclusions": service.Ask{Month: "2026"},
		"service.exclude": exclusion.Exclusion{Class: "z"}, "service.approve": service.Decision{ID: "x-1"},
	} {
		var e *control.Error
		if err := w.server.Call(t.Context(), call, params, nil); !errors.As(err, &e) || e.Kind == "" {
			t.Errorf("%s: %v", call, err)
		}
	}
}
