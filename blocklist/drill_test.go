package blocklist_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"postern/blocklist"
	"postern/filter"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/rules"
)

// The strictest an operator can be: one hit refuses.
const refuseAll = `
symbols:
  RBL_A: {action: reject, describe: The host is listed}
  DBL_A: {action: reject, describe: The sender's domain is listed}
  URI_A: {action: reject, describe: A link is listed}
`

var drillRules = sync.OnceValues(func() (*rules.Set, error) {
	return rules.LoadFS(rules.Layer{Name: "drill", FS: fstest.MapFS{"drill.yaml": {Data: []byte(refuseAll)}}})
})

var drillZones = []string{"bl.example.org", "dbl.example.org", "uri.example.org"}

// healthyZones are the entries of the three lists while they are well.
func healthyZones() mailtest.Zone {
	return mailtest.Zone{
		"2.0.0.127.bl.example.org": {"A 127.0.0.2"}, "9.2.0.192.bl.example.org": {"A 127.0.0.2"},
		"test.dbl.example.org": {"A 127.0.0.2"}, "spam.test.dbl.example.org": {"A 127.0.0.2"},
		"test.uri.example.org": {"A 127.0.0.2"}, "spam.test.uri.example.org": {"A 127.0.0.2"},
	}
}

// drill is a gateway's lists, steps and rules over a name server, and a stream of mail.
type drill struct {
	t      testing.TB
	server *mailtest.DNS
	lists  *blocklist.Lists
	pipe   *filter.Pipeline
	events chan blocklist.Event

	phase                    atomic.Int64
	judged, wrong, unchecked atomic.Int64 // of the honest mail of this phase
}

const drillTimer = 400 * time.Millisecond

func newDrill(t testing.TB, timeout time.Duration) *drill {
	d := &drill{t: t, server: mailtest.NewDNS(t, healthyZones()), events: make(chan blocklist.Event, 1000)}
	r, err := dns.New(dns.Config{Servers: []string{d.server.Addr()}, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	codes := func(s string) map[string]string { return map[string]string{"127.0.0.2": s} }
	d.lists, err = blocklist.NewLists([]blocklist.ListConfig{
		{Name: "bl", Zone: drillZones[0], Of: blocklist.OfIP, Codes: codes("RBL_A")},
		{Name: "dbl", Zone: drillZones[1], Of: blocklist.OfDomain, Codes: codes("DBL_A")},
		{Name: "uri", Zone: drillZones[2], Of: blocklist.OfLink, Codes: codes("URI_A")},
	}, blocklist.ListParts{Resolver: r, Alert: func(e blocklist.Event) { d.events <- e }, Every: drillTimer})
	if err != nil {
		t.Fatal(err)
	}
	set, err := drillRules()
	if err != nil {
		t.Fatal(err)
	}
	d.pipe = &filter.Pipeline{Judge: set, Lookups: func() *dns.Budget { return dns.NewBudget(100, 8*time.Second) }, Steps: []filter.Step{
		{Name: "lists", Stage: filter.OnConnect, Check: d.lists.Client()},
		{Name: "domain-lists", Stage: filter.OnSender, Check: d.lists.Sender()},
		{Name: "link-lists", Stage: filter.OnData, Check: d.lists.Links(nil)},
	}}
	return d
}

// judge runs one mail through all stages.
func (d *drill) judge(ip, from, link string) filter.Verdict {
	m := message(ip, from, "me@us.example")
	raw := "From: " + from + "\r\n\r\nhttps://" + link + "/\r\n"
	m.Parts = func() (*mime.Tree, error) { return mime.Walk(m.Body, m.Size, mime.DefaultLimits()) }
	var report filter.Report
	for _, stage := range []filter.Stage{filter.OnConnect, filter.OnSender, filter.OnData} {
		if stage == filter.OnData {
			m.Body, m.Size = strings.NewReader(raw), int64(len(raw))
		}
		r := d.pipe.Run(d.t.Context(), stage, m)
		report.Join(r)
		m.Seen = report.Findings
	}
	return filter.Verdicts(d.pipe.Judge, m, report)[0]
}

// stream judges honest mail until ctx ends: hosts and names that the lists were not asked
// about before this phase, the same again and again.
func (d *drill) stream(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		n, p := n%40, d.phase.Load()
		v := d.judge(fmt.Sprintf("198.51.%d.%d", 100+p, n+1), fmt.Sprintf("a@d%d-%d.test", p, n), fmt.Sprintf("www.l%d-%d.test", p, n))
		d.judged.Add(1)
		if v.Action == filter.Reject {
			d.wrong.Add(1)
		}
		if len(v.Failures) > 0 {
			d.unchecked.Add(1)
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// hear waits until all lists have said that they are off, or on again.
func (d *drill) hear(over bool) time.Duration {
	d.t.Helper()
	begin := time.Now()
	limit := time.After(30 * time.Second)
	for missing := map[string]bool{"list/bl": true, "list/dbl": true, "list/uri": true}; len(missing) > 0; {
		select {
		case e := <-d.events:
			if e.Over == over {
				delete(missing, e.Key)
			}
		case <-limit:
			d.t.Fatalf("over=%v: nothing heard of %v", over, missing)
		}
	}
	return time.Since(begin)
}

func (d *drill) turn(fault string) {
	d.t.Helper()
	for name, records := range healthyZones() {
		if fault != "" {
			records = nil
		}
		if err := d.server.Set(name, records...); err != nil {
			d.t.Fatal(err)
		}
	}
	for _, z := range drillZones {
		var star []string
		if fault != "" {
			star = []string{fault}
		}
		if err := d.server.Set("*."+z, star...); err != nil {
			d.t.Fatal(err)
		}
	}
}

// TestF4BlocklistDrill (F4, and F2, F3 of lists): under a stream of mail and with answers that
// caches keep, every list turns at once to error codes, to listing everything, to silence, to
// SERVFAIL, and back. No mail is refused by it, neither then nor by what the cache kept of
// that time; the alert comes, and the all-clear, each within one timer.
func TestF4BlocklistDrill(t *testing.T) {
	mailtest.Steady(t, 50*time.Millisecond, func(t testing.TB, scale time.Duration) {
		d := newDrill(t, scale*100*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer func() { cancel(); wg.Wait() }()
		wg.Go(func() { _ = d.lists.Run(ctx) })
		d.hear(true)
		for range 3 {
			wg.Go(func() { d.stream(ctx) })
		}
		spam := func(when string) {
			t.Helper()
			for _, c := range [][3]string{{"192.0.2.9", "a@fine.test", "fine.test"}, {"198.51.100.1", "a@spam.test", "fine.test"}, {"198.51.100.1", "a@fine.test", "spam.test"}} {
				if v := d.judge(c[0], c[1], c[2]); v.Action != filter.Reject {
					t.Errorf("%s: what is listed is taken: %v %+v", when, c, v)
				}
			}
		}
		spam("at the start")
		for _, fault := range []string{"A 127.255.255.254", "A 127.0.0.2", "!silent", "!servfail", "A 198.51.100.7"} {
			d.turn(fault)
			d.phase.Add(1)
			d.judged.Store(0)
			d.wrong.Store(0)
			d.unchecked.Store(0)
			off := d.hear(false)
			for n := d.judged.Load(); d.judged.Load() < n+100; {
				time.Sleep(5 * time.Millisecond)
			}
			if v := d.judge("198.51.100.1", "a@fine.test", "fine.test"); len(v.Failures) != 3 || v.Action == filter.Reject {
				t.Errorf("%s: the ledger of a mail while the lists are off: %+v", fault, v)
			}
			d.turn("")
			on := d.hear(true)
			for n := d.judged.Load(); d.judged.Load() < n+100; { // the same hosts and names again
				time.Sleep(5 * time.Millisecond)
			}
			spam("after " + fault)
			if n := d.wrong.Load(); n > 0 {
				t.Errorf("%s: %d of %d honest mails were refused", fault, n, d.judged.Load())
			}
			if limit := drillTimer + scale*3*time.Second; off > limit || on > limit {
				t.Errorf("%s: alert after %v, all-clear after %v, the timer is %v", fault, off, on, drillTimer)
			}
			t.Logf("%-18s %5d honest mails judged, %d refused, %d with a list unchecked; alert after %v, all-clear %v after the list was well",
				fault, d.judged.Load(), d.wrong.Load(), d.unchecked.Load(), off.Round(time.Millisecond), on.Round(time.Millisecond))
		}
	})
}

// An allowlist that lists everybody gives nobody a bonus, not even from the cache; switched
// off it only loses its bonus.
func TestDrillOfAnAllowlist(t *testing.T) {
	srv := mailtest.NewDNS(t, mailtest.Zone{"2.0.0.127.wl.example.org": {"A 127.0.10.0"}, "9.2.0.192.wl.example.org": {"A 127.0.10.3"}})
	r, err := dns.New(dns.Config{Servers: []string{srv.Addr()}, Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	l, err := blocklist.NewLists([]blocklist.ListConfig{
		{Name: "wl", Zone: "wl.example.org", Of: blocklist.OfIP, Codes: map[string]string{"127.0.*.3": "DNSWL_HI", "127.0.*.2": "DNSWL_MED"}},
	}, blocklist.ListParts{Resolver: r})
	if err != nil {
		t.Fatal(err)
	}
	spam, friend := message("203.0.113.5", ""), message("192.0.2.9", "")
	l.Test(t.Context())
	if got := found(t, l.Client(), friend); got != "DNSWL_HI" {
		t.Fatal(got)
	}
	if err := srv.Set("*.wl.example.org", "A 127.0.10.3"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"error: wl lists everything", "error: wl is switched off"} {
		if got := found(t, l.Client(), spam); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if err := srv.Set("*.wl.example.org"); err != nil {
		t.Fatal(err)
	}
	l.Test(t.Context())
	if got := found(t, l.Client(), spam); got != "" { // what the cache holds is of the bad time
		t.Errorf("after it came back a stranger gets %s", got)
	}
	if got := found(t, l.Client(), friend); got != "DNSWL_HI" {
		t.Errorf("after it came back the friend gets %q", got)
	}
}

// A list that stays off for over an hour is unchecked as before, and nothing a later try
// would find over: a score may refuse again.
func TestListThatStaysOffIsStanding(t *testing.T) {
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	srv := mailtest.NewDNS(t, mailtest.Zone{"2.0.0.127.bl.example.org": {"A 127.0.0.2"}})
	r, err := dns.New(dns.Config{Servers: []string{srv.Addr()}, Timeout: 100 * time.Millisecond, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	one := func(name, zone string) blocklist.ListConfig {
		return blocklist.ListConfig{Name: name, Zone: zone, Of: blocklist.OfIP, Codes: map[string]string{"127.0.0.2": "RBL_A"}}
	}
	l, err := blocklist.NewLists([]blocklist.ListConfig{one("dead", "dead.example.org"), one("bl", "bl.example.org")}, blocklist.ListParts{Resolver: r, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	pipe := &filter.Pipeline{Steps: []filter.Step{{Name: "lists", Stage: filter.OnConnect, Check: l.Client()}}}
	for i, s := range []struct {
		after    time.Duration
		before   func()
		words    string
		standing bool
	}{
		{0, func() {}, "dead is switched off, bl is switched off", false}, // not tested yet
		{0, func() { l.Test(t.Context()) }, "dead is switched off", false},
		{59 * time.Minute, func() { l.Test(t.Context()) }, "dead is switched off", false},
		{2 * time.Minute, func() { l.Test(t.Context()) }, "dead is switched off", true},
		{time.Minute, func() { srv.Fault("*", mailtest.DNSFault{Rcode: 2}) }, "dead is switched off, bl did not answer: the name server answered SERVFAIL", false},
	} {
		c.forward(s.after)
		s.before()
		f := pipe.Run(t.Context(), filter.OnConnect, message(fmt.Sprintf("203.0.113.%d", i+1), "")).Failures
		if len(f) != 1 || f[0].Reason != s.words || f[0].Standing != s.standing {
			t.Errorf("%+v, want %+v", f, s)
		}
	}
}
