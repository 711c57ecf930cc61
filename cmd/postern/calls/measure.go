package calls

import (
	"context"
	"errors"

	"postern/abuse"
	"postern/abuse/engine"
	"postern/abuse/measure"
	"postern/abuse/measure/guard"
	"postern/abuse/measure/shadow"
	"postern/abuse/second"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/said"
)

// Measures are the calls about measures. Where a gateway has them they take the place of
// account.suspend and account.restore.
type Measures struct {
	Desk *measure.Desk
	// Why says what speaks against an account; nil: nobody watches.
	Why func(ctx context.Context, account string) (engine.Judged, error)
	// Second keeps what one person may not do alone; nil: there is no second person here.
	Second *second.Book
}

// MeasureAsk asks for a measure.
type MeasureAsk struct {
	Account    string  `json:"account,omitempty"`
	Domain     string  `json:"domain,omitempty"`
	Level      string  `json:"level"`
	Reason     string  `json:"reason"`
	Case       string  `json:"case,omitempty"`
	Hours      float64 `json:"hours,omitempty"` // 0 = until somebody ends it
	Messages   int     `json:"messages,omitempty"`
	Recipients int     `json:"recipients,omitempty"`
	BreakGlass string  `json:"break_glass,omitempty"` // why nobody else can approve what needs two
}

// MeasureEnd ends a measure, or all of an account.
type MeasureEnd struct {
	ID      string `json:"id,omitempty"`
	Account string `json:"account,omitempty"` // or "@domain"
	Reason  string `json:"reason"`
	Cleared bool   `json:"cleared,omitempty"`
}

// MeasureList asks for a page of measures.
type MeasureList struct {
	Account string `json:"account,omitempty"`
	All     bool   `json:"all,omitempty"` // those that ended as well
	After   string `json:"after,omitempty"`
	Limit   int    `json:"limit,omitempty"`
}

// MeasurePage is one.
type MeasurePage struct {
	Measures []measure.Measure `json:"measures"`
	Next     string            `json:"next,omitempty"`
}

// AccountWhy is what is in force against an account, and what speaks against it.
type AccountWhy struct {
	Account  abuse.Account     `json:"account"`
	Level    string            `json:"level"`
	Measures []measure.Measure `json:"measures"`
	Judged   engine.Judged     `json:"judged"`
}

// Automation is how automation stands.
type Automation struct {
	Switch   guard.SwitchState     `json:"switch"`
	Trips    map[string]guard.Trip `json:"trips"`
	LastHour int                   `json:"last_hour"` // accounts held or suspended
	Rules    []shadow.Preview      `json:"rules"`
	Mode     string                `json:"mode"` // off, shadow or on, as configured
}

// AutomationSet presses the kill switch, or lets go of it.
type AutomationSet struct {
	Off    bool   `json:"off"`
	Reason string `json:"reason"`
}

// Handle adds the calls.
func (m Measures) Handle(s *control.Server) {
	m.accountCalls(s)
	m.automationCalls(s)
	control.Handle(s, "measure.propose", m.propose)
	control.Handle(s, "measure.list", func(ctx context.Context, p MeasureList) (MeasurePage, error) {
		all, next, err := m.Desk.List(ctx, p.Account, !p.All, p.After, p.Limit)
		return MeasurePage{some(all), next}, of(err)
	})
	control.Handle(s, "measure.show", func(ctx context.Context, p ID) (measure.Measure, error) {
		out, err := m.Desk.Get(ctx, p.ID)
		return out, of(err)
	})
	control.Handle(s, "measure.apply", func(ctx context.Context, p MeasureAsk) (measure.Measure, error) { return m.apply(ctx, p) })
	control.Handle(s, "measure.undo", func(ctx context.Context, p MeasureEnd) (measure.Measure, error) {
		out, err := m.Desk.Undo(ctx, p.ID, control.Actor(ctx), said.Typed(p.Reason), p.Cleared)
		return out, of(err)
	})
	control.Handle(s, "measure.reviewed", func(ctx context.Context, p ID) (measure.Measure, error) {
		out, err := m.Desk.Reviewed(ctx, p.ID, control.Actor(ctx), 0)
		return out, of(err)
	})
}

// accountCalls are those by account; suspend and restore answer as they did without measures.
func (m Measures) accountCalls(s *control.Server) {
	for name, level := range map[string]abuse.Level{"throttle": abuse.M1, "hold": abuse.M2, "suspend": abuse.M3} {
		control.Handle(s, "account."+name, func(ctx context.Context, p AccountChange) (abuse.Account, error) {
			_, err := m.apply(ctx, MeasureAsk{Account: p.Name, Level: level.String(), Reason: p.Reason})
			if level == abuse.M3 && away(err) { // records of measures need the store, a suspension does not
				acc, err := m.Desk.Accounts.Suspend(ctx, p.Name, p.Reason, control.Actor(ctx))
				return acc, known(err)
			}
			if err != nil {
				return abuse.Account{}, err
			}
			return m.stored(ctx, p.Name)
		})
	}
	undo := func(ctx context.Context, p MeasureEnd) (abuse.Account, error) {
		all, err := m.Desk.UndoAll(ctx, abuse.Name(p.Account), control.Actor(ctx), said.Typed(p.Reason), p.Cleared)
		if away(err) {
			acc, err := m.Desk.Accounts.Restore(ctx, p.Account, p.Reason, control.Actor(ctx))
			return acc, known(err)
		}
		if err != nil {
			return abuse.Account{}, of(err)
		}
		acc, err := m.stored(ctx, p.Account)
		if err != nil || acc.State != abuse.Suspended {
			if err == nil && len(all) == 0 {
				err = control.Refuse(control.NotFound, "call.nothing-is-in-force-against", "nothing is in force against %s", "account", p.Account)
			}
			return acc, err
		}
		// It was suspended before there were measures, or without one.
		acc, err = m.Desk.Accounts.Restore(ctx, p.Account, p.Reason, control.Actor(ctx))
		return acc, known(err)
	}
	control.Handle(s, "account.undo", undo)
	control.Handle(s, "account.restore", func(ctx context.Context, p AccountChange) (abuse.Account, error) {
		return undo(ctx, MeasureEnd{Account: p.Name, Reason: p.Reason})
	})
	control.Handle(s, "account.why", func(ctx context.Context, p AccountChange) (AccountWhy, error) { return m.why(ctx, abuse.Name(p.Name)) })
}

func (m Measures) stored(ctx context.Context, name string) (abuse.Account, error) {
	acc, err := m.Desk.Accounts.Stored(ctx, name)
	return acc, known(err)
}

func (m Measures) why(ctx context.Context, name string) (AccountWhy, error) {
	acc := m.Desk.Accounts.Force(name)
	if acc.Name == "" {
		acc = abuse.Account{Name: name, State: abuse.Active}
	}
	out := AccountWhy{Account: acc, Level: acc.Effective().String()}
	all, _, err := m.Desk.List(ctx, name, true, "", 100)
	if err != nil {
		return out, of(err)
	}
	out.Measures = some(all)
	if m.Why != nil {
		out.Judged, err = m.Why(ctx, name)
	}
	out.Judged.Signals = some(out.Judged.Signals)
	return out, of(err)
}

func (m Measures) automationCalls(s *control.Server) {
	state := func(ctx context.Context) (out Automation, err error) {
		if out.Switch, err = m.Desk.Switch.State(ctx); err != nil {
			return out, err
		}
		if out.Trips, out.LastHour, err = m.Desk.Breaker.State(ctx); err != nil {
			return out, err
		}
		out.Rules, err = m.Desk.Rules.List(ctx)
		out.Rules = some(out.Rules)
		if out.Mode = string(m.Desk.Config.Mode); out.Mode == "" {
			out.Mode = string(measure.ModeOff)
		}
		return out, err
	}
	control.Handle(s, "automation.show", func(ctx context.Context, _ struct{}) (Automation, error) { return state(ctx) })
	control.Handle(s, "automation.set", func(ctx context.Context, p AutomationSet) (Automation, error) {
		if err := m.Desk.Switch.Set(ctx, p.Off, control.Actor(ctx), p.Reason); err != nil {
			return Automation{}, err
		}
		return state(ctx)
	})
	control.Handle(s, "automation.reset", func(ctx context.Context, p ID) (Automation, error) {
		if err := m.Desk.Breaker.Reset(ctx, control.Actor(ctx), p.Note); err != nil {
			return Automation{}, err
		}
		return state(ctx)
	})
	control.Handle(s, "automation.enable", func(ctx context.Context, p ID) (shadow.Preview, error) {
		out, err := m.Desk.Rules.Enable(ctx, p.ID, control.Actor(ctx))
		return out, of(err)
	})
	control.Handle(s, "automation.disable", func(ctx context.Context, p ID) (shadow.Preview, error) {
		out, err := m.Desk.Rules.Disable(ctx, p.ID, control.Actor(ctx))
		return out, of(err)
	})
}

// away reports whether an error is the store's and no refusal.
func away(err error) bool {
	var e *control.Error
	return err != nil && !errors.As(of(err), &e)
}

// of turns the errors of measures into refusals.
func of(err error) error {
	var kind control.Kind
	switch {
	case errors.Is(err, entity.ErrNotFound):
		kind = control.NotFound
	case errors.Is(err, measure.ErrInvalid), errors.Is(err, second.ErrInvalid):
		kind = control.Invalid
	case errors.Is(err, measure.ErrSecond), errors.Is(err, second.ErrSecond), errors.Is(err, measure.ErrEnded), errors.Is(err, shadow.ErrNotInTime), errors.Is(err, entity.ErrConflict):
		kind = control.Conflict
	default:
		return err
	}
	return control.Because(kind, err)
}
