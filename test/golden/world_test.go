package golden_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/filter/clamav"
	"postern/filter/greylist"
	"postern/filter/history"
	"postern/filter/limit"
	"postern/filter/sender"
	"postern/internal/config"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/rules"
)

// base is the DNS of every case: example.org sends from 192.0.2.1 and everything about it is
// in order. A case lays its own names over it.
func base() mailtest.Zone {
	return mailtest.Zone{
		"example.org":                       {"A 192.0.2.1", "MX 10 mail.example.org", "TXT v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all"},
		"mail.example.org":                  {"A 192.0.2.1", "AAAA 2001:db8::1"},
		"_dmarc.example.org":                {"TXT v=DMARC1; p=none"},
		mailtest.ReverseName("192.0.2.1"):   {"PTR mail.example.org"},
		mailtest.ReverseName("2001:db8::1"): {"PTR mail.example.org"},
	}
}

// kit is what all worlds share.
type kit struct {
	set     *rules.Set
	scanner *clamav.Scanner // finds nothing
}

func newKit(t testing.TB) kit {
	return kit{set: load(t), scanner: scanner(t, mailtest.StartClamd(t, "unix"))}
}

func scanner(t testing.TB, clamd *mailtest.Clamd) *clamav.Scanner {
	s, err := clamav.New(clamav.Config{Endpoints: []string{clamd.Endpoint}}, clamav.Parts{Now: func() time.Time { return now }, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// world is everything around one golden mail, and what was seen before it.
type world struct {
	kit
	t        testing.TB
	c        mailtest.Case
	resolver *dns.Resolver
	clock    atomic.Pointer[time.Time]
	messages uint64

	checks   steps.Checks
	history  *history.History
	greylist *greylist.Greylist
	limits   *limit.Limiter
	letters  filter.Observer // of campaigns
}

func newWorld(t testing.TB, c mailtest.Case, k kit) *world {
	zone := base()
	maps.Copy(zone, c.DNS)
	for _, l := range c.Lists {
		zone["2.0.0.127."+l.Zone] = []string{"A 127.0.0.2"} // RFC 5782: what a living list answers
		zone["TEST."+l.Zone] = []string{"A 127.0.0.2"}
	}
	server := mailtest.NewDNS(t, zone)
	resolver, err := dns.New(dns.Config{Servers: []string{server.Addr()}, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	w := &world{kit: k, t: t, c: c, resolver: resolver}
	w.turn(at(c))
	w.build(t.Context())
	return w
}

// now is the time of the message that is judged.
func (w *world) now() time.Time { return *w.clock.Load() }

func (w *world) turn(to time.Time) { w.clock.Store(&to) }

// elapsed is the same as a clock that nobody sets.
func (w *world) elapsed() time.Duration { return w.now().Sub(now.AddDate(-1, 0, 0)) }

func at(c mailtest.Case) time.Time {
	if c.Time.IsZero() {
		return now
	}
	return c.Time
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// message is a mail as a session would hand it over.
func (w *world) message(raw []byte, e mailtest.Envelope) *filter.Message {
	ip, err := netip.ParseAddr(cmp.Or(e.IP, "192.0.2.1"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.messages++
	id, err := filter.NewID(w.now(), bytes.NewReader(binary.BigEndian.AppendUint64([]byte{0, 0}, w.messages)))
	if err != nil {
		w.t.Fatal(err)
	}
	body := bytes.NewReader(crlf(raw))
	m := &filter.Message{
		ID: id, Time: w.now(), Listener: inboundListener, Account: e.Login, From: "ann@example.org",
		Client: filter.Client{IP: ip, Helo: cmp.Or(e.Helo, "mail.example.org")}, Body: body, Size: body.Size(), SHA256: id,
	}
	if e.From != nil {
		m.From = *e.From
	}
	policy := "default"
	if e.Login != "" {
		m.Direction, m.Listener, policy = filter.Outbound, accountListener, "outgoing"
	} else if reverse, err := sender.LookUp(w.t.Context(), w.resolver, ip); err == nil {
		m.Client.Name = reverse.Name
	}
	to := e.To
	for i := range e.Readers {
		to = append(to, fmt.Sprintf("reader%d@example.com", i+1))
	}
	if len(to) == 0 {
		to = []string{"bob@example.com"}
	}
	for _, a := range to {
		m.To = append(m.To, filter.Recipient{Address: a, Policy: policy})
	}
	m.Parts = sync.OnceValues(func() (*mime.Tree, error) { return mime.Walk(body, body.Size(), mime.DefaultLimits()) })
	return m
}

// crlf makes every line end CRLF.
func crlf(raw []byte) []byte {
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
}

// run lets everything happen that the case tells of, and returns what is found about its
// mail and what each recipient's verdict is.
func (w *world) run(ctx context.Context) ([]filter.Finding, []filter.Verdict) {
	for _, e := range w.c.Earlier {
		raw := w.c.Mail
		if e.Mail != "" {
			var err error
			if raw, err = os.ReadFile(filepath.Join(w.c.Dir, e.Mail)); err != nil {
				w.t.Fatal(err)
			}
		}
		days := e.DaysAgo
		if len(days) == 0 {
			days = []int{0}
		}
		for _, n := range days {
			w.turn(at(w.c).AddDate(0, 0, -n).Add(-e.Before))
			m := w.message(raw, e.Over(w.c.Envelope))
			w.done(ctx, m, w.judge(ctx, m, false))
		}
	}
	w.turn(at(w.c))
	m := w.message(w.c.Mail, w.c.Envelope)
	w.used(ctx, m)
	o := w.judge(ctx, m, true)
	// What the rules make of it: composites are part of what a golden mail shows.
	for _, v := range o.Verdicts {
		for _, r := range v.Reasons {
			if sym, ok := w.set.Symbol(r.Symbol); ok && sym.Kind == "composite" {
				o.Report.Findings = append(o.Report.Findings, filter.Finding{Symbol: r.Symbol})
			}
		}
	}
	return o.Report.Findings, o.Verdicts
}

// judge walks the stages as a session does. What came earlier is not counted by the limits:
// the case itself says what of them is used up.
func (w *world) judge(ctx context.Context, m *filter.Message, limits bool) filter.Outcome {
	checks := w.checks
	if limits {
		checks.LimitSender, checks.LimitRecipient, checks.LimitAccount = w.limits.Sender(), w.limits.Recipient(), w.limits.Account()
	}
	p := steps.Pipeline(checks, w.set, config.Default(), quiet())
	var o filter.Outcome
	body := m.Body
	m.Body = nil
	for _, stage := range []filter.Stage{filter.OnConnect, filter.OnSender, filter.OnRecipient} {
		o.Report.Join(p.Run(ctx, stage, m))
	}
	m.Seen, m.Body = o.Report.Findings, body
	o.Report.Join(p.Run(ctx, filter.OnData, m))
	for _, f := range o.Report.Failures {
		if f.Reason == "internal fault" {
			w.t.Errorf("%s: %v", f.Step, f.Err)
		}
	}
	o.Verdicts = filter.Verdicts(w.set, m, o.Report)
	return o
}

// done tells the observers how a message ended.
func (w *world) done(ctx context.Context, m *filter.Message, o filter.Outcome) {
	for i, v := range o.Verdicts {
		fate := filter.Fate{Recipient: m.To[i].Address, State: filter.Delivered, Reply: "250 2.0.0 ok"}
		switch v.Action {
		case filter.Quarantine:
			fate.State = filter.Held
		case filter.Defer:
			fate.State, fate.Reply = filter.Deferred, "451 4.7.1 later"
		case filter.Reject:
			fate.State, fate.Reply = filter.Rejected, "550 5.7.1 no"
		}
		o.Reply = fate.Reply
		o.Fates = append(o.Fates, fate)
	}
	for _, observer := range []filter.Observer{w.history, w.greylist, w.letters} {
		if err := observer.Done(ctx, m, o); err != nil {
			w.t.Fatal(err)
		}
	}
}
