package dns_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/dns"
	"postern/internal/mailtest"
)

func TestTruncatedGoesToTCP(t *testing.T) {
	big := strings.Repeat("x", 60_000)
	r, srv, _ := resolver(t, mailtest.Zone{"a.example.com": {"A 192.0.2.1", "!truncate"}, "big.example.com": {"TXT " + big}})
	if a, err := r.A(t.Context(), "a.example.com"); err != nil || len(a) != 1 {
		t.Errorf("%v %v", a, err)
	}
	if txt, err := r.TXT(t.Context(), "big.example.com"); err != nil || len(txt) != 1 || txt[0] != big {
		t.Errorf("60 kB: %v", err)
	}
	q := srv.Queries()
	if len(q) != 4 || q[0].TCP || !q[1].TCP {
		t.Errorf("%v", q)
	}
	srv.Fault("b.example.com", mailtest.DNSFault{Truncate: true, NoTCP: true})
	if _, err := r.A(t.Context(), "b.example.com"); !dnsError(t, err).IsTemporary {
		t.Errorf("truncated and no TCP: %v", err)
	}
}

func TestF3ServerFailureIsTemporary(t *testing.T) {
	for _, f := range []string{"!servfail", "!refused"} {
		r, srv, clk := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.1", f}})
		for range 3 {
			_, err := r.A(t.Context(), "example.com")
			if e := dnsError(t, err); !e.IsTemporary || e.IsNotFound || e.IsTimeout {
				t.Errorf("%s: %+v", f, e)
			}
		}
		if n := srv.Count("example.com"); n != 1 {
			t.Errorf("%s: %d questions, the failure was not remembered", f, n)
		}
		clk.forward(4 * time.Second)
		_, _ = r.A(t.Context(), "example.com")
		if n := srv.Count("example.com"); n != 1 {
			t.Errorf("%s: asked again after 4 s", f)
		}
		srv.Fault("example.com")
		clk.forward(2 * time.Second)
		if _, err := r.A(t.Context(), "example.com"); err != nil {
			t.Errorf("%s: not asked again after 6 s: %v", f, err)
		}
	}
}

func TestNextServerIsAsked(t *testing.T) {
	mailtest.Steady(t, 100*time.Millisecond, func(t testing.TB, scale time.Duration) {
		good := mailtest.NewDNS(t, mailtest.Zone{"example.com": {"A 192.0.2.1"}})
		for _, f := range []string{"!servfail", "!refused", "!silent", "!garbage", "!wrongid", "!wrongname"} {
			r, bad, _ := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.66", f}}, func(c *dns.Config) { c.Timeout = scale * short }, func(c *dns.Config) {
				c.Servers = append(c.Servers, good.Addr())
			})
			a, err := r.A(t.Context(), "example.com")
			if err != nil || fmt.Sprint(a) != "[192.0.2.1]" {
				t.Errorf("%s: %v %v", f, a, err)
			}
			if bad.Count("example.com") == 0 {
				t.Errorf("%s: the first server was not asked", f)
			}
		}
	})
}

func TestServerWithoutEDNS(t *testing.T) {
	// A header that says FORMERR and nothing else: what very old servers answer.
	formerr := append(binary.BigEndian.AppendUint16(nil, 0x8181), make([]byte, 8)...)
	r, srv, _ := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.1"}})
	srv.Fault("example.com", mailtest.DNSFault{Raw: formerr})
	_, err := r.A(t.Context(), "example.com")
	if e := dnsError(t, err); !e.IsTemporary || e.IsTimeout || !strings.Contains(e.Err, "FORMERR") {
		t.Errorf("%+v", e)
	}
	if n := srv.Count("example.com"); n != 2 {
		t.Errorf("%d questions, want one more without EDNS", n)
	}
}

// F5: what is no answer to our question is no answer.
func TestF5ForeignAnswersAreIgnored(t *testing.T) {
	for _, f := range []string{"!wrongid", "!wrongname", "!silent"} {
		r, _, _ := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.66", f}}, impatient)
		a, err := r.A(t.Context(), "example.com")
		if e := dnsError(t, err); a != nil || !e.IsTemporary || !e.IsTimeout {
			t.Errorf("%s: %v %+v", f, a, e)
		}
	}
}

func TestF5Garbage(t *testing.T) {
	r, _, _ := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.66", "!garbage"}}, impatient)
	if _, err := r.A(t.Context(), "example.com"); !dnsError(t, err).IsTemporary {
		t.Error(err)
	}
}

func TestF5CNAMELoopAndChain(t *testing.T) {
	z := mailtest.Zone{
		"loop.example.com": {"CNAME pool.example.com"}, "pool.example.com": {"CNAME loop.example.com"},
		"self.example.com": {"CNAME self.example.com"},
		"c10.example.com":  {"A 192.0.2.1"},
	}
	for i := range 10 {
		z[fmt.Sprintf("c%d.example.com", i)] = []string{fmt.Sprintf("CNAME c%d.example.com", i+1)}
	}
	z["c.example.com"] = []string{"CNAME c0.example.com"}
	r, srv, _ := resolver(t, z)
	for _, name := range []string{"loop.example.com", "self.example.com", "c.example.com"} {
		_, err := r.A(t.Context(), name)
		if e := dnsError(t, err); !e.IsTemporary || e.Err != "too many CNAMEs" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if a, err := r.A(t.Context(), "c0.example.com"); err != nil || len(a) != 1 {
		t.Errorf("a chain of ten: %v %v", a, err)
	}
	if n := len(srv.Queries()); n != 4 {
		t.Errorf("%d questions", n)
	}
}

func TestF5ManyRecords(t *testing.T) {
	z := mailtest.Zone{}
	for i := range 1001 {
		z["many.example.com"] = append(z["many.example.com"], fmt.Sprintf("A 10.0.%d.%d", i/256, i%256))
	}
	z["full.example.com"] = z["many.example.com"][:1000]
	for i := range 10_000 {
		z["huge.example.com"] = append(z["huge.example.com"], fmt.Sprintf("A 10.1.%d.%d", i/256, i%256))
	}
	r, _, _ := resolver(t, z)
	if a, err := r.A(t.Context(), "full.example.com"); err != nil || len(a) != 1000 {
		t.Errorf("%d %v", len(a), err)
	}
	for _, name := range []string{"many.example.com", "huge.example.com"} {
		if a, err := r.A(t.Context(), name); a != nil || !dnsError(t, err).IsTemporary {
			t.Errorf("%s: %d %v", name, len(a), err)
		}
	}
}

// F2: while no server answers, the first lookups wait, the rest fail at once; goroutines do
// not pile up; when a server comes back it is found within the 5 s.
func TestF2BlackHole(t *testing.T) {
	mailtest.Steady(t, 100*time.Millisecond, func(t testing.TB, scale time.Duration) {
		r, srv, clk := resolver(t, mailtest.Zone{"*.example.com": {"A 192.0.2.1"}}, func(c *dns.Config) { c.Timeout = scale * short }, func(c *dns.Config) { c.InFlight = 8 })
		srv.SetSilent(true)
		before := runtime.NumGoroutine()
		var wg sync.WaitGroup
		var most int
		for i := range 200 {
			wg.Go(func() {
				if _, err := r.A(t.Context(), fmt.Sprintf("n%d.example.com", i)); !dnsError(t, err).IsTemporary {
					t.Error(err)
				}
			})
		}
		most = runtime.NumGoroutine() // 200 callers, at most 8 flights with the server's 1 goroutine a packet
		wg.Wait()
		if most > before+200+40 {
			t.Errorf("%d goroutines, %d before", most, before)
		}
		if n := len(srv.Queries()); n > 100 {
			t.Errorf("%d questions to a dead server", n)
		}
		srv.Forget()
		_, err := r.A(t.Context(), "later.example.com")
		if !errors.Is(err, dns.ErrNoServer) || len(srv.Queries()) != 0 {
			t.Errorf("%v, %v", err, srv.Queries())
		}
		srv.SetSilent(false)
		clk.forward(6 * time.Second)
		if _, err := r.A(t.Context(), "later.example.com"); err != nil {
			t.Errorf("not back: %v", err)
		}
		if _, err := r.A(t.Context(), "more.example.com"); err != nil {
			t.Errorf("not back for all: %v", err)
		}
	})
}

// A stranger's silent zone must not make our own name server look dead.
func TestSilentZoneIsNotASilentServer(t *testing.T) {
	mailtest.Steady(t, 100*time.Millisecond, func(t testing.TB, scale time.Duration) {
		r, _, _ := resolver(t, mailtest.Zone{"*.dark.example.com": {"!silent"}, "example.com": {"A 192.0.2.1"}}, func(c *dns.Config) { c.Timeout = scale * short })
		for i := range 4 {
			if _, err := r.A(t.Context(), fmt.Sprintf("n%d.dark.example.com", i)); !dnsError(t, err).IsTimeout {
				t.Error(err)
			}
		}
		if _, err := r.A(t.Context(), "example.com"); err != nil {
			t.Errorf("the server was given up: %v", err)
		}
	})
}

func TestBudgetCountsQuestions(t *testing.T) {
	r, srv, _ := resolver(t, mailtest.Zone{"*.example.com": {"A 192.0.2.1"}})
	if _, err := r.A(t.Context(), "cached.example.com"); err != nil {
		t.Fatal(err)
	}
	b := dns.NewBudget(2, 8*time.Second)
	ctx := dns.WithBudget(t.Context(), b)
	for _, name := range []string{"one", "one", "cached", "two", "cached"} {
		if _, err := r.A(ctx, name+".example.com"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.Cut() {
		t.Error("cut before anything was refused")
	}
	_, err := r.A(ctx, "three.example.com")
	if e := dnsError(t, err); !errors.Is(err, dns.ErrBudget) || !e.IsTemporary || !b.Cut() {
		t.Errorf("%+v", e)
	}
	if srv.Count("three.example.com") != 0 || r.Stats().Refused != 1 {
		t.Error("asked all the same")
	}
	if _, err := r.A(ctx, "one.example.com"); err != nil {
		t.Errorf("what the cache knows is free: %v", err)
	}
	if _, err := r.A(t.Context(), "three.example.com"); err != nil {
		t.Errorf("another message: %v", err)
	}
}

// F1: slow answers cost one message at most its budget, and waits side by side count once.
func TestF1BudgetOfTime(t *testing.T) {
	mailtest.Steady(t, 30*time.Millisecond, func(t testing.TB, scale time.Duration) {
		r, _, _ := resolver(t, mailtest.Zone{"*.example.com": {"A 192.0.2.1", fmt.Sprintf("!delay %s", scale*300*time.Millisecond)}})
		b := dns.NewBudget(100, scale*450*time.Millisecond)
		ctx := dns.WithBudget(t.Context(), b)
		var wg sync.WaitGroup
		for i := range 10 { // together 3 s, side by side 0.3 s
			wg.Go(func() {
				if _, err := r.A(ctx, fmt.Sprintf("n%d.example.com", i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		_, err := r.A(ctx, "late.example.com")
		if e := dnsError(t, err); !errors.Is(err, dns.ErrBudget) || !e.IsTimeout || !b.Cut() {
			t.Errorf("%+v", e)
		}
		start := time.Now()
		if _, err := r.A(ctx, "later.example.com"); !errors.Is(err, dns.ErrBudget) {
			t.Error(err)
		}
		if d := time.Since(start); d > scale*200*time.Millisecond {
			t.Errorf("waited %v with nothing left", d)
		}
		var none *dns.Budget
		if none.Cut() {
			t.Error("no budget is never cut")
		}
	})
}

func TestCallerEndsBeforeBudget(t *testing.T) {
	r, _, _ := resolver(t, mailtest.Zone{"example.com": {"!silent"}}, impatient)
	b := dns.NewBudget(9, time.Minute)
	ctx, cancel := context.WithCancel(dns.WithBudget(t.Context(), b))
	cancel()
	_, err := r.A(ctx, "example.com")
	if e := dnsError(t, err); !errors.Is(err, context.Canceled) || !e.IsTemporary || b.Cut() {
		t.Errorf("%+v cut=%v", e, b.Cut())
	}
}
