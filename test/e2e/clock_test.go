package e2e

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/cmd/postern/listcalls"

	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	node "postern/cmd/postern/gateway"
	"postern/internal/config"
	"postern/internal/mailtest"
	"postern/internal/report"
	dkimkeys "postern/internal/stamp/keys"
	"postern/quarantine"
	"postern/test/world"
)

// journal is a log that is read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// startAt runs the parts of a gateway that was stopped in this process, by another clock: a
// program without libc cannot be told a false time from outside. End it before the test ends.
func (g *gateway) startAt(t *testing.T, now func() time.Time) (log *journal, end func()) {
	t.Helper()
	log = &journal{}
	cfg, err := config.Load(g.Config)
	if err != nil {
		t.Fatal(err)
	}
	set, err := app.LoadChecked(cfg.Rules.Dir)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := node.Build(t.Context(), node.Options{Config: cfg, Rules: set, Log: slog.New(slog.NewJSONHandler(log, nil)), Now: now, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	serving, ended := make(chan node.Addrs, 1), make(chan error, 1)
	go func() { ended <- parts.Run(ctx, func(a node.Addrs) { serving <- a }) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		parts.Close(context.Background())
	})
	t.Cleanup(end)
	select {
	case addrs := <-serving:
		g.Addrs = map[string]string{}
		for name, a := range addrs {
			g.Addrs[name] = a.String()
		}
	case err := <-ended:
		ended <- err
		t.Fatalf("it ended at once: %v\n%s", err, log)
	}
	g.Ready()
	return log, end
}

// jumps are the false times of a clock that was right when the mail came in.
func jumps() map[string]func(time.Time) time.Time {
	add := func(d time.Duration) func(time.Time) time.Time {
		return func(t time.Time) time.Time { return t.Add(d) }
	}
	begin := time.Now()
	until := func(at time.Time) func(time.Time) time.Time { return add(at.Sub(begin)) }
	spring := time.Date(2027, 3, 28, 1, 0, 0, 0, time.UTC)
	return map[string]func(time.Time) time.Time{
		"an hour back":      add(-time.Hour),
		"an hour forward":   add(time.Hour),
		"ten years forward": add(10 * 365 * 24 * time.Hour),
		"2038":              until(time.Date(2038, 1, 19, 3, 14, 7, 0, time.UTC)), // 32 bits of seconds end while it runs
		"summer time": func(t time.Time) time.Time { // the hour that does not exist, and a zone that changes meanwhile
			t = until(spring.Add(-time.Second))(t)
			if t.Before(spring) {
				return t.In(time.FixedZone("CET", 3600))
			}
			return t.In(time.FixedZone("CEST", 7200))
		},
	}
}

// A node that comes up with a false clock, and goes on with it, loses nothing it keeps; what it
// keeps is whole when the clock is right again.
func TestF37ClockJumps(t *testing.T) {
	t.Parallel()
	for name, jump := range jumps() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := mailtest.NewBackend(t, mailtest.Script{})
			g := prepare(t, plan{Backend: b.Addr(), More: "auth: {arc_seal: true}\nreports: {receive: [reports@example.com]}\n"})
			_, end := g.startAt(t, time.Now)
			kept := keepThings(t, g)
			end()
			log, end := g.startAt(t, func() time.Time { return jump(time.Now()) })
			checkThings(t, g, b, kept, time.Until(jump(time.Now())))
			if loud := strings.Contains(log.String(), `"clock"`); loud != (time.Until(jump(time.Now())) > 12*time.Hour) {
				t.Errorf("the alert about the clock: %v", loud)
			}
			if strings.Contains(log.String(), "panic") {
				t.Errorf("%s", log)
			}
			end()
			_, end = g.startAt(t, time.Now)
			checkThings(t, g, b, kept, 0)
			end()
		})
	}
}

// A clock that is set while mail flows keeps nobody waiting: sessions, limits, the relay and
// holds go on, and nothing that was kept is dropped for its age.
func TestF37ClockIsSetWhileRunning(t *testing.T) {
	t.Parallel()
	b := mailtest.NewBackend(t, mailtest.Script{})
	g := prepare(t, plan{Backend: b.Addr(), More: "auth: {arc_seal: true}\nreports: {receive: [reports@example.com]}\nrates: {ip: {minute: 1000}}\n"})
	var off atomic.Int64
	log, _ := g.startAt(t, func() time.Time { return time.Now().Add(time.Duration(off.Load())) })
	kept := keepThings(t, g)
	open := dial(t, g.Addrs["mx"])
	open.comesFrom(friendIP)
	day := 24 * time.Hour
	for i, jump := range []time.Duration{time.Hour, -time.Hour, 400 * day, 3650 * day, 4100 * day, -400 * day, 0} {
		off.Store(int64(jump))
		begin := time.Now()
		if code, text := open.transaction("frank@friend.example", []string{"ada@example.com"}, letter(fmt.Sprint("in an open session ", i), "x")); code != 250 {
			t.Errorf("off by %v: %d %s", jump, code, text)
		}
		h, raw := g.hold(t, "bob@example.com", fmt.Sprint("Held ", i), "x")
		g.run(t, 0, "quarantine", "release", h.ID)
		n := len(b.Transactions())
		if got := b.Transactions()[n-1]; !strings.HasSuffix(string(got.Body), raw) || got.To[0] != "bob@example.com" {
			t.Errorf("off by %v: released as %q\n%s", jump, got.To, got.Body)
		}
		checkThings(t, g, b, kept, jump)
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("off by %v: it took %v", jump, took)
		}
	}
	if strings.Contains(log.String(), `"level":"ERROR"`) {
		t.Errorf("%s", log)
	}
}

// What the outbox owes is tried again when a clock that was far ahead is right.
func TestF37OutboxFromTheFuture(t *testing.T) {
	t.Parallel()
	b := mailtest.NewBackend(t, mailtest.Script{LMTP: true, EndFor: map[string]mailtest.Step{"bob@example.com": {Reply: "451 4.3.0 later"}}})
	g := prepare(t, plan{Backend: b.Addr(), LMTP: true})
	_, end := g.startAt(t, func() time.Time { return time.Now().Add(400 * 24 * time.Hour) })
	raw := letter("Owed", "x")
	g.mustDeliver(t, 250, "ada@example.com,bob@example.com", raw)
	end()
	b.Set(mailtest.Script{LMTP: true})
	before := len(b.Transactions())
	g.startAt(t, time.Now)
	tx := b.WaitTransactions(t, before+1)[before]
	if !strings.HasSuffix(string(tx.Body), raw) || len(tx.To) != 1 || tx.To[0] != "bob@example.com" {
		t.Errorf("%q got\n%s", tx.To, tx.Body)
	}
	world.Await(t, "nothing is owed", 5*time.Second, func() bool { return len(outboxOf(t, g)) == 0 })
}

// things are what a gateway should keep.
type things struct {
	hold quarantine.Hold
	raw  string
	key  calls.DKIMKey
}

// keepThings gives a gateway something of each kind.
func keepThings(t *testing.T, g *gateway) (out things) {
	t.Helper()
	out.hold, out.raw = g.hold(t, "ada@example.com", "Kept", "x")
	out.key = runJSON[calls.DKIMKey](t, g, 0, "dkim", "add", "--json", "--alg", "ed25519", "mx1.example.com")
	g.set(t, out.key.Record.Name, "TXT "+out.key.Record.Text)
	g.run(t, 0, "dkim", "dns", "mx1.example.com")
	g.mustDeliver(t, 250, "reports@example.com", reportMail("application/gzip", "x.xml.gz", gzipped(t, foreignReport)))
	g.run(t, 0, "blocklist", "add", "--reason", "for ever", "crook.example")
	g.run(t, 0, "blocklist", "add", "--reason", "for a day", "--for", "24h", "nuisance.example")
	return out
}

// checkThings looks for all of them by a clock that is off by so much.
func checkThings(t *testing.T, g *gateway, b *mailtest.Backend, kept things, off time.Duration) {
	t.Helper()
	if h := runJSON[quarantine.Page](t, g, 0, "quarantine", "list", "--json", "state:held").Holds; len(h) != 1 || h[0].ID != kept.hold.ID {
		t.Errorf("off by %v: %d holds", off, len(h))
	}
	if out, _, _ := g.Run("quarantine", "show", "--raw", kept.hold.ID); out != kept.raw {
		t.Errorf("off by %v: the hold is %q", off, out)
	}
	if all := runJSON[calls.DKIMList](t, g, 0, "dkim", "list", "--json").Keys; len(all) != 1 || all[0].State != dkimkeys.Active {
		t.Errorf("off by %v: keys %+v", off, all)
	}
	if all := runJSON[[]report.Received](t, g, 0, "reports", "list", "--json"); len(all) != 1 {
		t.Errorf("off by %v: %d received reports", off, len(all))
	}
	if out, _, _ := g.Run("trace", "--since", "200000h", "--id", kept.hold.MessageID); !strings.Contains(out, kept.hold.MessageID) {
		t.Errorf("off by %v: trace does not find the mail that is held: %s", off, out)
	}
	before := len(b.Transactions())
	g.mustDeliver(t, 250, "ada@example.com", letter("While the clock is off", "x"))
	if body := b.WaitTransactions(t, before+1)[before].Body; !bytes.Contains(body, []byte("ARC-Seal: i=1")) || !bytes.Contains(body, []byte("spf=pass")) {
		t.Errorf("off by %v: it went out as\n%s", off, body)
	}
	from := func(domain string, want int) {
		t.Helper()
		c := dial(t, g.Addrs["mx"])
		c.comesFrom(friendIP)
		if code, text := c.transaction("x@"+domain, []string{"ada@example.com"}, letterFrom("x@"+domain, "x", "x")); code != want {
			t.Errorf("off by %v: from %s: %d %s", off, domain, code, text)
		}
	}
	from("crook.example", 550)
	if off < 24*time.Hour {
		from("nuisance.example", 550)
	}
	if all := runJSON[listcalls.Entries](t, g, 0, "blocklist", "list", "--json"); all.Total != 2 {
		t.Errorf("off by %v: %d own entries", off, all.Total)
	}
	g.run(t, 0, "audit", "verify")
	world.Await(t, "metrics answer", 5*time.Second, func() bool { code, _ := g.ask(t, "/metrics"); return code == http.StatusOK })
}
