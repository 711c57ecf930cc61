// Package measures is a desk of measures over a home in memory, with a clock that tests move.
package measures

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/abuse/measure/guard"
	"postern/abuse/measure/shadow"
	"postern/internal/entity"
	"postern/internal/mailtest/accounts"
	"postern/internal/mailtest/entities"
)

// World is what a desk works on.
type World struct {
	T        testing.TB
	Now      time.Time
	Store    *entities.Memory
	Records  *accounts.Memory
	Accounts *abuse.Accounts
	Desk     *measure.Desk
	File     string          // of the kill switch
	Audit    []string        // "actor action object: note"
	Alerts   map[string]bool // those that stand
}

// New makes one at a time, whose rules these are: all of them act. What change does to the parts
// comes before the desk is made.
func New(t testing.TB, now time.Time, rules []string, change ...func(w *World, p *measure.Parts)) *World {
	t.Helper()
	w := &World{T: t, Now: now, Records: &accounts.Memory{}, Alerts: map[string]bool{}, File: filepath.Join(t.TempDir(), "stop")}
	clock := func() time.Time { return w.Now }
	w.Store = &entities.Memory{Now: clock}
	w.Accounts = w.Node()
	p := measure.Parts{Store: w.Store, Accounts: w.Accounts, Config: measure.Config{Mode: measure.ModeOn}, Protected: guard.Protect(nil), Now: clock}
	p.Audit = func(_ context.Context, actor, action, object string, _, _ any, note string) error {
		w.Audit = append(w.Audit, fmt.Sprintf("%s %s %s: %s", actor, action, object, note))
		return nil
	}
	p.Alert = func(key, _ string, over bool) {
		if over {
			delete(w.Alerts, key)
		} else {
			w.Alerts[key] = true
		}
	}
	for _, f := range change {
		f(w, &p)
	}
	p.Switch = guard.NewSwitch(w.Store, w.File, clock, p.Audit)
	w.Desk = measure.New(p)
	w.Accounts.Automation(p.Switch.Off)
	for _, rule := range rules {
		w.Rule(rule, true)
	}
	w.Look()
	return w
}

// Node is the memory of one more node over the same records.
func (w *World) Node() *abuse.Accounts {
	w.T.Helper()
	a, err := abuse.NewAccounts(w.T.Context(), w.Records, func() time.Time { return w.Now }, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return a
}

// Rule makes a rule one that came out of its shadow long ago; live: a person let it act.
func (w *World) Rule(name string, live bool) {
	w.T.Helper()
	r := shadow.Rule{Name: name, Since: w.Now.AddDate(0, 0, -30), Live: live}
	if live {
		r.By, r.At = "test", w.Now
	}
	text, err := json.Marshal(r)
	if err != nil {
		w.T.Fatal(err)
	}
	before, err := w.Store.Get(w.T.Context(), shadow.Kind, name)
	if err != nil && !errors.Is(err, entity.ErrNotFound) {
		w.T.Fatal(err)
	}
	if err := w.Store.Put(w.T.Context(), entity.Record{Kind: shadow.Kind, ID: name, Version: before.Version + 1, Data: text, Keys: []entity.Key{{Index: "all", At: r.Since.UnixMilli()}}}); err != nil {
		w.T.Fatal(err)
	}
}

// Look asks the kill switch.
func (w *World) Look() {
	w.T.Helper()
	if err := w.Desk.Switch.Look(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
}

// Level is what is in force against an account.
func (w *World) Level(account string) abuse.Level { return w.Accounts.Force(account).Effective() }
