package abusedesk

import (
	"context"
	"errors"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour"
	"postern/abuse/behaviour/logins"
	"postern/abuse/cases"
	"postern/abuse/engine"
	"postern/abuse/measure"
	"postern/abuse/measure/guard"
	"postern/abuse/second"
	"postern/abuse/sent"
	"postern/abuse/signal"
	"postern/cmd/postern/accountcalls"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/setup"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/said"
)

// MeasureParts are what measures are built from, besides the Parts of the desk.
type MeasureParts struct {
	Config     *config.Config
	Accounts   *abuse.Accounts
	Sent       sent.Store
	Connectors []measure.Connector
	Held       measure.Held  // nil: nothing is held here
	Geo        behaviour.Geo // nil: nobody knows where addresses are
}

// Measures take measures against local accounts, by people and by what their mail shows.
type Measures struct {
	Desk    *measure.Desk
	Switch  *guard.Switch
	Signals signal.Log
	Logins  *logins.Desk

	second   *second.Book
	looks    accountcalls.Parts
	engine   *engine.Engine
	loginLog logins.Log
	trials   *probation
	drift    time.Time
	now      func() time.Time
}

// NewMeasures builds them on a desk of cases. Nothing runs yet.
func NewMeasures(p Parts, d *Desk, m MeasureParts) *Measures {
	c := m.Config.Abuse.Measures
	out := &Measures{second: p.Second, Signals: signal.NewLog(p.Entities), loginLog: logins.NewLog(p.Entities), Switch: guard.NewSwitch(p.Entities, m.Config.StopFile(), p.Now, p.Audit), now: p.Now}
	profiles := behaviour.New(behaviour.Config{}, m.Geo)
	out.Desk = measure.New(measure.Parts{
		Store: p.Entities, Accounts: m.Accounts, Connectors: m.Connectors, Switch: out.Switch, Held: m.Held,
		Config: measure.Config{
			Throttle: time.Duration(c.TTL.Throttle), Hold: time.Duration(c.TTL.Hold), Suspend: time.Duration(c.TTL.Suspend),
			Breaker: guard.Limits(c.Breaker), Mode: measure.Mode(c.Mode), Shadow: time.Duration(c.Shadow), Messages: c.Throttle.Messages,
		},
		Protected:  guard.Protect(c.Protected),
		Population: func(domain string) int { return profiles.Active(domain, p.Now()) },
		Audit:      p.Audit, Alert: p.Event, Now: p.Now,
		Note: func(ctx context.Context, id, action string, text said.Words) error {
			_, err := d.Cases.Note(ctx, id, cases.Event{Actor: cases.Machine().Name, Action: action, Said: text})
			return err
		},
	})
	out.engine = &engine.Engine{Sent: m.Sent, Signals: out.Signals, Profiles: profiles, Desk: out.Desk, Logins: &logins.Follower{Log: out.loginLog}, Cases: accountCases{d.Cases}, Now: p.Now}
	out.Logins = &logins.Desk{Log: out.loginLog, Emit: out.Signals.Add, Node: m.Config.Hostname, Now: p.Now, Failed: func(err error) { p.Log.Warn("a login was not kept for the measures", "err", err) }}
	m.Accounts.Automation(out.Switch.Off)
	out.trials = &probation{
		desk: out.Desk, office: d.Office, signals: out.Signals, now: p.Now, full: func() (int, int) { return setup.AccountRates(m.Config) },
		judged: func(ctx context.Context, account string) ([]signal.Signal, int, error) {
			j, err := out.engine.Judge(ctx, account)
			return j.Signals, j.Score, err
		},
	}
	d.Office.Trials = out.trials
	out.looks = accountcalls.Parts{
		Accounts: m.Accounts, Desk: out.Desk, Engine: out.engine, Sent: m.Sent, Signals: out.Signals, Logins: out.loginLog, Cases: d.Cases, Office: d.Office, Geo: m.Geo, Held: m.Held, Now: p.Now,
		Full: out.trials.full, Throttle: func() (int, int) { return c.Throttle.Messages, c.Throttle.Recipients },
	}
	return out
}

// Handle adds the calls to s, in place of those of accounts that know no measures.
func (m *Measures) Handle(s *control.Server) {
	calls.Measures{Desk: m.Desk, Why: m.why, Second: m.second}.Handle(s)
	m.looks.Handle(s)
}

// why judges an account by what any node knows.
func (m *Measures) why(ctx context.Context, account string) (engine.Judged, error) {
	if err := m.engine.Refresh(ctx); err != nil {
		return engine.Judged{}, err
	}
	return m.engine.Judge(ctx, account)
}

// driftEvery is how often measures are read back at the connectors.
const driftEvery = 10 * time.Minute

// Tend acts on what was sent and on what time asks for; one node does it at a time, each
// engine.Every.
func (m *Measures) Tend(ctx context.Context) error {
	_, err := m.engine.Step(ctx)
	errs := []error{err, m.Desk.Tend(ctx), m.trials.Tend(ctx)}
	if now := m.now(); now.Sub(m.drift) >= driftEvery {
		m.drift = now
		_, err := m.Desk.Drift(ctx)
		errs = append(errs, err)
		_, err = m.Signals.Purge(ctx, now.AddDate(0, 0, -60), 1000)
		errs = append(errs, err)
		_, err = m.loginLog.Purge(ctx, now.Add(-logins.Keep), 20_000)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// accountCases opens the case of an account whose mail speaks against it.
type accountCases struct{ desk *cases.Desk }

// Found implements engine.Cases.
func (c accountCases) Found(ctx context.Context, f engine.Found) (string, error) {
	priority := 3
	if len(signal.Kinds(f.Signals)) > 1 {
		priority = 2
	}
	opened, err := c.desk.Open(ctx, cases.Machine(), cases.Opening{Kind: cases.Local, Account: f.Account, Priority: priority, Said: f.Sentence})
	if err != nil {
		return "", err
	}
	_, err = c.desk.Note(ctx, opened.ID, cases.Event{Actor: cases.Machine().Name, Action: "behaviour", Said: said.Join(f.Sentence, said.Typed(f.ID)).Map(clip)})
	return opened.ID, err
}

func clip(s string) string { return s[:min(len(s), 2000)] }
