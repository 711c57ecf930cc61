package accountcalls_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour"
	"postern/abuse/behaviour/logins"
	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/engine"
	"postern/abuse/guarantee"
	"postern/abuse/measure"
	"postern/abuse/sent"
	"postern/abuse/signal"
	"postern/cmd/postern/accountcalls"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/mailtest/accounts"
	"postern/internal/mailtest/entities"
)

const ann = "ann@x.example"

// sendLog is a send log in memory that may be away.
type sendLog struct {
	rows []sent.Row
	fail error
}

func (l *sendLog) Since(_ context.Context, cursor string, _ int) ([]sent.Row, string, error) {
	if cursor == fmt.Sprint(len(l.rows)) || l.fail != nil {
		return nil, cursor, l.fail
	}
	return l.rows, fmt.Sprint(len(l.rows)), nil
}

func (l *sendLog) ByAccount(_ context.Context, account string, _, _ time.Time, _ string, _ int) (out []sent.Row, next string, err error) {
	for _, r := range l.rows {
		if r.Account == account {
			out = append(out, r)
		}
	}
	return out, "", l.fail
}

// system is one that carries measures of some levels.
type system struct {
	measure.Connector
	name string
	can  measure.Capabilities
}

func (s system) Name() string                       { return s.name }
func (s system) Capabilities() measure.Capabilities { return s.can }

type heldMail = measure.Held

// held is as many held messages as a test says.
type held struct {
	heldMail
	n int
}

func (h *held) Held(_ context.Context, _ string, limit int) ([]string, error) {
	return make([]string, min(h.n, limit)), nil
}

// atlas places everything in one country.
type atlas struct{}

func (atlas) Where(ip netip.Addr) behaviour.Place {
	return behaviour.Place{Country: "GR", ASN: uint32(ip.AsSlice()[3])}
}

type world struct {
	*control.Server
	t    *testing.T
	now  time.Time
	home *entities.Memory
	log  *sendLog
	held *held
	accountcalls.Parts
}

func newWorld(t *testing.T, systems ...measure.Connector) *world {
	w := &world{Server: control.NewServer(), t: t, now: time.Date(2030, 3, 4, 10, 0, 0, 0, time.UTC), log: &sendLog{}, held: &held{}}
	clock := func() time.Time { return w.now }
	w.home = &entities.Memory{Now: clock}
	book, err := abuse.NewAccounts(t.Context(), &accounts.Memory{}, clock, slog.New(slog.DiscardHandler), nil)
	w.must(err)
	set, err := calendar.Open("", nil)
	w.must(err)
	audit := func(context.Context, string, string, string, any, any, string) error { return nil }
	desk := measure.New(measure.Parts{Store: w.home, Accounts: book, Connectors: systems, Audit: audit, Now: clock})
	signals := signal.NewLog(w.home)
	w.Parts = accountcalls.Parts{
		Accounts: book, Desk: desk, Sent: w.log, Signals: signals, Logins: logins.NewLog(w.home), Geo: atlas{}, Held: w.held, Now: clock,
		Engine:   &engine.Engine{Sent: w.log, Signals: signals, Profiles: behaviour.New(behaviour.Config{}, nil), Desk: desk, Now: clock},
		Cases:    &cases.Desk{Entities: w.home, Now: clock, Log: slog.New(slog.DiscardHandler), Calendars: func() *calendar.Set { return set }},
		Office:   &guarantee.Office{Entities: w.home, Now: clock},
		Full:     func() (messages, recipients int) { return 100, 3 },
		Throttle: func() (messages, recipients int) { return 20, 40 },
	}
	w.Handle(w.Server)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) activity(name string) (out accountcalls.Activity) {
	w.t.Helper()
	w.must(w.Call(w.t.Context(), "account.activity", accountcalls.Named{Name: name}, &out))
	return out
}

func (w *world) preview(q accountcalls.PreviewAsk) (out accountcalls.Impact) {
	w.t.Helper()
	w.must(w.Call(w.t.Context(), "measure.preview", q, &out))
	return out
}

func (w *world) send(account string, recipients int) {
	r := sent.Row{Serial: fmt.Sprint(len(w.log.rows)), At: w.now.Add(-time.Minute), Account: account, Action: "accept", Copies: make([]sent.Copy, recipients)}
	w.log.rows = append(w.log.rows, r)
}

// pack puts a guarantee into the home as it was decided.
func (w *world) pack(p guarantee.Pack) {
	w.t.Helper()
	table := entity.Table[guarantee.Pack]{Store: w.home, Kind: "guarantee", ID: func(p *guarantee.Pack) string { return p.ID }, Keys: func(p *guarantee.Pack) []entity.Key {
		return []entity.Key{{Index: "account", Value: p.Account, At: 1}, {Index: "state", Value: string(p.State), At: 1}}
	}}
	_, err := table.Create(w.t.Context(), p)
	w.must(err)
}
