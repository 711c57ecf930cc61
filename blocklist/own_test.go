package blocklist_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/blocklist"
	"postern/filter"
	"postern/internal/mime"
)

// memory is a Store.
type memory struct {
	mu      sync.Mutex
	entries map[string]blocklist.Entry
	rev     uint64
	fails   error
}

func newMemory() *memory { return &memory{entries: map[string]blocklist.Entry{}} }

func (s *memory) ListRevision(context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rev, s.fails
}

func (s *memory) ListEntries(context.Context) ([]blocklist.Entry, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []blocklist.Entry
	for _, e := range s.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b blocklist.Entry) int { return strings.Compare(a.Key(), b.Key()) })
	return all, s.rev, s.fails
}

func (s *memory) PutListEntry(_ context.Context, e blocklist.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return s.fails
	}
	s.rev++
	s.entries[e.Key()] = e
	return nil
}

func (s *memory) RemoveListEntry(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.entries[key]; !ok {
		return blocklist.ErrNotFound
	}
	s.rev++
	delete(s.entries, key)
	return nil
}

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time          { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) forward(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

func own(t testing.TB, entries ...blocklist.Entry) (*blocklist.Own, *memory, *clock) {
	t.Helper()
	s, c := newMemory(), &clock{at: time.Unix(1_800_000_000, 0)}
	o := blocklist.NewOwn(blocklist.OwnParts{Store: s, Now: c.now, Log: slog.New(slog.DiscardHandler)})
	if err := o.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := o.Add(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return o, s, c
}

func message(ip, from string, to ...string) *filter.Message {
	m := &filter.Message{From: from}
	if ip != "" {
		m.Client.IP = netip.MustParseAddr(ip)
	}
	for _, a := range to {
		m.To = append(m.To, filter.Recipient{Address: a})
	}
	return m
}

// found is findings as text: SYMBOL or SYMBOL>recipient.
func found(t testing.TB, c filter.Check, m *filter.Message) string {
	t.Helper()
	all, err := c.Check(t.Context(), m)
	if err != nil {
		return "error: " + err.Error()
	}
	var words []string
	for _, f := range all {
		w := f.Symbol
		if f.For != "" {
			w += ">" + f.For
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func block(value, scope string) blocklist.Entry { return blocklist.Entry{Value: value, Scope: scope} }
func allow(value, scope string) blocklist.Entry {
	return blocklist.Entry{Allow: true, Value: value, Scope: scope}
}

func TestBlocksAtRecipient(t *testing.T) {
	for _, c := range []struct {
		name     string
		entry    blocklist.Entry
		ip, from string
		hit      bool
	}{
		{"address", block("192.0.2.1", ""), "192.0.2.1", "a@b.example", true},
		{"mapped address", block("192.0.2.1", ""), "::ffff:192.0.2.1", "a@b.example", true},
		{"other address", block("192.0.2.1", ""), "192.0.2.2", "a@b.example", false},
		{"prefix", block("192.0.2.0/24", ""), "192.0.2.200", "a@b.example", true},
		{"prefix, outside", block("192.0.2.0/24", ""), "192.0.3.1", "a@b.example", false},
		{"IPv6 prefix", block("2001:db8::/32", ""), "2001:db8:9::1", "a@b.example", true},
		{"IPv6 prefix, outside", block("2001:db8::/32", ""), "2001:db9::1", "a@b.example", false},
		{"domain", block("b.example", ""), "192.0.2.1", "a@B.example", true},
		{"subdomain", block("b.example", ""), "192.0.2.1", "a@x.y.b.example", true},
		{"not a subdomain", block("b.example", ""), "192.0.2.1", "a@xb.example", false},
		{"parent", block("x.b.example", ""), "192.0.2.1", "a@b.example", false},
		{"mail address", block("a@b.example", ""), "192.0.2.1", "A@b.example", true},
		{"other local part", block("a@b.example", ""), "192.0.2.1", "aa@b.example", false},
		{"null sender", block("b.example", ""), "192.0.2.1", "", false},
		{"internationalized", block("münchen.example", ""), "192.0.2.1", "a@xn--mnchen-3ya.example", true},
		{"quoted", block("b.example", ""), "192.0.2.1", "\"x@c.example\"@b.example", true},
		{"quoted, no way around", block("c.example", ""), "192.0.2.1", "\"x@c.example\"@b.example", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, _, _ := own(t, c.entry)
			want := ""
			if c.hit {
				want = "OWN_BLOCK>me@us.example"
			}
			if got := found(t, o.Recipient(), message(c.ip, c.from, "me@us.example")); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

func TestScopesAndMailboxesThatMustTakeMail(t *testing.T) {
	o, _, _ := own(t, block("all.example", "all"), block("dom.example", "domain:us.example"), block("rcp.example", "recipient:boss@us.example"))
	to := []string{"boss@us.example", "Boss+x@us.example", "me@sub.us.example", "me@other.example", "Postmaster@us.example", "abuse@us.example", "abuse+x@us.example", "postmaster"}
	for from, want := range map[string]string{
		"a@all.example": "OWN_BLOCK>boss@us.example OWN_BLOCK>Boss+x@us.example OWN_BLOCK>me@sub.us.example OWN_BLOCK>me@other.example",
		"a@dom.example": "OWN_BLOCK>boss@us.example OWN_BLOCK>Boss+x@us.example OWN_BLOCK>me@sub.us.example",
		"a@rcp.example": "OWN_BLOCK>boss@us.example OWN_BLOCK>Boss+x@us.example",
		"a@not.example": "",
	} {
		if got := found(t, o.Recipient(), message("192.0.2.1", from, to...)); got != want {
			t.Errorf("%s: %q, want %q", from, got, want)
		}
	}
}

func TestEarlierFindingsAreNotRepeated(t *testing.T) {
	o, _, _ := own(t, block("b.example", ""))
	m := message("192.0.2.1", "a@b.example", "one@us.example")
	first, err := o.Recipient().Check(t.Context(), m)
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	m.Seen = first
	m.To = append(m.To, filter.Recipient{Address: "two@us.example"})
	if got := found(t, o.Recipient(), m); got != "OWN_BLOCK>two@us.example" {
		t.Error(got)
	}
}

func TestExpiryAndRemoval(t *testing.T) {
	o, _, c := own(t)
	e, err := o.Add(t.Context(), blocklist.Entry{Value: "b.example", Expires: c.now().Add(time.Hour), Reason: "spam", Author: "ada"})
	if err != nil || e.Created.IsZero() {
		t.Fatal(e, err)
	}
	m := message("192.0.2.1", "a@b.example", "me@us.example")
	if got := found(t, o.Recipient(), m); got == "" {
		t.Error("not in effect")
	}
	if a := o.Why("x.b.example"); len(a) != 1 || a[0].Text != "spam" || a[0].Codes[0] != e.Key() {
		t.Error(a)
	}
	c.forward(time.Hour)
	if got := found(t, o.Recipient(), m); got != "" || len(o.Why("b.example")) != 0 {
		t.Error("in effect after its end")
	}
	if _, err := o.Add(t.Context(), blocklist.Entry{Value: "b.example", Expires: c.now()}); !errors.Is(err, blocklist.ErrEntry) {
		t.Error(err)
	}
	if _, err := o.Add(t.Context(), block("b.example", "")); err != nil {
		t.Fatal(err)
	}
	if got := found(t, o.Recipient(), m); got == "" {
		t.Error("written again and not in effect")
	}
	if err := o.Remove(t.Context(), "block b.example all"); err != nil || found(t, o.Recipient(), m) != "" {
		t.Error("not removed", err)
	}
	if err := o.Remove(t.Context(), "block b.example all"); !errors.Is(err, blocklist.ErrNotFound) {
		t.Error(err)
	}
}

// author makes a message with this From field whose parts are walked for real.
func author(from string, m *filter.Message) *filter.Message {
	raw := "From: " + from + "\r\nSubject: x\r\n\r\nhello\r\n"
	m.Body, m.Size = strings.NewReader(raw), int64(len(raw))
	m.Parts = func() (*mime.Tree, error) { return mime.Walk(m.Body, m.Size, mime.DefaultLimits()) }
	return m
}

func pass(method, kind, name, value, result string) filter.Finding {
	return filter.Finding{Symbol: "X", Auth: &filter.AuthResult{Method: method, Result: result, Props: []filter.AuthProp{{Type: kind, Name: name, Value: value}}}}
}

func TestAllowOfNamesNeedsProof(t *testing.T) {
	spf := func(d, r string) filter.Finding { return pass("spf", "smtp", "mailfrom", d, r) }
	dkim := func(d, r string) filter.Finding { return pass("dkim", "header", "d", d, r) }
	for _, c := range []struct {
		name         string
		entry        blocklist.Entry
		author, from string
		auth         []filter.Finding
		want         string
	}{
		{"no proof", allow("b.example", ""), "a@b.example", "a@b.example", nil, ""},
		{"SPF fail", allow("b.example", ""), "a@b.example", "a@b.example", []filter.Finding{spf("b.example", "fail")}, ""},
		{"SPF pass", allow("b.example", ""), "a@b.example", "a@b.example", []filter.Finding{spf("b.example", "pass")}, "OWN_ALLOW"},
		{"SPF pass, address in the result", allow("b.example", ""), "a@b.example", "a@b.example", []filter.Finding{spf("a@b.example", "pass")}, "OWN_ALLOW"},
		{"SPF pass of another domain", allow("b.example", ""), "a@b.example", "x@evil.example", []filter.Finding{spf("evil.example", "pass")}, ""},
		{"SPF of HELO only", allow("b.example", ""), "a@b.example", "", []filter.Finding{pass("spf", "smtp", "helo", "b.example", "pass")}, ""},
		{"DKIM pass", allow("a@b.example", ""), "a@b.example", "x@list.example", []filter.Finding{dkim("b.example", "pass")}, "OWN_ALLOW"},
		{"DKIM fail", allow("a@b.example", ""), "a@b.example", "x@list.example", []filter.Finding{dkim("b.example", "fail")}, ""},
		{"DKIM pass of the organization", allow("b.example", ""), "a@news.b.example", "", []filter.Finding{dkim("mail.b.example", "pass")}, "OWN_ALLOW"},
		{"DKIM pass of a neighbour", allow("b.co.uk", ""), "a@b.co.uk", "", []filter.Finding{dkim("evil.co.uk", "pass")}, ""},
		{"DKIM pass of the suffix", allow("b.co.uk", ""), "a@b.co.uk", "", []filter.Finding{dkim("co.uk", "pass")}, ""},
		{"dmarc may rest on HELO where the sender is null", allow("b.example", ""), "a@b.example", "", []filter.Finding{pass("dmarc", "header", "from", "b.example", "pass"), pass("spf", "smtp", "helo", "b.example", "pass")}, ""},
		{"null sender, signed", allow("b.example", ""), "a@b.example", "", []filter.Finding{pass("dmarc", "header", "from", "b.example", "pass"), dkim("b.example", "pass")}, "OWN_ALLOW"},
		{"dmarc passes where the suffix list knows no tie", allow("b.co.uk", ""), "a@b.co.uk", "x@c.co.uk", []filter.Finding{dkim("mail.co.uk", "pass"), pass("dmarc", "header", "from", "b.co.uk", "pass")}, "OWN_ALLOW"},
		{"dmarc fails where the suffix list sees a tie", allow("b.example", ""), "a@news.b.example", "x@c.example", []filter.Finding{dkim("other.b.example", "pass"), pass("dmarc", "header", "from", "news.b.example", "fail")}, ""},
		{"dmarc of another domain says nothing", allow("b.example", ""), "a@b.example", "x@evil.example", []filter.Finding{pass("dmarc", "header", "from", "evil.example", "pass")}, ""},
		{"dmarc without a policy falls back", allow("b.example", ""), "a@b.example", "x@c.example", []filter.Finding{pass("dmarc", "header", "from", "b.example", "none"), dkim("b.example", "pass")}, "OWN_ALLOW"},
		{"dmarc could not tell, falls back", allow("b.example", ""), "a@b.example", "x@c.example", []filter.Finding{pass("dmarc", "header", "from", "b.example", "temperror")}, ""},
		{"dmarc speaks of the author, not of MAIL FROM", allow("b.example", ""), "x@evil.example", "a@b.example", []filter.Finding{pass("dmarc", "header", "from", "evil.example", "pass")}, ""},
		{"MAIL FROM proved, author of another domain", allow("b.example", ""), "x@c.example", "a@b.example", []filter.Finding{spf("a@b.example", "pass"), pass("dmarc", "header", "from", "c.example", "fail")}, "OWN_ALLOW"},
		{"internationalized author", allow("münchen.example", ""), "a@xn--mnchen-3ya.example", "", []filter.Finding{dkim("XN--mnchen-3ya.example", "pass")}, "OWN_ALLOW"},
		{"case of the author", allow("A@B.example", ""), "a@b.EXAMPLE", "", []filter.Finding{dkim("B.Example", "pass")}, "OWN_ALLOW"},
		{"two authors", allow("b.example", ""), "a@b.example, x@evil.example", "a@b.example", []filter.Finding{dkim("b.example", "pass")}, ""},
		{"other address", allow("a@b.example", ""), "b@b.example", "", []filter.Finding{dkim("b.example", "pass")}, ""},
		{"scope", allow("b.example", "recipient:boss@us.example"), "a@b.example", "", []filter.Finding{dkim("b.example", "pass")}, "OWN_ALLOW>boss@us.example"},
		{"block of the author", block("b.example", ""), "a@b.example", "x@fine.example", nil, "OWN_BLOCK>boss@us.example OWN_BLOCK>me@us.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, _, _ := own(t, c.entry)
			m := author(c.author, message("192.0.2.1", c.from, "boss@us.example", "me@us.example", "abuse@us.example"))
			m.Seen = c.auth
			if got := found(t, o.Content(nil), m); got != c.want {
				t.Errorf("seen before: %q, want %q", got, c.want)
			}
			m.Seen = nil
			results := func(context.Context, *filter.Message) ([]filter.Finding, error) { return c.auth, nil }
			if got := found(t, o.Content(results), m); got != c.want {
				t.Errorf("found now: %q, want %q", got, c.want)
			}
			if got := found(t, o.Recipient(), m); c.entry.Allow && got != "" {
				t.Errorf("allowed before proof: %q", got)
			}
		})
	}
}

func TestAuthenticationIsAskedOnlyWhenAnEntryWaitsForIt(t *testing.T) {
	o, _, _ := own(t, allow("b.example", ""))
	asked := 0
	results := func(context.Context, *filter.Message) ([]filter.Finding, error) {
		asked++
		return nil, errors.New("DNS is away")
	}
	if got := found(t, o.Content(results), author("a@other.example", message("192.0.2.1", "a@other.example", "me@us.example"))); got != "" || asked != 0 {
		t.Error(got, asked)
	}
	if got := found(t, o.Content(results), author("a@b.example", message("192.0.2.1", "", "me@us.example"))); got != "error: DNS is away" || asked != 1 {
		t.Error(got, asked)
	}
}

func TestAllowedHostCountsAtOnce(t *testing.T) {
	o, _, _ := own(t, allow("192.0.2.0/24", ""), block("192.0.2.9", ""))
	if got := found(t, o.Recipient(), message("192.0.2.1", "a@b.example", "me@us.example")); got != "OWN_ALLOW" {
		t.Error(got)
	}
	// Both are said; what wins is for the rules.
	if got := found(t, o.Recipient(), message("192.0.2.9", "a@b.example", "me@us.example")); got != "OWN_BLOCK>me@us.example OWN_ALLOW" {
		t.Error(got)
	}
}

func TestNotLoaded(t *testing.T) {
	o := blocklist.NewOwn(blocklist.OwnParts{Store: newMemory()})
	for _, c := range []filter.Check{o.Recipient(), o.Content(nil)} {
		if got := found(t, c, message("192.0.2.1", "a@b.example")); got != "error: own lists are not read yet" {
			t.Error(got)
		}
	}
	if o.Why("192.0.2.1") != nil {
		t.Error("knows something")
	}
}

// A change made elsewhere is seen within a second; said to be there, at once.
func TestRunFollowsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemory()
		o := blocklist.NewOwn(blocklist.OwnParts{Store: s})
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() { _ = o.Run(ctx) })
		put := func(value string) {
			if err := s.PutListEntry(t.Context(), blocklist.Entry{Value: value, Scope: "all"}); err != nil {
				t.Fatal(err)
			}
		}
		away := func(err error) { s.mu.Lock(); s.fails = err; s.mu.Unlock() }
		synctest.Wait()
		put("192.0.2.1")
		time.Sleep(time.Second)
		if len(o.Why("192.0.2.1")) != 1 {
			t.Error("not seen within a second")
		}
		put("192.0.2.2")
		o.Changed()
		synctest.Wait()
		if len(o.Why("192.0.2.2")) != 1 {
			t.Error("not seen at once")
		}
		away(errors.New("away"))
		time.Sleep(time.Minute)
		if len(o.Why("192.0.2.1")) != 1 {
			t.Error("forgotten because the store was away")
		}
		if _, err := o.Add(t.Context(), block("192.0.2.3", "")); err == nil {
			t.Error("an entry that is not stored counts as added")
		}
		away(nil)
		put("192.0.2.4")
		time.Sleep(time.Second)
		if len(o.Why("192.0.2.4")) != 1 {
			t.Error("not seen after the store came back")
		}
		cancel()
		wg.Wait()
	})
}

func BenchmarkRecipient(b *testing.B) {
	s := newMemory()
	for i := range 50_000 {
		e := blocklist.Entry{Value: fmt.Sprintf("d%d.example", i), Scope: "all"}
		s.entries[e.Key()] = e
		p := blocklist.Entry{Value: fmt.Sprintf("10.%d.%d.0/24", i>>8&255, i&255), Scope: "all"}
		s.entries[p.Key()] = p
	}
	o := blocklist.NewOwn(blocklist.OwnParts{Store: s})
	if err := o.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	check, m := o.Recipient(), message("192.0.2.1", "user@mail.shop.example.org", "me@us.example")
	b.ReportAllocs()
	for b.Loop() {
		if f, err := check.Check(b.Context(), m); err != nil || len(f) != 0 {
			b.Fatal(f, err)
		}
	}
}
