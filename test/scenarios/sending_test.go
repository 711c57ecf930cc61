package scenarios

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour"
	"postern/abuse/engine"
	"postern/abuse/measure"
	"postern/abuse/measure/shadow"
	sendlog "postern/abuse/sent"
	"postern/abuse/signal"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/home"
	"postern/filter"
	"postern/internal/alert"
	"postern/internal/config"
	"postern/internal/mailtest"
	"postern/internal/spool"
)

// acting are the keys of "abuse" under which rules take measures.
const acting = `measures: {mode: "on"}`

// pills is a rule of the operator's that marks what sells pills: the tests need a verdict, not
// its reasons.
const pills = `patterns:
  - {id: CHEAP_PILLS, describe: It sells pills, in: body, match: 'buy cheap pills', action: tag, tests: {hit: ["buy cheap pills"], miss: ["hello"]}}
`

// quick are rates that do not stand in the way.
const quick = "rates: {account: {hour: 100000}, account_recipients: {hour: 100000}}\n"

// senders prepares a node whose accounts are these, with somebody who is paged.
func senders(t *testing.T, p plan, accounts ...string) (*node, *pager) {
	t.Helper()
	page := newPager(t)
	p.Out.Users = map[string]string{}
	for _, a := range accounts {
		p.Out.Users[a] = password
		if d := a[strings.LastIndexByte(a, '@')+1:]; d != "example.com" && !slices.Contains(p.Domains, d) {
			p.Domains = append(p.Domains, d)
		}
	}
	p.Rules += pills
	p.More += quick + fmt.Sprintf("alerts: {webhook: {url: %q, secret_file: DIR/pager.key}}\n", page.URL)
	n := prepare(t, p)
	n.WriteFile("pager.key", "page me\n")
	return n, page
}

// serve starts it.
func (n *node) serve() {
	n.t.Helper()
	n.Start()
	n.Ready()
}

// before gives a test the home while no node has it.
func (n *node) before(fill func(s *home.Home, now time.Time)) {
	n.t.Helper()
	cfg, err := config.Load(n.Config)
	if err != nil {
		n.t.Fatal(err)
	}
	s, err := home.Open(n.t.Context(), home.Options{
		Config: cfg, Spool: &spool.Spool{Memory: 1 << 20}, Now: n.Clock.Now, Log: slog.New(slog.DiscardHandler), Passive: true,
		Event: func(string, string, bool) {}, Rules: func() string { return "" },
	})
	if err != nil {
		n.t.Fatal(err)
	}
	fill(s, n.Clock.Now())
	if err := s.Close(); err != nil {
		n.t.Fatal(err)
	}
}

// enabled does what an operator does after 14 days of looking on: all rules act from then on.
func enabled(t *testing.T, s *home.Home, now time.Time) {
	t.Helper()
	at := now.Add(-15 * 24 * time.Hour)
	rules := &shadow.Rules{
		Store: s.Entities, For: 14 * 24 * time.Hour, Now: func() time.Time { return at },
		Audit: func(context.Context, string, string, string, any, any, string) error { return nil },
	}
	var all []signal.Signal
	for _, name := range append(behaviour.Rules(), engine.ComplaintRate, "complaint", "trap", "listing") {
		all = append(all, signal.Signal{Rule: name})
	}
	if _, err := rules.Known(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	at = now
	for _, s := range all {
		if _, err := rules.Enable(t.Context(), s.Rule, "root"); err != nil {
			t.Fatal(err)
		}
	}
}

// mails are what an account sent, for the send log: n messages to so many recipients each, the
// last just now, each as long after the other.
type mails struct {
	account    string
	n, to      int
	every      time.Duration
	action     string // "" = accept
	recipients func(n, i int) string
	state      string // "" = delivered
	reply      string
}

// fill writes them.
func (m mails) fill(t *testing.T, log sendlog.Store, now time.Time) {
	t.Helper()
	state, reply := m.state, m.reply
	if state == "" {
		state, reply = sendlog.Delivered, "250 2.0.0 ok"
	}
	to := m.recipients
	if to == nil {
		to = func(n, i int) string { return fmt.Sprintf("r%d.%d@far.example", n, i) }
	}
	for n := range m.n {
		at := now.Add(-time.Duration(m.n-n) * m.every)
		serial, err := filter.NewID(at, rand.Reader)
		if err != nil {
			t.Error(err)
		}
		row := sendlog.Row{
			Serial: serial, At: at, Account: m.account, Login: m.account, From: m.account,
			Client: netip.MustParseAddrPort("203.0.113.7:51514"), Action: m.action, Size: 2000,
		}
		for i := range m.to {
			row.Copies = append(row.Copies, sendlog.Copy{Recipient: to(n, i), State: state, Reply: reply, At: at})
		}
		if err := log.Begin(t.Context(), row); err != nil {
			t.Error(err)
		}
	}
}

// abuser fills the send log with what asks for a suspension: two families, and very much.
func abuser(t *testing.T, s *home.Home, now time.Time, account string) {
	t.Helper()
	mails{account: account, n: 40, to: 10, every: 30 * time.Second, action: "quarantine"}.fill(t, s.Sent, now)
}

// standing are the open measures against an account, or all with "".
func (n *node) standing(account string) []measure.Measure {
	n.t.Helper()
	return told[calls.MeasurePage](n, "measure.list", calls.MeasureList{Account: account, Limit: 200}).Measures
}

// why is what is in force against an account, and what speaks against it.
func (n *node) why(account string) calls.AccountWhy {
	n.t.Helper()
	return told[calls.AccountWhy](n, "account.why", calls.AccountChange{Name: account})
}

// level is what is in force against an account, as the listeners see it.
func (n *node) level(account string) abuse.Level {
	n.t.Helper()
	return n.why(account).Account.Effective()
}

// home is where the accounts' clients are.
const ownIP = "203.0.113.7:51514"

// tries sends one message of an account in a session of its own.
func (n *node) tries(account string, to ...string) (int, string) {
	n.t.Helper()
	s := n.signIn(account, ownIP)
	defer s.Close()
	return s.send(account, to, n.letter(account, to[0], "Hello", "How are you?"))
}

// pager takes the alerts that people are woken by.
type pager struct {
	URL string

	mu  sync.Mutex
	all []alert.Alert
}

func newPager(t *testing.T) *pager {
	p := &pager{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var a alert.Alert
		if json.Unmarshal(text, &a) == nil {
			p.mu.Lock()
			p.all = append(p.all, a)
			p.mu.Unlock()
		}
	}))
	t.Cleanup(s.Close)
	p.URL = s.URL
	return p
}

// pages are the alerts about something; all-clears are left out.
func (p *pager) pages(prefix string) []alert.Alert {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.all), func(a alert.Alert) bool { return a.Over || !strings.HasPrefix(a.Key, prefix) })
}

// cleared reports whether the all-clear came.
func (p *pager) cleared(prefix string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.all, func(a alert.Alert) bool { return a.Over && strings.HasPrefix(a.Key, prefix) })
}

// refusesAt makes the next server refuse recipients whose address holds a word.
func refusesAt(word, reply string) mailtest.Script {
	return mailtest.Script{Hook: func(at mailtest.Point, _ int, arg string) (mailtest.Step, bool) {
		return mailtest.Step{Reply: reply}, at == mailtest.AtRcpt && strings.Contains(arg, word)
	}}
}
