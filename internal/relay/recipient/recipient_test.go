package recipient_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/mailtest"
	"postern/internal/relay/backend"
	"postern/internal/relay/client"
	"postern/internal/relay/recipient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type steps = map[mailtest.Point]mailtest.Step

var verify = recipient.Mode{Kind: recipient.Verify}

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

// rig is a verifier in front of a scripted backend.
type rig struct {
	*recipient.Verifier
	t     *testing.T
	b     *mailtest.Backend
	clock *clock
	mu    sync.Mutex
	told  []string
}

func newRig(t *testing.T, s mailtest.Script) *rig {
	t.Helper()
	r := &rig{t: t, b: mailtest.NewBackend(t, s), clock: newClock()}
	log := slog.New(slog.DiscardHandler)
	p := backend.New(backend.Config{
		LocalName: "gw.example.org", Timeouts: client.Timeouts{Reply: 5 * time.Second},
		Pools: map[string][]backend.Server{"mail": {{Addr: r.b.Addr()}}},
	}, r.clock.now, log)
	t.Cleanup(func() { p.Close() })
	cfg := recipient.Config{TakesAny: func(backend, domain string, any bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = append(r.told, fmt.Sprint(backend, " ", domain, " ", any))
	}}
	r.Verifier = recipient.New(cfg, p, r.clock.now, log)
	t.Cleanup(func() { r.Close() })
	return r
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// ask puts an answer in one line: "known", "known unverified", "known stale", the refusal, or
// "later" and the reply.
func (r *rig) ask(addr string) string {
	r.t.Helper()
	a, err := r.Known(patient(r.t), "mail", verify, addr)
	return line(r.t, a, err)
}

func line(t *testing.T, a recipient.Answer, err error) string {
	t.Helper()
	if err != nil {
		var e *recipient.TempError
		if !errors.As(err, &e) || !e.Reply.Temporary() || e.Reply.Code == 421 || strings.Contains(e.Reply.String(), "127.0.0.1") {
			t.Errorf("error %T %v", err, err)
		}
		return "later " + e.Reply.String()
	}
	s := "known"
	if !a.Known {
		if !a.Reply.Permanent() {
			t.Errorf("unknown with %v", a.Reply)
		}
		return a.Reply.String()
	}
	if !a.Verified {
		s += " unverified"
	}
	if a.Stale {
		s += " stale"
	}
	return s
}

func (r *rig) want(addr, want string) {
	r.t.Helper()
	if got := r.ask(addr); got != want {
		r.t.Errorf("%s: %q, want %q", addr, got, want)
	}
}

// rcpts counts what was asked of the backend, random addresses apart.
func (r *rig) rcpts() (asked, random int) {
	for _, l := range r.b.Lines() {
		switch {
		case strings.HasPrefix(l, "RCPT TO:<postern-"):
			random++
		case strings.HasPrefix(l, "RCPT"):
			asked++
		}
	}
	return asked, random
}

func mailboxes(list ...string) mailtest.Script {
	return mailtest.Script{Mailboxes: append([]string{}, list...)}
}

func TestProbeAndCache(t *testing.T) {
	r := newRig(t, mailboxes("jo@example.com"))
	for range 3 {
		r.want("jo@example.com", "known")
		r.want("JO@Example.com", "known")
		r.want("no@example.com", "550 5.1.1 no such user here")
	}
	if asked, random := r.rcpts(); asked != 2 || random != 1 {
		t.Errorf("%d questions, %d random ones", asked, random)
	}
	if len(r.b.Transactions()) != 0 {
		t.Error("a probe reached DATA")
	}
	for _, l := range r.b.Lines() {
		if strings.HasPrefix(l, "MAIL") && l != "MAIL FROM:<>" {
			t.Errorf("probed with %q", l)
		}
	}
	r.clock.add(5*time.Minute - time.Second)
	r.want("no@example.com", "550 5.1.1 no such user here")
	if asked, _ := r.rcpts(); asked != 2 {
		t.Error("a refusal was forgotten before 5 min")
	}
	r.b.Set(mailboxes("jo@example.com", "no@example.com"))
	r.clock.add(time.Second)
	r.want("no@example.com", "known")
	r.clock.add(12*time.Hour - 5*time.Minute - time.Second)
	r.want("jo@example.com", "known")
	if asked, _ := r.rcpts(); asked != 3 {
		t.Error("a positive answer was forgotten before 12 h")
	}
	r.b.Set(mailboxes())
	r.clock.add(5 * time.Minute)
	r.want("jo@example.com", "550 5.1.1 no such user here")
	r.want("no@example.com", "known") // 12 h are not over for this one
	r.Forget("no@EXAMPLE.com")
	r.want("no@example.com", "550 5.1.1 no such user here")
}

// A 4xx is passed on and never remembered.
func TestTemporaryRefusalIsNotCached(t *testing.T) {
	r := newRig(t, mailtest.Script{RcptFor: map[string]mailtest.Step{"jo@example.com": {Reply: "451 4.3.0 directory is away"}}, Mailboxes: []string{}})
	for range 3 {
		r.want("jo@example.com", "later 451 4.3.0 directory is away")
	}
	if asked, _ := r.rcpts(); asked != 3 {
		t.Errorf("%d questions", asked)
	}
	r.b.Set(mailboxes("jo@example.com"))
	r.want("jo@example.com", "known")
}

func TestRefusalOfTheProbeIsNoAnswer(t *testing.T) {
	for _, reply := range []string{"550 5.7.1 no null sender here", "554 no", "421 4.3.2 busy"} {
		r := newRig(t, mailtest.Script{Steps: steps{mailtest.AtMail: {Reply: reply}}})
		r.want("jo@example.com", "later 450 4.4.1 the recipient cannot be verified now, try again later")
		r.b.Set(mailboxes("jo@example.com"))
		r.want("jo@example.com", "known")
	}
	r := newRig(t, mailtest.Script{Steps: steps{mailtest.AtMail: {Reply: "452 4.3.1 full"}}})
	r.want("jo@example.com", "later 452 4.3.1 full")
}

// The last positive answer is used while the server behind is down, however old it is; a
// stranger has to come again.
func TestServerDown(t *testing.T) {
	r := newRig(t, mailboxes("jo@example.com"))
	r.want("jo@example.com", "known")
	r.b.Stop()
	r.clock.add(48 * time.Hour)
	r.want("jo@example.com", "known stale")
	r.want("eve@example.com", "later 450 4.4.1 the recipient cannot be verified now, try again later")
	if err := r.b.Restart(); err != nil {
		t.Fatal(err)
	}
	r.clock.add(time.Minute)
	r.b.Set(mailtest.Script{Steps: steps{mailtest.AtRcpt: {Reply: "421 4.3.2 shutting down", Do: mailtest.CloseAfter}}})
	r.want("jo@example.com", "known stale")
	r.b.Set(mailtest.Script{Steps: steps{mailtest.AtMail: {Reply: "451 4.3.0 later"}}})
	r.want("jo@example.com", "known stale")
	r.b.Set(mailboxes())
	r.want("jo@example.com", "550 5.1.1 no such user here")
	r.b.Stop()
	r.clock.add(time.Hour)
	r.want("jo@example.com", "later 450 4.4.1 the recipient cannot be verified now, try again later")
}

func TestServerThatTakesAnyAddressIsReported(t *testing.T) {
	r := newRig(t, mailtest.Script{})
	r.want("jo@example.com", "known unverified")
	r.want("jo@example.com", "known unverified")
	r.want("eve@example.com", "known unverified")
	r.want("jo@example.net", "known unverified")
	if got := fmt.Sprint(r.told); got != "[mail example.com true mail example.net true]" {
		t.Errorf("told %s", got)
	}
	if _, random := r.rcpts(); random != 2 {
		t.Errorf("%d random addresses for two domains", random)
	}
	r.b.Set(mailboxes("jo@example.com"))
	r.want("no@example.com", "550 5.1.1 no such user here")
	r.clock.add(12 * time.Hour)
	r.want("jo@example.com", "known")
	if got := r.told[len(r.told)-1]; got != "mail example.com false" || len(r.told) != 3 {
		t.Errorf("told %q", r.told)
	}
	seen := map[string]bool{}
	for _, l := range r.b.Lines() {
		if strings.HasPrefix(l, "RCPT TO:<postern-") {
			if seen[l] {
				t.Errorf("%q was asked twice", l)
			}
			seen[l] = true
		}
	}
}

// A random address answered with 4xx says nothing and is tried again at the next question.
func TestUndecidedRandomAddress(t *testing.T) {
	r := newRig(t, mailtest.Script{Hook: func(at mailtest.Point, _ int, arg string) (mailtest.Step, bool) {
		return mailtest.Step{Reply: "450 4.2.0 greylisted"}, at == mailtest.AtRcpt && strings.HasPrefix(arg, "postern-")
	}})
	r.want("jo@example.com", "known")
	r.want("eve@example.com", "known")
	if _, random := r.rcpts(); random != 2 || len(r.told) != 0 {
		t.Errorf("%d random addresses, told %q", random, r.told)
	}
}

func TestAddressesThatCannotBeAsked(t *testing.T) {
	r := newRig(t, mailtest.Script{Extensions: []string{"HELP"}, Mailboxes: []string{"postmaster"}})
	r.want("x> NOTIFY=NEVER <y@example.com", "501 5.1.3 malformed recipient address")
	r.want("jo\r\nDATA@example.com", "501 5.1.3 malformed recipient address")
	r.want("ü@example.com", "550 5.6.7 the server behind does not take internationalised mail")
	r.want("postmaster", "known")
	for _, l := range r.b.Lines() {
		if strings.Contains(l, "NOTIFY") || strings.Contains(l, "DATA") || strings.Contains(l, "ü") {
			t.Errorf("said %q", l)
		}
	}
}

func TestSameQuestionIsAskedOnce(t *testing.T) {
	let := make(chan struct{})
	r := newRig(t, mailboxes("jo@example.com"))
	r.b.Change(func(s *mailtest.Script) {
		s.Hook = func(at mailtest.Point, _ int, arg string) (mailtest.Step, bool) {
			if at == mailtest.AtMail {
				<-let
			}
			if at == mailtest.AtRcpt && arg != "jo@example.com" {
				return mailtest.Step{Reply: "550 5.1.1 no"}, true
			}
			return mailtest.Step{}, false
		}
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { r.want("jo@example.com", "known") })
	}
	// A caller who gives up leaves the probe to the others.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Known(ctx, "mail", verify, "jo@example.com"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(let)
	wg.Wait()
	if asked, _ := r.rcpts(); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// slow is a prober that counts and waits.
type slow struct {
	mu       sync.Mutex
	now, top int
	let      chan struct{}
}

func (s *slow) Probe(ctx context.Context, _ string, to ...string) (client.Begun, error) {
	s.mu.Lock()
	s.now++
	s.top = max(s.top, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	select {
	case <-s.let:
		b := client.Begun{Mail: client.Reply{Code: 250}}
		for range to {
			b.Rcpt = append(b.Rcpt, client.Reply{Code: 550})
		}
		return b, nil
	case <-ctx.Done():
		return client.Begun{}, ctx.Err()
	}
}

func TestProbesAreBounded(t *testing.T) {
	s := &slow{let: make(chan struct{})}
	v := recipient.New(recipient.Config{Probes: 3}, s, time.Now, slog.New(slog.DiscardHandler))
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if a, err := v.Known(patient(t), "mail", verify, fmt.Sprintf("u%d@example.com", i)); err != nil || a.Known {
				t.Error(a, err)
			}
		})
	}
	close(s.let)
	wg.Wait()
	if s.top > 3 {
		t.Errorf("%d probes at once", s.top)
	}
	v.Close()
	if _, err := v.Known(patient(t), "mail", verify, "new@example.com"); err == nil {
		t.Error("a closed verifier asks")
	}
}

func TestCloseEndsProbes(t *testing.T) {
	s := &slow{let: make(chan struct{})}
	v := recipient.New(recipient.Config{}, s, time.Now, slog.New(slog.DiscardHandler))
	got := make(chan error, 1)
	go func() {
		_, err := v.Known(patient(t), "mail", verify, "jo@example.com")
		got <- err
	}()
	for {
		s.mu.Lock()
		n := s.now
		s.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	v.Close()
	var e *recipient.TempError
	if err := <-got; !errors.As(err, &e) {
		t.Errorf("error %v", err)
	}
}

func TestProbeThatTakesTooLong(t *testing.T) {
	s := &slow{let: make(chan struct{})}
	v := recipient.New(recipient.Config{Timeout: 10 * time.Millisecond, Probes: 1}, s, time.Now, slog.New(slog.DiscardHandler))
	defer v.Close()
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			a, err := v.Known(patient(t), "mail", verify, fmt.Sprintf("u%d@example.com", i))
			if !strings.HasPrefix(line(t, a, err), "later 450") {
				t.Error(a, err)
			}
		})
	}
	wg.Wait()
}

func TestOtherModes(t *testing.T) {
	r := newRig(t, mailboxes())
	a, err := r.Known(patient(t), "mail", recipient.Mode{Kind: recipient.Any}, "whoever@example.com")
	if got := line(t, a, err); got != "known unverified" {
		t.Error(got)
	}
	_, err = r.Known(patient(t), "mail", recipient.Mode{}, "whoever@example.com")
	if err == nil {
		t.Error("no mode at all is taken")
	}
	if n := len(r.b.Lines()); n != 0 {
		t.Error("the backend was asked")
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recipients")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, mailboxes())
	want := func(addr, want string) {
		t.Helper()
		a, err := r.Known(patient(t), "mail", recipient.Mode{Kind: recipient.File, Path: path}, addr)
		if got := line(t, a, err); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	const no, later = "550 5.1.1 no such recipient here", "later 450 4.4.1 the recipient cannot be verified now, try again later"
	want("jo@example.com", later)
	write("# people\nJo@Example.com\n  \"odd one\"@example.com # quoted\n@all.example\n\npostmaster\n")
	want("jo@example.com", later) // looked at less than a second ago
	r.clock.add(time.Second)
	for addr, w := range map[string]string{
		"jo@example.com": "known", "JO@EXAMPLE.COM": "known", "jo+tag@example.com": "known", "joe@example.com": no, "jo@example.net": no,
		`"odd one"@example.com`: "known", "any@all.example": "known", "any@sub.all.example": no, "postmaster": "known", "not an address": no,
	} {
		want(addr, w)
	}
	write("jo@example.com\neve@example.com\n")
	r.clock.add(time.Second)
	want("eve@example.com", "known")
	want("any@all.example", no)
	write("jo@example.com\nnonsense line\neve@example.com\n")
	r.clock.add(time.Second)
	want("eve@example.com", "known")
	if err := recipient.CheckFile(path); err == nil || !strings.Contains(err.Error(), path+":2:") {
		t.Errorf("error %v", err)
	}
	os.Remove(path)
	r.clock.add(time.Second)
	want("eve@example.com", "known")
	if err := recipient.CheckFile(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	write("new@example.com\n")
	r.clock.add(time.Second)
	want("eve@example.com", no)
	want("new@example.com", "known")
	write(strings.Repeat("x", 1<<20))
	if err := recipient.CheckFile(path); err == nil {
		t.Error("a line without end was taken")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	r := newRig(t, mailtest.Script{})
	log := slog.New(slog.DiscardHandler)
	p := backend.New(backend.Config{LocalName: "gw.example.org", Pools: map[string][]backend.Server{"mail": {{Addr: r.b.Addr()}}}}, r.clock.now, log)
	defer p.Close()
	v := recipient.New(recipient.Config{MaxCache: 2}, p, r.clock.now, log)
	defer v.Close()
	r.b.Set(mailboxes("a@x.example", "b@x.example", "c@x.example"))
	ask := func(addr string) { v.Known(patient(t), "mail", verify, addr) }
	for i := range 20 {
		ask(fmt.Sprintf("guess%d@x.example", i))
	}
	ask("a@x.example")
	ask("b@x.example")
	before, _ := r.rcpts()
	for i := range 20 {
		ask(fmt.Sprintf("guess%d@x.example", i))
	}
	ask("a@x.example") // guesses do not push known addresses out
	ask("c@x.example") // this does, b was used longest ago
	ask("a@x.example")
	if asked, _ := r.rcpts(); asked != before+21 {
		t.Errorf("%d questions", asked-before)
	}
	ask("b@x.example")
	if asked, _ := r.rcpts(); asked != before+22 {
		t.Error("nothing was pushed out")
	}
}
