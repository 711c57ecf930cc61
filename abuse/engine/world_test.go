package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour"
	"postern/abuse/engine"
	"postern/abuse/measure"
	"postern/abuse/measure/guard"
	"postern/abuse/measure/shadow"
	"postern/abuse/sent"
	"postern/abuse/signal"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

// sendLog is a send log in memory: what was followed is forgotten after keep.
type sendLog struct {
	rows  []sent.Row
	first int // number of rows[0]
	keep  int
}

func (l *sendLog) Since(_ context.Context, cursor string, limit int) ([]sent.Row, string, error) {
	n, _ := strconv.Atoi(cursor)
	from := max(n-l.first, 0)
	to := min(from+limit, len(l.rows))
	if extra := from - l.keep; extra > 0 && extra > l.keep {
		l.rows, l.first = slices.Clone(l.rows[extra:]), l.first+extra
		from, to = from-extra, to-extra
	}
	return l.rows[from:to], strconv.Itoa(l.first + to), nil
}

func (l *sendLog) ByAccount(_ context.Context, account string, from, to time.Time, _ string, _ int) (out []sent.Row, next string, err error) {
	for _, r := range l.rows {
		if r.Account == account && !r.At.Before(from) && !r.At.After(to) {
			out = append(out, r)
		}
	}
	return out, "", nil
}

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

type caseBook struct {
	mu    sync.Mutex
	found map[string][]engine.Found
}

func (c *caseBook) Found(_ context.Context, f engine.Found) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found[f.Account] = append(c.found[f.Account], f)
	return fmt.Sprintf("A-2030-%s", f.Account), nil
}

// countries places 10.n.x.x in the nth country.
type countries struct{}

func (countries) Where(ip netip.Addr) behaviour.Place {
	b := ip.As4()
	return behaviour.Place{Country: fmt.Sprintf("C%d", b[1]), ASN: uint32(b[1]) + 64500}
}

type world struct {
	t        testing.TB
	now      time.Time
	log      *sendLog
	store    *entities.Memory
	accounts *abuse.Accounts
	signals  signal.Log
	profiles *behaviour.Profiles
	desk     *measure.Desk
	engine   *engine.Engine
	cases    *caseBook
	alerts   map[string]int
	audit    []string
	n        int
	mute     bool // the audit is not kept
}

func newWorld(t testing.TB, change ...func(*measure.Parts)) *world {
	w := &world{t: t, now: time.Date(2030, 3, 4, 0, 0, 0, 0, time.UTC), log: &sendLog{keep: 1 << 20}, cases: &caseBook{found: map[string][]engine.Found{}}, alerts: map[string]int{}}
	now := func() time.Time { return w.now }
	w.store = &entities.Memory{Now: now}
	var err error
	w.accounts, err = abuse.NewAccounts(t.Context(), &accounts{all: map[string]abuse.Account{}}, now, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.signals = signal.NewLog(w.store)
	w.profiles = behaviour.New(behaviour.Config{}, countries{})
	audit := func(_ context.Context, actor, action, object string, _, _ any, note string) error {
		if !w.mute {
			w.audit = append(w.audit, actor+" "+action+" "+object+" "+note)
		}
		return nil
	}
	p := measure.Parts{
		Store: w.store, Accounts: w.accounts, Config: measure.Config{Mode: measure.ModeOn}, Protected: guard.Protect(nil), Audit: audit, Now: now,
		Population: func(domain string) int { return w.profiles.Active(domain, w.now) },
		Switch:     guard.NewSwitch(w.store, filepath.Join(t.TempDir(), "stop"), now, audit),
		Alert: func(key, _ string, over bool) {
			if !over {
				w.alerts[key]++
			}
		},
	}
	for _, f := range change {
		f(&p)
	}
	w.desk = measure.New(p)
	w.accounts.Automation(p.Switch.Off)
	w.engine = &engine.Engine{Sent: w.log, Signals: w.signals, Profiles: w.profiles, Desk: w.desk, Cases: w.cases, Now: now}
	for _, rule := range append(behaviour.Rules(), engine.ComplaintRate, "trap", "listing", "complaint") {
		w.enable(rule)
	}
	return w
}

// enable makes a rule one that a person enabled after its shadow.
func (w *world) enable(rule string) {
	w.t.Helper()
	text, err := json.Marshal(shadow.Rule{Name: rule, Since: w.now.AddDate(0, 0, -30), Live: true, By: "test", At: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Put(w.t.Context(), entity.Record{Kind: shadow.Kind, ID: rule, Version: 1, Data: text}); err != nil {
		w.t.Fatal(err)
	}
}

// send writes a row of n recipients into the send log.
func (w *world) send(at time.Time, account string, country, n int, to func(i int) string, spam bool, dead func(i int) bool) {
	w.n++
	r := sent.Row{Serial: strconv.Itoa(w.n), At: at, Account: account, Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, byte(country), byte(w.n), 1}), 4000), Action: "accept"}
	if spam {
		r.Action = "tag"
	}
	for i := range n {
		c := sent.Copy{Recipient: to(i), State: sent.Delivered, Reply: "250 2.0.0 ok"}
		if dead != nil && dead(i) {
			c.State, c.Reply = sent.Refused, "550 5.1.1 unknown user"
		}
		r.Copies = append(r.Copies, c)
	}
	w.log.rows = append(w.log.rows, r)
}

func (w *world) step() engine.Result {
	w.t.Helper()
	if err := w.desk.Switch.Look(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	r, err := w.engine.Step(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) level(account string) abuse.Level { return w.accounts.Force(account).Effective() }
