package zone_test

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
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"postern/blocklist/zone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a DNS zone in memory. "*" answers every name that has no entry of its own.
type served struct {
	mu    sync.Mutex
	a     map[string]string // name -> addresses
	fails error
	asked []string
	gate  chan struct{} // questions wait for it
}

func (s *served) A(ctx context.Context, name string) ([]netip.Addr, error) {
	s.mu.Lock()
	s.asked = append(s.asked, name)
	gate, fails := s.gate, s.fails
	text, ok := s.a[name]
	if !ok {
		text = s.a["*"]
	}
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, &net.DNSError{Name: name, IsTimeout: true, Err: ctx.Err().Error()}
		}
	}
	if fails != nil {
		return nil, fails
	}
	if text == "" {
		return nil, &net.DNSError{Name: name, IsNotFound: true}
	}
	var all []netip.Addr
	for _, f := range strings.Fields(text) {
		all = append(all, netip.MustParseAddr(f))
	}
	return all, nil
}

func (s *served) TXT(_ context.Context, name string) ([]string, error) {
	return []string{"see https://example.org/?q=" + name}, nil
}

func (s *served) set(name, addrs string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.a[name] = addrs
}

func (s *served) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// list is a healthy IP list with one listed host.
func list(t testing.TB) (*zone.Zone, *served) {
	t.Helper()
	s := &served{a: map[string]string{
		"2.0.0.127.bl.example.org": "127.0.0.2",
		"9.2.0.192.bl.example.org": "127.0.0.4",
	}}
	z, err := zone.New(zone.Config{Name: "bl", Zone: "bl.example.org", Of: zone.OfIP,
		Codes: map[string]string{"127.0.0.2": "RBL_A", "127.0.0.4/31": "RBL_B", "127.1.*.3": "RBL_C"}}, s)
	if err != nil {
		t.Fatal(err)
	}
	return z, s
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := map[string]string{"127.0.0.2": "X"}
	for name, c := range map[string]zone.Config{
		"no name":           {Zone: "z.example", Of: zone.OfIP, Codes: good},
		"no zone":           {Name: "z", Of: zone.OfIP, Codes: good},
		"no kind":           {Name: "z", Zone: "z.example", Codes: good},
		"other kind":        {Name: "z", Zone: "z.example", Of: "url", Codes: good},
		"no codes":          {Name: "z", Zone: "z.example", Of: zone.OfIP},
		"no symbol":         {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: map[string]string{"127.0.0.2": ""}},
		"foreign code":      {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: map[string]string{"192.0.2.1": "X"}},
		"foreign prefix":    {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: map[string]string{"192.0.2.0/24": "X"}},
		"wide prefix":       {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: map[string]string{"127.0.0.0/4": "X"}},
		"IPv6 code":         {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: map[string]string{"::1": "X"}},
		"words":             {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: map[string]string{"listed": "X"}},
		"no bits":           {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: map[string]string{"127.0.0.&0": "X"}},
		"bits of words":     {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: map[string]string{"127.0.0.&x": "X"}},
		"octet 256":         {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: map[string]string{"127.0.0.256": "X"}},
		"key without file":  {Name: "z", Zone: "{key}.z.example", Of: zone.OfIP, Codes: good},
		"no such key file":  {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: good, KeyFile: filepath.Join(dir, "none")},
		"empty key":         {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: good, KeyFile: file("empty", "\n")},
		"key of two labels": {Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: good, KeyFile: file("two", "a.b\n")},
	} {
		if _, err := zone.New(c, &served{}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestReversed(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.99":         "99.2.0.192",
		"::ffff:192.0.2.99":  "99.2.0.192",
		"2001:db8:1:2::abcd": "d.c.b.a.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2",
	} {
		if got := zone.Reversed(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %s", ip, got)
		}
	}
}

func TestCodesThatCount(t *testing.T) {
	z, s := list(t)
	for answer, want := range map[string]string{
		"":                              "[]",
		"127.0.0.2":                     "[RBL_A]",
		"127.0.0.4":                     "[RBL_B]",
		"127.0.0.5":                     "[RBL_B]",
		"127.0.0.6":                     "[]", // a code nobody named
		"127.0.0.2 127.0.0.4 127.0.0.5": "[RBL_A RBL_B]",
		"127.1.200.3":                   "[RBL_C]",
		"127.1.200.4":                   "[]",
		"127.255.255.254":               "refuses to answer us (127.255.255.254)",
		"127.0.0.2 127.255.255.252":     "refuses to answer us (127.255.255.252)",
		"127.0.0.1":                     "answers 127.0.0.1",
		"198.51.100.7":                  "gives an address that is no list answer (198.51.100.7)",
		"127.0.0.2 198.51.100.7":        "gives an address that is no list answer (198.51.100.7)",
	} {
		s.set("1.2.0.192.bl.example.org", answer)
		a, err := z.Ask(t.Context(), "192.0.2.1", time.Now())
		got := fmt.Sprint(a.Symbols)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", answer, got, want)
		}
	}
}

func TestSelfTest(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *served)
		want   string
	}{
		"healthy":          {func(*served) {}, ""},
		"empty":            {func(s *served) { clear(s.a) }, "does not know its own test entry"},
		"lists everything": {func(s *served) { s.a["*"] = "127.0.0.2" }, "lists everything"},
		"lists 127.0.0.1":  {func(s *served) { s.a["1.0.0.127.bl.example.org"] = "127.0.0.2" }, "lists everything"},
		"error codes":      {func(s *served) { s.a["*"] = "127.255.255.254" }, "refuses to answer us (127.255.255.254)"},
		"parked":           {func(s *served) { clear(s.a); s.a["*"] = "198.51.100.7" }, "gives an address that is no list answer (198.51.100.7)"},
		"servfail":         {func(s *served) { s.fails = &net.DNSError{Err: "server failure", IsTemporary: true} }, "did not answer: server failure"},
		"silent":           {func(s *served) { s.fails = &net.DNSError{IsTimeout: true, Err: "x"} }, "did not answer"},
	} {
		z, s := list(t)
		c.change(s)
		got := ""
		if err := z.Test(t.Context()); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestSelfTestOfNames(t *testing.T) {
	s := &served{a: map[string]string{"test.dbl.example.org": "127.0.1.2", "bad.example.dbl.example.org": "127.0.1.2"}}
	z, err := zone.New(zone.Config{Name: "dbl", Zone: "DBL.example.org.", Of: zone.OfDomain, Codes: map[string]string{"127.0.1.2": "DBL"}}, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Test(t.Context()); err != nil {
		t.Error(err)
	}
	if a, err := z.Ask(t.Context(), "bad.example", time.Now()); err != nil || fmt.Sprint(a.Symbols) != "[DBL]" {
		t.Error(a, err)
	}
	s.set("invalid.dbl.example.org", "127.0.1.2")
	if err := z.Test(t.Context()); err == nil {
		t.Error("INVALID is listed and the list passes")
	}
}

func TestNamesThatCannotBeAskedAreNotListed(t *testing.T) {
	s := &served{a: map[string]string{"*": "127.0.1.2"}}
	z, err := zone.New(zone.Config{Name: "dbl", Zone: "dbl.example.org", Of: zone.OfDomain, Codes: map[string]string{"127.0.1.2": "DBL"}}, s)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a.", 121) + "example"
	for _, name := range []string{long, "a b.example", "a\x00.example", strings.Repeat("a", 64) + ".example", "..", ""} {
		if a, err := z.Ask(t.Context(), name, time.Now()); err != nil || len(a.Addrs) != 0 {
			t.Errorf("%q: %v %v", name, a, err)
		}
	}
	if s.questions() != 0 {
		t.Errorf("asked %q", s.asked)
	}
}

func TestKeyIsNeverShown(t *testing.T) {
	const key = "sEcretkey42"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, written := range []string{"zen.example.org", "{key}.zen.example.org", "x.{key}.example.org"} {
		s := &served{a: map[string]string{"*": "127.0.0.2"}}
		z, err := zone.New(zone.Config{Name: "zen", Zone: written, Of: zone.OfIP, KeyFile: file, Codes: map[string]string{"127.0.0.2": "X"}}, s)
		if err != nil {
			t.Fatal(err)
		}
		a, err := z.Ask(t.Context(), "192.0.2.1", time.Now())
		if err != nil || len(a.Symbols) != 1 {
			t.Fatal(a, err)
		}
		if !strings.Contains(s.asked[0], strings.ToLower(key)) {
			t.Errorf("asked without the key: %s", s.asked[0])
		}
		s.fails = &net.DNSError{Name: s.asked[0], Server: s.asked[0], Err: "refused for " + s.asked[0], IsTemporary: true}
		_, err = z.Ask(t.Context(), "192.0.2.1", time.Now())
		z.Turn(err, time.Now())
		shown := fmt.Sprintf("%v %+v %#v %s %s %s", err, err, z.Health(), z.Text(t.Context(), "192.0.2.1"), z.Apex(), z.Name())
		if err == nil || strings.Contains(strings.ToLower(shown), strings.ToLower(key)) {
			t.Errorf("%s shows its key: %s", written, shown)
		}
	}
}

func TestTurnAndMissed(t *testing.T) {
	z, _ := list(t)
	now := time.Unix(1000, 0)
	if on, fault := z.On(); on || fault == "" {
		t.Error("on before any test")
	}
	if !z.Turn(nil, now) || z.Turn(nil, now.Add(time.Minute)) {
		t.Error("going on is news once")
	}
	if h := z.Health(); !h.On || !h.Since.Equal(now) {
		t.Errorf("%+v", h)
	}
	silent := errors.New("did not answer")
	for range 2 {
		for range 4 {
			if off, test := z.Missed(silent); off || test {
				t.Fatal("too early")
			}
		}
		z.Answered() // an answer starts the count again
	}
	for range 4 {
		z.Missed(silent)
	}
	if off, test := z.Missed(silent); off || !test {
		t.Error("silence in a row must be looked into, and is no proof alone", off, test)
	}
	z.Answered()
	s := &served{a: map[string]string{"*": "127.255.255.1"}}
	y, err := zone.New(zone.Config{Name: "y", Zone: "y.example", Of: zone.OfIP, Codes: map[string]string{"127.0.0.2": "X"}}, s)
	if err != nil {
		t.Fatal(err)
	}
	_, sick := y.Ask(t.Context(), "192.0.2.1", time.Now())
	if off, test := y.Missed(sick); !off || !test {
		t.Error("a list that says it is not well stays on")
	}
	if !z.Turn(sick, now) || z.Turn(sick, now) || !z.Turn(nil, now) {
		t.Error("going off and on again is news, once each")
	}
	if !y.Turn(sick, now) {
		t.Error("a list that never worked is no news")
	}
}

// Hits that come together share a proof, and every hit waits for one begun after it.
func TestProofsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, s := list(t)
		s.gate = make(chan struct{})
		errs := make([]error, 50)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = z.Prove(t.Context()) })
		}
		synctest.Wait()
		if n := s.questions(); n != 1 {
			t.Errorf("%d questions at once", n)
		}
		close(s.gate)
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		if n := s.questions(); n != 2 {
			t.Errorf("%d questions for %d hits: the first has its own, all others share one", n, len(errs))
		}
		s.set("*", "127.0.0.2")
		if err := z.Prove(t.Context()); err == nil {
			t.Error("a list that lists everything is believed")
		}
		s.set("*", "")
		if err := z.Prove(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestProofOutlivesTheMessageThatBeganIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, s := list(t)
		s.gate = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		var first, second error
		var wg sync.WaitGroup
		wg.Go(func() { first = z.Prove(ctx) })
		synctest.Wait()
		wg.Go(func() { second = z.Prove(t.Context()) })
		cancel()
		synctest.Wait()
		close(s.gate)
		wg.Wait()
		if !errors.Is(first, context.Canceled) || second != nil {
			t.Errorf("%v, %v", first, second)
		}
	})
}

// A list that is silent while a hit is proved costs the hit, not the message's whole time.
func TestSilentProofEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, s := list(t)
		s.gate = make(chan struct{})
		begin := time.Now()
		if err := z.Prove(t.Context()); err == nil || time.Since(begin) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}
