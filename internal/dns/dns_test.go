package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"postern/internal/dns"
	"postern/internal/mailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// short is a server timeout that keeps silent servers from slowing the tests, and yet is
// long enough for a loaded machine.
const short = 250 * time.Millisecond

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func resolver(t testing.TB, z mailtest.Zone, change ...func(*dns.Config)) (*dns.Resolver, *mailtest.DNS, *clock) {
	t.Helper()
	srv := mailtest.NewDNS(t, z)
	c := &clock{t: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	cfg := dns.Config{Servers: []string{srv.Addr()}, Now: c.now, Timeout: 2 * time.Second}
	for _, f := range change {
		f(&cfg)
	}
	r, err := dns.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, srv, c
}

func impatient(c *dns.Config) { c.Timeout = short }

// dnsError demands that err is a bare *net.DNSError.
func dnsError(t testing.TB, err error) *net.DNSError {
	t.Helper()
	e, ok := err.(*net.DNSError) //nolint:errorlint // bare is the contract
	if !ok {
		t.Fatalf("not a bare *net.DNSError: %T %v", err, err)
	}
	return e
}

func TestRecordsOfEachType(t *testing.T) {
	long := strings.Repeat("x", 600)
	raw := "quote\" back\\slash \x00\xff;(" // every octet arrives as it was
	r, _, _ := resolver(t, mailtest.Zone{
		"example.com":                     {"A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1", "MX 20 b.example.com", "MX 10 A.example.com", "TXT " + long, "TXT " + raw},
		"null.example.com":                {"MX 0 ."},
		"alias.example.com":               {"CNAME Example.com"},
		"*.wild.example.com":              {"A 192.0.2.9"},
		mailtest.ReverseName("192.0.2.1"): {"PTR Mail.Example.com"},
	})
	ctx := t.Context()
	a, err := r.A(ctx, "EXAMPLE.com.")
	if err != nil || fmt.Sprint(a) != "[192.0.2.1 192.0.2.2]" {
		t.Errorf("A: %v %v", a, err)
	}
	ips, err := r.IPs(ctx, "alias.example.com")
	if err != nil || len(ips) != 3 {
		t.Errorf("IPs through a CNAME: %v %v", ips, err)
	}
	mx, err := r.MX(ctx, "example.com")
	if d := cmp.Diff([]dns.MX{{Pref: 10, Host: "a.example.com"}, {Pref: 20, Host: "b.example.com"}}, mx); d != "" || err != nil {
		t.Errorf("MX: %s %v", d, err)
	}
	if mx, err := r.MX(ctx, "null.example.com"); err != nil || len(mx) != 1 || mx[0].Host != "" {
		t.Errorf("null MX: %v %v", mx, err)
	}
	txt, err := r.TXT(ctx, "example.com")
	if d := cmp.Diff([]string{long, raw}, txt); d != "" || err != nil {
		t.Errorf("TXT: %s %v", d, err)
	}
	for _, ip := range []string{"192.0.2.1", "::ffff:192.0.2.1"} {
		ptr, err := r.PTR(ctx, netip.MustParseAddr(ip))
		if err != nil || fmt.Sprint(ptr) != "[mail.example.com]" {
			t.Errorf("PTR of %s: %v %v", ip, ptr, err)
		}
	}
	if a, err := r.A(ctx, "any.thing.wild.example.com"); err != nil || fmt.Sprint(a) != "[192.0.2.9]" {
		t.Errorf("wildcard: %v %v", a, err)
	}
}

func TestNotFound(t *testing.T) {
	r, _, _ := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.1"}, "dangling.example.com": {"CNAME gone.example.com"}})
	for _, c := range []struct {
		name string
		want error
	}{
		{"gone.example.com", dns.ErrNoName},
		{"dangling.example.com", dns.ErrNoName},
		{"example.com", nil},
		{strings.Repeat("a", 64) + ".example.com", dns.ErrBadName},
		{"a..example.com", dns.ErrBadName},
		{"", dns.ErrBadName},
		{".", dns.ErrBadName},
		{strings.Repeat("abcdefg.", 32) + "com", dns.ErrBadName},
		{"bad\xff.example.com", dns.ErrBadName},
	} {
		_, err := r.TXT(t.Context(), c.name)
		e := dnsError(t, err)
		if !e.IsNotFound || e.IsTemporary || e.IsTimeout {
			t.Errorf("%q: %+v", c.name, e)
		}
		if c.want != nil && !errors.Is(err, c.want) || c.want == nil && e.UnwrapErr != nil {
			t.Errorf("%q: %v, want %v", c.name, err, c.want)
		}
		if e.Name != c.name {
			t.Errorf("error names %q, want %q", e.Name, c.name)
		}
	}
	_, err := r.IPs(t.Context(), "gone.example.com")
	if !dnsError(t, err).IsNotFound {
		t.Errorf("IPs: %v", err)
	}
}

// A name that a stranger wrote holds no escapes: each octet but the dot is itself.
func TestNamesAreLiteral(t *testing.T) {
	r, srv, _ := resolver(t, mailtest.Zone{`a\b@"c d.example.com`: {"A 192.0.2.1"}, "xn--bcher-kva.example.com": {"A 192.0.2.2"}, "_spf.example.com": {"A 192.0.2.3"}})
	for name, want := range map[string]string{
		`a\b@"c d.example.com`: "[192.0.2.1]", `A\B@"C D.example.com`: "[192.0.2.1]", "bücher.example.com": "[192.0.2.2]", "_spf.example.com": "[192.0.2.3]",
	} {
		a, err := r.A(t.Context(), name)
		if err != nil || fmt.Sprint(a) != want {
			t.Errorf("%q: %v %v", name, a, err)
		}
	}
	if _, err := r.A(t.Context(), `a\.b.example.com`); !errors.Is(err, dns.ErrNoName) {
		t.Errorf("an escaped dot: %v (%v)", err, srv.Queries())
	}
}

func TestCacheKeepsAndExpires(t *testing.T) {
	r, srv, clk := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.1"}})
	ask := func(name string) {
		t.Helper()
		_, _ = r.A(t.Context(), name)
	}
	for range 3 {
		ask("example.com")
		ask("none.example.com")
	}
	if srv.Count("example.com") != 1 || srv.Count("none.example.com") != 1 {
		t.Errorf("asked %v", srv.Queries())
	}
	clk.forward(299 * time.Second)
	ask("example.com")
	if srv.Count("example.com") != 1 {
		t.Error("expired before its time")
	}
	clk.forward(2 * time.Second)
	ask("example.com")
	ask("none.example.com")
	if srv.Count("example.com") != 2 || srv.Count("none.example.com") != 2 {
		t.Errorf("not asked again after its time: %v", srv.Queries())
	}
	st := r.Stats()
	if st.Lookups != 9 || st.Hits != 5 || st.Questions != 4 || st.Failures != 0 {
		t.Errorf("%+v", st)
	}
}

func TestTTLIsClamped(t *testing.T) {
	for _, c := range []struct {
		ttl        uint32
		kept, gone time.Duration
		name       string
	}{
		{0, 9 * time.Second, 11 * time.Second, "example.com"},
		{1 << 31, 59 * time.Minute, 61 * time.Minute, "example.com"},
		{0, 9 * time.Second, 11 * time.Second, "none.example.com"},
		{1 << 31, 14 * time.Minute, 16 * time.Minute, "none.example.com"},
	} {
		r, srv, clk := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.1"}})
		srv.SetTTL(c.ttl)
		start := clk.now()
		for i, at := range []time.Duration{0, c.kept, c.gone} {
			clk.forward(at - clk.now().Sub(start))
			_, _ = r.A(t.Context(), c.name)
			if want := []int{1, 1, 2}[i]; srv.Count(c.name) != want {
				t.Errorf("ttl %d of %s: %d questions after %v, want %d", c.ttl, c.name, srv.Count(c.name), at, want)
			}
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	z := mailtest.Zone{"first.example.com": {"TXT 1"}}
	for i := range 50 {
		z[fmt.Sprintf("n%d.example.com", i)] = []string{"TXT " + strings.Repeat("x", 500)}
	}
	z["big.example.com"] = []string{"TXT " + strings.Repeat("y", 5000)}
	r, srv, _ := resolver(t, z, func(c *dns.Config) { c.CacheBytes = 20_000 })
	ask := func(name string) {
		if _, err := r.TXT(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	ask("first.example.com")
	for i := range 50 {
		ask(fmt.Sprintf("n%d.example.com", i))
	}
	ask("n49.example.com")
	ask("first.example.com")
	ask("big.example.com")
	ask("big.example.com")
	if srv.Count("n49.example.com") != 1 || srv.Count("first.example.com") != 2 || srv.Count("big.example.com") < 2 {
		t.Errorf("least recent first: n49 %d, first %d, big %d", srv.Count("n49.example.com"), srv.Count("first.example.com"), srv.Count("big.example.com"))
	}
}

func TestOneQuestionForAll(t *testing.T) {
	r, srv, _ := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.1", "!delay 100ms"}})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := r.A(t.Context(), "example.com"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := srv.Count("example.com"); n != 1 {
		t.Errorf("%d questions", n)
	}
}

// A lookup that gives up leaves its question on the wire: the answer serves the next one.
func TestLateAnswerIsKept(t *testing.T) {
	r, srv, _ := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.1", "!delay 200ms"}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := r.A(ctx, "example.com")
	if e := dnsError(t, err); !e.IsTimeout || !e.IsTemporary {
		t.Errorf("%+v", e)
	}
	if _, err := r.A(t.Context(), "example.com"); err != nil || srv.Count("example.com") != 1 {
		t.Errorf("%v, %d questions", err, srv.Count("example.com"))
	}
}

func TestNew(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("search x.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cfg  dns.Config
		want string
	}{
		{dns.Config{ResolvConf: conf}, ""},
		{dns.Config{Servers: []string{"192.0.2.1", "[2001:db8::1]", "2001:db8::1", "[::1]:5353", "127.0.0.1:53"}}, ""},
		{dns.Config{Servers: []string{"dns.example.com"}}, `dns: server "dns.example.com" is neither an IP address nor ip:port`},
		{dns.Config{Servers: []string{"127.0.0.1:0"}}, `dns: server "127.0.0.1:0" is neither an IP address nor ip:port`},
		{dns.Config{ResolvConf: conf + ".none"}, "dns: no servers given and none found"},
	} {
		r, err := dns.New(c.cfg)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%v: %v", c.cfg.Servers, err)
		}
		if r != nil {
			r.Close()
		}
	}
}

func TestClosed(t *testing.T) {
	r, srv, _ := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.1"}})
	srv.SetSilent(true)
	done := make(chan error)
	go func() {
		_, err := r.A(context.Background(), "example.com")
		done <- err
	}()
	for len(srv.Queries()) == 0 {
		time.Sleep(time.Millisecond)
	}
	r.Close()
	for _, err := range []error{<-done, func() error { _, err := r.A(t.Context(), "other.example.com"); return err }()} {
		if e := dnsError(t, err); !e.IsTemporary {
			t.Errorf("%+v", e)
		}
	}
}

func BenchmarkCached(b *testing.B) {
	r, _, _ := resolver(b, mailtest.Zone{"example.com": {"TXT v=spf1 -all"}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.TXT(b.Context(), "example.com"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOnTheWire(b *testing.B) {
	r, _, clk := resolver(b, mailtest.Zone{"example.com": {"TXT v=spf1 -all"}})
	b.ReportAllocs()
	for b.Loop() {
		clk.forward(time.Hour)
		if _, err := r.TXT(b.Context(), "example.com"); err != nil {
			b.Fatal(err)
		}
	}
}
