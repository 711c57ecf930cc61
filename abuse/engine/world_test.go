package engine_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"postern/abuse/behaviour"
	"postern/abuse/engine"
	"postern/abuse/measure"
	"postern/abuse/sent"
	"postern/abuse/signal"
	"postern/internal/mailtest/measures"
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
	*measures.World
	log      *sendLog
	signals  signal.Log
	profiles *behaviour.Profiles
	engine   *engine.Engine
	cases    *caseBook
	raised   map[string]int // alerts, those that are over as well
	n        int
}

func newWorld(t testing.TB, change ...func(*measure.Parts)) *world {
	w := &world{log: &sendLog{keep: 1 << 20}, cases: &caseBook{found: map[string][]engine.Found{}}, raised: map[string]int{}, profiles: behaviour.New(behaviour.Config{}, countries{})}
	rules := append(behaviour.Rules(), engine.ComplaintRate, "trap", "listing", "complaint")
	w.World = measures.New(t, time.Date(2030, 3, 4, 0, 0, 0, 0, time.UTC), rules, func(m *measures.World, p *measure.Parts) {
		p.Population = func(domain string) int { return w.profiles.Active(domain, m.Now) }
		p.Alert = func(key, _ string, over bool) {
			if !over {
				w.raised[key]++
			}
		}
		for _, f := range change {
			f(p)
		}
	})
	w.signals = signal.NewLog(w.Store)
	w.restart()
	return w
}

// restart is a new process over the same home.
func (w *world) restart() {
	w.profiles = behaviour.New(behaviour.Config{}, countries{})
	w.engine = &engine.Engine{Sent: w.log, Signals: w.signals, Profiles: w.profiles, Desk: w.Desk, Cases: w.cases, Now: func() time.Time { return w.Now }}
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
	w.T.Helper()
	w.Look()
	r, err := w.engine.Step(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}
