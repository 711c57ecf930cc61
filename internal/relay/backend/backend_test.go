package backend_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/breaker"
	"postern/internal/mailtest"
	"postern/internal/relay/backend"
	"postern/internal/relay/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type steps = map[mailtest.Point]mailtest.Step

// clock moves only when told to.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Unix(1_800_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func servers(bs ...*mailtest.Backend) []backend.Server {
	var list []backend.Server
	for _, b := range bs {
		list = append(list, backend.Server{Addr: b.Addr()})
	}
	return list
}

func config(bs ...*mailtest.Backend) backend.Config {
	return backend.Config{
		LocalName: "gw.example.org", Pools: map[string][]backend.Server{"mail": servers(bs...)},
		Rest: breaker.Config{Failures: 2, Rest: time.Second, MaxRest: 8 * time.Second},
	}
}

func pools(t *testing.T, cfg backend.Config) (*backend.Pools, *clock) {
	t.Helper()
	c := newClock()
	p := backend.New(cfg, c.now, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { p.Close() })
	return p, c
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

var envelope = client.Envelope{From: "a@example.org", To: []string{"b@example.com"}}

// send delivers one mail and says which server took it.
func send(t *testing.T, p *backend.Pools, name string) (string, error) {
	t.Helper()
	ctx := patient(t)
	c, b, release, err := p.Begin(ctx, name, envelope)
	if err != nil {
		return "", err
	}
	if !b.OK() {
		release(true)
		return "", fmt.Errorf("refused: %+v", b)
	}
	err = c.Body(ctx, strings.NewReader("Subject: x\r\n\r\nhello\r\n"))
	if err == nil {
		_, err = c.End(ctx)
	}
	release(err == nil)
	return c.Addr(), err
}

func mustSend(t *testing.T, p *backend.Pools) string {
	t.Helper()
	addr, err := send(t, p, "mail")
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func total(b *mailtest.Backend) int {
	_, _, n := b.Connections()
	return n
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	p, _ := pools(t, config(b))
	for range 20 {
		mustSend(t, p)
	}
	if n := total(b); n != 1 {
		t.Errorf("%d connections for 20 mails", n)
	}
	if h := p.Health("mail"); h[0].Idle != 1 || h[0].Use != 0 || h[0].State != breaker.Closed {
		t.Errorf("health %+v", h)
	}
}

func TestRoundRobinAndPriority(t *testing.T) {
	a, b, c := mailtest.NewBackend(t, mailtest.Script{}), mailtest.NewBackend(t, mailtest.Script{}), mailtest.NewBackend(t, mailtest.Script{})
	cfg := config(c, a, b)
	cfg.Pools["mail"][0].Priority = 10
	p, _ := pools(t, cfg)
	got := map[string]int{}
	for range 10 {
		got[mustSend(t, p)]++
	}
	if got[a.Addr()] != 5 || got[b.Addr()] != 5 || got[c.Addr()] != 0 {
		t.Errorf("shared out as %v", got)
	}
	a.Stop()
	b.Stop()
	if addr := mustSend(t, p); addr != c.Addr() {
		t.Errorf("with both down: %s", addr)
	}
}

// F19: the next server takes over, the failed one rests and is tried by one, then by all.
func TestRestAndReturn(t *testing.T) {
	a, b := mailtest.NewBackend(t, mailtest.Script{}), mailtest.NewBackend(t, mailtest.Script{})
	cfg := config(a, b)
	cfg.Pools["mail"][1].Priority = 10
	p, clk := pools(t, cfg)
	if mustSend(t, p) != a.Addr() {
		t.Fatal("the first server was not asked")
	}
	a.Stop()
	for range 3 {
		if mustSend(t, p) != b.Addr() {
			t.Fatal("the second server was not asked")
		}
	}
	h := p.Health("mail")[0]
	if h.State != breaker.Open || h.LastError == "" || h.Idle != 0 || !h.Until.Equal(clk.now().Add(time.Second)) {
		t.Errorf("health %+v", h)
	}
	if !p.Up("mail") {
		t.Error("the pool is not up with one server of two")
	}
	if err := a.Restart(); err != nil {
		t.Fatal(err)
	}
	if mustSend(t, p) != b.Addr() {
		t.Error("a resting server was asked")
	}
	clk.add(time.Second)
	if mustSend(t, p) != a.Addr() || p.Health("mail")[0].State != breaker.Closed {
		t.Error("the server did not come back")
	}
}

func TestEverythingDown(t *testing.T) {
	a := mailtest.NewBackend(t, mailtest.Script{})
	p, _ := pools(t, config(a))
	a.Stop()
	for i := range 4 {
		_, err := send(t, p, "mail")
		var e *client.Error
		if !errors.As(err, &e) || e.Public().Code != 451 {
			t.Fatalf("error %v", err)
		}
		if resting := errors.Is(err, backend.ErrResting); resting != (i >= 2) {
			t.Errorf("try %d: %v", i, err)
		}
	}
	if p.Up("mail") {
		t.Error("up")
	}
	for name, want := range map[string]error{"other": backend.ErrUnknown, "": backend.ErrUnknown} {
		if _, err := send(t, p, name); !errors.Is(err, want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	p.Close()
	if _, err := send(t, p, "mail"); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// F21: a server that refuses at connect or EHLO is a fault of ours: the next one is asked.
func TestRefusalAtConnectOrEHLO(t *testing.T) {
	for _, at := range []mailtest.Point{mailtest.AtBanner, mailtest.AtHello} {
		for _, reply := range []string{"421 4.3.2 no", "450 4.7.1 no", "550 5.7.1 no", "554 5.7.1 no"} {
			a, b := mailtest.NewBackend(t, mailtest.Script{Steps: steps{at: {Reply: reply}}}), mailtest.NewBackend(t, mailtest.Script{})
			p, _ := pools(t, config(a, b))
			if addr := mustSend(t, p); addr != b.Addr() {
				t.Errorf("%s %s: %s", at, reply, addr)
			}
			p, _ = pools(t, config(a))
			_, err := send(t, p, "mail")
			var e *client.Error
			if !errors.As(err, &e) || e.Public().Code != 451 || e.Reply.Code == 0 {
				t.Errorf("%s %s: %v", at, reply, err)
			}
		}
	}
}

// F26: a connection that died in the pool is noticed, whether it shows before or after MAIL.
func TestStaleConnections(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	p, _ := pools(t, config(b))
	mustSend(t, p)
	b.Drop(true)
	b.Wait(t, "the drop", func() bool { open, _, _ := b.Connections(); return open == 0 })
	mustSend(t, p)
	for _, st := range []mailtest.Step{{Do: mailtest.CloseSilent}, {Do: mailtest.SendRST}, {Reply: "421 4.4.2 timeout", Do: mailtest.CloseAfter}} {
		before := total(b)
		b.Change(func(s *mailtest.Script) {
			s.Hook = func(at mailtest.Point, conn int, _ string) (mailtest.Step, bool) {
				return st, at == mailtest.AtMail && conn <= before
			}
		})
		mustSend(t, p)
		if total(b) != before+1 {
			t.Errorf("%+v: %d new connections", st, total(b)-before)
		}
	}
	if n := len(b.WaitTransactions(t, 5)); n != 5 {
		t.Errorf("%d deliveries of 5 mails", n)
	}
	if h := p.Health("mail")[0]; h.State != breaker.Closed || h.LastError != "" {
		t.Errorf("stale connections count against the server: %+v", h)
	}
}

// A fresh connection that breaks at MAIL is not tried again, and nothing is after 354.
func TestNoRetryOnFreshConnections(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{Steps: steps{mailtest.AtMail: {Do: mailtest.CloseSilent}}})
	p, _ := pools(t, config(b))
	if _, err := send(t, p, "mail"); err == nil || total(b) != 1 {
		t.Errorf("error %v after %d connections", err, total(b))
	}
	b.Set(mailtest.Script{})
	mustSend(t, p)
	b.Set(mailtest.Script{Steps: steps{mailtest.AtData: {Do: mailtest.CloseSilent}}})
	before := total(b)
	if _, err := send(t, p, "mail"); err == nil || total(b) != before {
		t.Errorf("error %v after %d more connections", err, total(b)-before)
	}
}

func TestFaultsInUseRestTheServer(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{Steps: steps{mailtest.AtEnd: {Do: mailtest.CloseSilent}}})
	p, clk := pools(t, config(b))
	for range 2 {
		if addr, err := send(t, p, "mail"); err == nil {
			t.Fatal(addr)
		}
	}
	if h := p.Health("mail")[0]; h.State != breaker.Open || h.LastError == "" {
		t.Errorf("health %+v", h)
	}
	clk.add(time.Second)
	b.Set(mailtest.Script{Steps: steps{mailtest.AtEnd: {Reply: "554 5.7.1 no"}}})
	if _, err := send(t, p, "mail"); err != nil {
		t.Error(err)
	}
	if h := p.Health("mail")[0]; h.State != breaker.Closed || h.Idle != 1 {
		t.Errorf("a refusal counts as a fault: %+v", h)
	}
}

// The caller's own end says nothing about the server.
func TestCancelledCallIsNoFault(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{Steps: steps{mailtest.AtBanner: {Do: mailtest.Hang}}})
	p, _ := pools(t, config(b))
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		before := total(b)
		go func() {
			b.Wait(t, "a connection", func() bool { return total(b) > before })
			cancel()
		}()
		if _, _, err := p.Get(ctx, "mail"); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if h := p.Health("mail")[0]; h.State != breaker.Closed || h.LastError != "" {
		t.Errorf("health %+v", h)
	}
}

func TestHungServerTimesOut(t *testing.T) {
	a, b := mailtest.NewBackend(t, mailtest.Script{Steps: steps{mailtest.AtBanner: {Do: mailtest.Hang}}}), mailtest.NewBackend(t, mailtest.Script{})
	cfg := config(a, b)
	cfg.Timeouts.Reply = 50 * time.Millisecond
	p, _ := pools(t, cfg)
	for range 4 {
		if addr := mustSend(t, p); addr != b.Addr() {
			t.Errorf("sent to %s", addr)
		}
	}
	if h := p.Health("mail")[0]; h.State != breaker.Open {
		t.Errorf("health %+v", h)
	}
}

func TestIdleConnectionsAreBounded(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	cfg := config(b)
	cfg.MaxIdle, cfg.MaxUses = 2, 3
	p, clk := pools(t, cfg)
	var releases []func(bool)
	for range 4 {
		_, release, err := p.Get(patient(t), "mail")
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	for _, r := range releases {
		r(true)
		r(true) // a second call does nothing
	}
	if h := p.Health("mail")[0]; h.Idle != 2 || h.Use != 0 {
		t.Errorf("health %+v", h)
	}
	clk.add(30 * time.Second)
	mustSend(t, p)
	if total(b) != 5 {
		t.Errorf("%d connections: an old one was used", total(b))
	}
	for range 3 {
		mustSend(t, p)
	}
	if total(b) != 6 {
		t.Errorf("%d connections: one was used more than three times", total(b))
	}
	_, release, err := p.Get(patient(t), "mail")
	if err != nil {
		t.Fatal(err)
	}
	release(false)
	if h := p.Health("mail")[0]; h.Idle != 0 {
		t.Errorf("kept although not reusable: %+v", h)
	}
}

func TestConnectionsInUseAreBounded(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	cfg := config(b)
	cfg.MaxConns, cfg.MaxWait = 1, 50*time.Millisecond
	cfg.Pools["mail"][0].MaxConns = 2
	p, _ := pools(t, cfg)
	_, release, err := p.Get(patient(t), "mail")
	if err != nil {
		t.Fatal(err)
	}
	_, release2, err := p.Get(patient(t), "mail")
	if err != nil {
		t.Fatal(err)
	}
	defer release2(true)
	if _, _, err := p.Get(patient(t), "mail"); !errors.Is(err, backend.ErrBusy) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := p.Get(ctx, "mail"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	release(true)
	mustSend(t, p)
	if h := p.Health("mail")[0]; h.State != breaker.Closed {
		t.Errorf("a busy server counts as failed: %+v", h)
	}
}

func TestManyAtOnce(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{DropBodies: true})
	cfg := config(b)
	cfg.MaxConns = 5
	p, _ := pools(t, cfg)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			for range 5 {
				if _, err := send(t, p, "mail"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, most, _ := b.Connections(); most > 5 || len(b.Transactions()) != 200 {
		t.Errorf("%d connections at once, %d mails", most, len(b.Transactions()))
	}
}

func TestProbeConnectionsAreRenewed(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: []string{"b@example.com"}})
	p, _ := pools(t, config(b))
	for range client.MaxProbes + 1 {
		begun, err := p.Probe(patient(t), "mail", "b@example.com")
		if err != nil || !begun.Rcpt[0].OK() {
			t.Fatal(begun, err)
		}
	}
	if total(b) != 2 {
		t.Errorf("%d connections for %d probes", total(b), client.MaxProbes+1)
	}
	b.Forget()
	for range client.MaxRefusals + 1 {
		if begun, err := p.Probe(patient(t), "mail", "nobody@example.com"); err != nil || begun.Rcpt[0].Code != 550 {
			t.Fatal(begun, err)
		}
	}
	if total(b) != 1 {
		t.Errorf("%d new connections for %d refusals", total(b), client.MaxRefusals+1)
	}
	b.Stop()
	if _, err := p.Probe(patient(t), "mail", "b@example.com"); err == nil {
		t.Error("a probe of a dead server")
	}
}

// A probe must not be judged as coming from a stranger named by XCLIENT.
func TestProbesAvoidImpersonatedConnections(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{Extensions: []string{"XCLIENT ADDR NAME"}})
	cfg := config(b)
	cfg.Pools["mail"][0].XClient = true
	p, _ := pools(t, cfg)
	e := envelope
	e.Client.IP = netip.MustParseAddr("192.0.2.1")
	for range 2 {
		c, begun, release, err := p.Begin(patient(t), "mail", e)
		if err != nil || !begun.OK() {
			t.Fatal(begun, err)
		}
		if err := c.Body(patient(t), strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.End(patient(t)); err != nil {
			t.Fatal(err)
		}
		release(true)
	}
	if total(b) != 1 {
		t.Errorf("%d connections for two deliveries", total(b))
	}
	if _, err := p.Probe(patient(t), "mail", "b@example.com"); err != nil {
		t.Fatal(err)
	}
	if total(b) != 2 {
		t.Error("the probe went over a connection that carried XCLIENT")
	}
}

func TestExtensionsAreWhatAllOffer(t *testing.T) {
	a := mailtest.NewBackend(t, mailtest.Script{Extensions: []string{"SIZE 1000", "8BITMIME", "SMTPUTF8"}})
	b := mailtest.NewBackend(t, mailtest.Script{Extensions: []string{"SIZE 500", "8BITMIME"}})
	c := mailtest.NewBackend(t, mailtest.Script{Extensions: []string{"HELP"}})
	cfg := config(a, b)
	cfg.Pools["other"], cfg.Pools["down"] = servers(a, c), servers(c)
	cfg.Pools["down"][0].Addr = "127.0.0.1:1"
	p, _ := pools(t, cfg)
	if x := p.Extensions("mail"); x.EightBitMIME {
		t.Errorf("before anything was asked: %+v", x)
	}
	p.Warm(patient(t))
	if x := p.Extensions("mail"); !x.EightBitMIME || x.SMTPUTF8 || x.Size != 500 {
		t.Errorf("one pool: %+v", x)
	}
	if x := p.Extensions("mail", "other"); x.EightBitMIME || x.SizeOffered {
		t.Errorf("two pools: %+v", x)
	}
	if x := p.Extensions("mail", "down"); x.EightBitMIME {
		t.Errorf("with a pool never reached: %+v", x)
	}
	if x := p.Extensions("mail", "nowhere"); x.EightBitMIME {
		t.Errorf("with an unknown pool: %+v", x)
	}
	before := total(a)
	p.Warm(patient(t))
	if mustSend(t, p); total(a) != before {
		t.Error("warm connections are not used")
	}
	if got := fmt.Sprint(p.Names()); got != "[down mail other]" {
		t.Error(got)
	}
}

func TestReloadKeepsWhatDidNotChange(t *testing.T) {
	a, b := mailtest.NewBackend(t, mailtest.Script{}), mailtest.NewBackend(t, mailtest.Script{})
	cfg := config(a, b)
	cfg.Pools["mail"][0].TLS.CA = x509.NewCertPool()
	p, _ := pools(t, cfg)
	p.Warm(patient(t))
	ctx := patient(t)
	held := map[string]func(bool){}
	conns := map[string]*client.Conn{}
	for range 2 {
		c, begun, release, err := p.Begin(ctx, "mail", envelope)
		if err != nil || !begun.OK() {
			t.Fatal(begun, err)
		}
		conns[c.Addr()], held[c.Addr()] = c, release
	}
	cfg = config(a)
	cfg.Pools["mail"][0].TLS.CA = x509.NewCertPool()
	p.Reload(cfg)
	for addr, c := range conns {
		if err := c.Body(ctx, strings.NewReader("hello\r\n")); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		if r, err := c.End(ctx); err != nil || !r[0].OK() {
			t.Errorf("%s: %v %v", addr, r, err)
		}
		held[addr](true)
	}
	b.Wait(t, "the removed server to be left", func() bool { open, _, _ := b.Connections(); return open == 0 })
	if h := p.Health("mail"); len(h) != 1 || h[0].Idle != 1 || total(a) != 1 {
		t.Errorf("health %+v, %d connections", h, total(a))
	}
	cfg.Pools["mail"][0].Auth = &client.Auth{User: "x"}
	p.Reload(cfg)
	if h := p.Health("mail"); h[0].Idle != 0 {
		t.Errorf("a changed server kept its connections: %+v", h)
	}
	a.Wait(t, "the old connections to be closed", func() bool { open, _, _ := a.Connections(); return open == 0 })
}

func TestRunBringsServersBackAndClosesIdle(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	p, clk := pools(t, config(b))
	mustSend(t, p)
	b.Stop()
	for range 3 {
		send(t, p, "mail")
	}
	if p.Up("mail") {
		t.Fatal("not resting")
	}
	patient := patient(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { p.RunEvery(ctx, time.Millisecond) })
	defer wg.Wait()
	defer cancel()
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	clk.add(2 * time.Second)
	for !p.Up("mail") || p.Health("mail")[0].Idle != 1 {
		if patient.Err() != nil {
			t.Fatal("the server was not found to be back")
		}
		time.Sleep(time.Millisecond)
	}
	clk.add(time.Minute)
	b.Wait(t, "idle connections to be closed", func() bool { open, _, _ := b.Connections(); return open == 0 })
}

func TestDialIsPassedOn(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	cfg := config(b)
	cfg.Pools["mail"][0].Addr = "mail.example.com:25"
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, b.Addr())
	}
	p, _ := pools(t, cfg)
	mustSend(t, p)
}
