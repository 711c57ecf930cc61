package blocklist_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/blocklist"
	"postern/filter"
	"postern/internal/dns"
	"postern/internal/mailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a name server with healthy lists, a resolver that asks it, and the lists.
type world struct {
	*blocklist.Lists
	server *mailtest.DNS
	events chan blocklist.Event
}

func lists(t testing.TB, every time.Duration) *world {
	t.Helper()
	w := &world{events: make(chan blocklist.Event, 1000), server: mailtest.NewDNS(t, mailtest.Zone{
		"2.0.0.127.bl.example.org":         {"A 127.0.0.2", "TXT test entry"},
		"9.2.0.192.bl.example.org":         {"A 127.0.0.4", "TXT sends spam"},
		"8.2.0.192.bl.example.org":         {"A 127.0.0.9"},
		"test.helo.example.org":            {"A 127.0.0.2"},
		"bad.client.test.helo.example.org": {"A 127.0.0.2"},
		"test.dbl.example.org":             {"A 127.0.1.2"},
		"spam.test.dbl.example.org":        {"A 127.0.1.2"},
		"2.0.0.127.wl.example.org":         {"A 127.0.10.0"},
		"9.2.0.192.wl.example.org":         {"A 127.0.10.3"},
	})}
	r, err := dns.New(dns.Config{Servers: []string{w.server.Addr()}, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	w.server.SetTTL(0)
	w.Lists, err = blocklist.NewLists([]blocklist.ListConfig{
		{Name: "bl", Zone: "bl.example.org", Of: blocklist.OfIP, Codes: map[string]string{"127.0.0.4": "RBL_A"}},
		{Name: "helo", Zone: "helo.example.org", Of: blocklist.OfHelo, Codes: map[string]string{"127.0.0.2": "RBL_HELO"}},
		{Name: "dbl", Zone: "dbl.example.org", Of: blocklist.OfDomain, Codes: map[string]string{"127.0.1.2": "DBL_SPAM"}},
		{Name: "wl", Zone: "wl.example.org", Of: blocklist.OfIP, Codes: map[string]string{"127.0.*.3": "WL_HIGH"}},
	}, blocklist.ListParts{Resolver: r, Now: time.Now, Alert: func(e blocklist.Event) { w.events <- e }, Every: every})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// tested are lists that have passed their test.
func tested(t testing.TB) *world {
	t.Helper()
	w := lists(t, 0)
	for _, h := range w.Test(t.Context()) {
		if !h.On {
			t.Fatalf("%+v", h)
		}
	}
	return w
}

func (w *world) hear(t testing.TB, key string, over bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case e := <-w.events:
			if e.Key == key && e.Over == over {
				return
			}
		case <-limit:
			t.Fatalf("no event %s over=%v", key, over)
		}
	}
}

func (w *world) set(t testing.TB, name string, records ...string) {
	t.Helper()
	if err := w.server.Set(name, records...); err != nil {
		t.Fatal(err)
	}
}

func TestNewListsRefuses(t *testing.T) {
	one := blocklist.ListConfig{Name: "a", Zone: "a.example", Of: blocklist.OfIP, Codes: map[string]string{"127.0.0.2": "X"}}
	if _, err := blocklist.NewLists([]blocklist.ListConfig{one, one}, blocklist.ListParts{}); err == nil {
		t.Error("the same name twice is taken")
	}
	if _, err := blocklist.NewLists([]blocklist.ListConfig{{Name: "a"}}, blocklist.ListParts{}); err == nil {
		t.Error("half a list is taken")
	}
}

func TestListsFind(t *testing.T) {
	w := tested(t)
	for _, c := range []struct {
		name             string
		check            filter.Check
		ip, helo, sender string
		want             string
	}{
		{"listed host, on two lists", w.Client(), "192.0.2.9", "", "", "RBL_A WL_HIGH"},
		{"other host", w.Client(), "192.0.2.10", "", "", ""},
		{"a code that does not count", w.Client(), "192.0.2.8", "", "", ""},
		{"private host", w.Client(), "10.0.0.1", "", "", ""},
		{"loopback", w.Client(), "127.0.0.2", "", "", ""},
		{"no host", w.Client(), "", "", "", ""},
		{"listed HELO", w.Sender(), "192.0.2.9", "BAD.client.test.", "a@fine.test", "RBL_HELO"},
		{"listed domain", w.Sender(), "192.0.2.9", "fine.test", "a@Spam.Test", "DBL_SPAM"},
		{"both", w.Sender(), "192.0.2.9", "bad.client.test", "a@spam.test", "RBL_HELO DBL_SPAM"},
		{"literal and null sender", w.Sender(), "192.0.2.9", "[192.0.2.9]", "", ""},
		{"bare address", w.Sender(), "192.0.2.9", "192.0.2.9", "", ""},
	} {
		m := message(c.ip, c.sender)
		m.Client.Helo = c.helo
		if got := found(t, c.check, m); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestListIsNotAskedBeforeItsTest(t *testing.T) {
	w := lists(t, 0)
	if got := found(t, w.Client(), message("192.0.2.9", "")); got != "error: bl is switched off, wl is switched off" {
		t.Error(got)
	}
	if n := len(w.server.Queries()); n != 0 {
		t.Errorf("%d questions", n)
	}
}

// The drill: a zone turns to error codes, to listing everything, to foreign addresses, to
// SERVFAIL, to silence. From the first mail on nobody is found listed by it, the operator
// hears of it, the other list goes on, and the zone comes back by itself.
func TestDrill(t *testing.T) {
	for name, fault := range map[string][]string{
		"error codes":       {"A 127.255.255.254"},
		"lists everything":  {"A 127.0.0.4"},
		"foreign addresses": {"A 198.51.100.7"},
		"127.0.0.1":         {"A 127.0.0.1"},
		"SERVFAIL":          {"!servfail"},
		"REFUSED":           {"!refused"},
		"silence":           {"!silent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := lists(t, 20*time.Millisecond)
			w.Test(t.Context())
			all := []string{"2.0.0.127.bl.example.org", "9.2.0.192.bl.example.org", "8.2.0.192.bl.example.org"}
			for _, n := range all {
				w.set(t, n)
			}
			w.set(t, "*.bl.example.org", fault...)
			for range 3 {
				found, err := w.Client().Check(t.Context(), message("192.0.2.77", ""))
				if err == nil || len(found) != 0 {
					t.Errorf("%v, %v", found, err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = w.Run(ctx) })
			defer func() { cancel(); wg.Wait() }()
			w.hear(t, "list/bl", false)
			if got, err := w.Client().Check(t.Context(), message("192.0.2.9", "")); err == nil || len(got) != 1 || got[0].Symbol != "WL_HIGH" {
				t.Errorf("the other list does not go on: %v %v", got, err)
			}
			w.set(t, "*.bl.example.org")
			w.set(t, "2.0.0.127.bl.example.org", "A 127.0.0.2")
			w.set(t, "9.2.0.192.bl.example.org", "A 127.0.0.4")
			w.hear(t, "list/bl", true)
			if got := found(t, w.Client(), message("192.0.2.9", "")); got != "RBL_A WL_HIGH" {
				t.Errorf("after it came back: %s", got)
			}
		})
	}
}

func TestWhy(t *testing.T) {
	w := tested(t)
	byName := func(of string) map[string]blocklist.Answer {
		all := map[string]blocklist.Answer{}
		for _, a := range w.Why(t.Context(), of) {
			all[a.List] = a
		}
		return all
	}
	a := byName("192.0.2.9")
	if len(a) != 2 || !a["bl"].Listed || a["bl"].Codes[0] != "127.0.0.4" || a["bl"].Symbols[0] != "RBL_A" || a["bl"].Text != "sends spam" {
		t.Errorf("%+v", a)
	}
	if a := byName("192.0.2.8"); !a["bl"].Listed || len(a["bl"].Symbols) != 0 || a["wl"].Listed {
		t.Errorf("%+v", a)
	}
	for _, of := range []string{"spam.test", "user@spam.test", "SPAM.test."} {
		if a := byName(of); len(a) != 2 || !a["dbl"].Listed || a["helo"].Listed {
			t.Errorf("%s: %+v", of, a)
		}
	}
	if a := w.Why(t.Context(), "no subject at all"); len(a) != 0 {
		t.Errorf("%+v", a)
	}
	w.set(t, "*.bl.example.org", "A 127.255.255.254")
	if a := byName("192.0.2.50"); a["bl"].Error == "" || a["bl"].Listed {
		t.Errorf("%+v", a["bl"])
	}
}

func TestDeadlineIsCouldNotTell(t *testing.T) {
	w := tested(t)
	w.set(t, "*.bl.example.org", "!silent")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	got, err := w.Client().Check(ctx, message("192.0.2.77", ""))
	if err == nil || len(got) != 0 || err.Error() != "bl did not answer in time: context deadline exceeded" {
		t.Errorf("%v %v", got, err)
	}
	if h := w.Health(); !h[0].On {
		t.Error("a message's own deadline switches a list off")
	}
}
