package measure_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/abuse/measure/guard"
	"postern/abuse/measure/shadow"
	"postern/abuse/signal"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

// accounts is a store of account records in memory.
type accounts struct {
	mu  sync.Mutex
	rev uint64
	all map[string]abuse.Account
}

func (s *accounts) AccountRevision(context.Context) (uint64, error) { return s.rev, nil }
func (s *accounts) Accounts(context.Context) (out []abuse.Account, rev uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.all {
		out = append(out, a)
	}
	return out, s.rev, nil
}

func (s *accounts) Account(_ context.Context, name string) (abuse.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.all[name]; ok {
		return a, nil
	}
	return abuse.Account{}, abuse.ErrNotFound
}

func (s *accounts) PutAccount(_ context.Context, a abuse.Account) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[a.Name].Version != a.Version-1 {
		return abuse.ErrConflict
	}
	s.all[a.Name] = a
	s.rev++
	return nil
}

// connector is a scripted system beside ours.
type connector struct {
	can    measure.Capabilities
	state  map[string]string // by account
	lies   bool              // says yes and does nothing
	broken error
	killed []string
	calls  int
}

func (c *connector) Name() string                       { return "panel" }
func (c *connector) Capabilities() measure.Capabilities { return c.can }
func (c *connector) Apply(_ context.Context, m measure.Measure) (string, error) {
	c.calls++
	if c.broken != nil {
		return "", c.broken
	}
	before := c.state[m.Target]
	if !c.lies {
		c.state[m.Target] = "off"
	}
	return "was " + before, nil
}

func (c *connector) Verify(_ context.Context, m measure.Measure, _ string) (bool, error) {
	return c.state[m.Target] == "off", c.broken
}

func (c *connector) Undo(_ context.Context, m measure.Measure, handle string) error {
	if c.broken == nil {
		c.state[m.Target] = strings.TrimPrefix(handle, "was ")
	}
	return c.broken
}

func (c *connector) KillSessions(_ context.Context, account string) error {
	c.killed = append(c.killed, account)
	return nil
}

// held is mail that measures hold.
type held struct {
	ids      []string
	spam     map[string]bool
	released []string
	kept     []string
}

func (h *held) Held(_ context.Context, _ string, limit int) ([]string, error) {
	return slices.Clone(h.ids[:min(limit, len(h.ids))]), nil
}
func (h *held) Rescan(_ context.Context, id string) (bool, string, error) {
	return !h.spam[id], "it is spam", nil
}
func (h *held) drop(id string) {
	h.ids = slices.DeleteFunc(h.ids, func(x string) bool { return x == id })
}
func (h *held) Release(_ context.Context, id, _ string) error {
	h.drop(id)
	h.released = append(h.released, id)
	return nil
}
func (h *held) Keep(_ context.Context, id, _ string) error {
	h.drop(id)
	h.kept = append(h.kept, id)
	return nil
}

type world struct {
	t        *testing.T
	now      time.Time
	store    *entities.Memory
	records  *accounts
	accounts *abuse.Accounts
	desk     *measure.Desk
	file     string
	audit    []string
	alerts   map[string]bool
	notes    []string
	active   int // accounts
}

func newWorld(t *testing.T, change ...func(*measure.Parts)) *world {
	w := &world{t: t, now: time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC), records: &accounts{all: map[string]abuse.Account{}}, alerts: map[string]bool{}, file: filepath.Join(t.TempDir(), "stop"), active: 1000}
	now := func() time.Time { return w.now }
	w.store = &entities.Memory{Now: now}
	w.accounts = w.node()
	audit := func(_ context.Context, actor, action, object string, _, _ any, note string) error {
		w.audit = append(w.audit, fmt.Sprintf("%s %s %s: %s", actor, action, object, note))
		return nil
	}
	p := measure.Parts{
		Store: w.store, Accounts: w.accounts, Config: measure.Config{Mode: measure.ModeOn}, Protected: guard.Protect([]string{"vip@example.com", "@desk.example"}), Now: now,
		Audit: audit, Switch: guard.NewSwitch(w.store, w.file, now, audit), Population: func(string) int { return w.active },
		Note: func(_ context.Context, id, action, text string) error {
			w.notes = append(w.notes, id+" "+action+" "+text)
			return nil
		},
		Alert: func(key, _ string, over bool) {
			if over {
				delete(w.alerts, key)
			} else {
				w.alerts[key] = true
			}
		},
	}
	for _, f := range change {
		f(&p)
	}
	w.desk = measure.New(p)
	w.accounts.Automation(p.Switch.Off)
	for _, rule := range []string{"a", "b", "c", "d", "e", "login"} {
		w.rule(rule, true)
	}
	w.look()
	return w
}

// node is the memory of one more node over the same records.
func (w *world) node() *abuse.Accounts {
	a, err := abuse.NewAccounts(w.t.Context(), w.records, func() time.Time { return w.now }, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) rule(name string, live bool) {
	text, err := json.Marshal(shadow.Rule{Name: name, Since: w.now.AddDate(0, 0, -30), Live: live})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Put(w.t.Context(), entity.Record{Kind: shadow.Kind, ID: name, Version: 1, Data: text, Keys: []entity.Key{{Index: "all", At: 1}}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) look() {
	w.t.Helper()
	if err := w.desk.Switch.Look(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.now = w.now.Add(d)
	w.look()
	if err := w.desk.Tend(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) level(account string) abuse.Level { return w.accounts.Force(account).Effective() }

// speak makes strong signals of families: "ABC", with a small l for an anomaly of logins.
func speak(account, families string) (out []signal.Signal) {
	for _, f := range families {
		s := signal.Signal{Family: signal.Family(f), Rule: strings.ToLower(string(f)), Account: account, Weight: 50, Detail: "seen"}
		if f == 'l' {
			s.Family, s.Rule, s.Login = signal.Behaviour, "login", true
		}
		out = append(out, s)
	}
	return out
}

func (w *world) propose(account, families string, loud bool) measure.Decision {
	w.t.Helper()
	d, err := w.desk.Propose(w.t.Context(), measure.Proposal{Account: account, Signals: speak(account, families), Loud: loud, Case: "A-2030-000001"})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) apply(r measure.Request) measure.Measure {
	w.t.Helper()
	if r.Actor == "" {
		r.Actor = "ada"
	}
	if r.Reason == "" {
		r.Reason = "spam"
	}
	m, err := w.desk.Apply(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

var errBroken = errors.New("no route to host")

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
