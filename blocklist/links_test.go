package blocklist_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/blocklist"
	"postern/filter"
	"postern/filter/auth"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/mime"
)

// body makes a message of this body, walked for real.
func body(text string) *filter.Message {
	raw := "From: a@b.example\r\nContent-Type: text/html\r\n\r\n" + text + "\r\n"
	m := message("192.0.2.9", "a@b.example", "me@us.example")
	m.Body, m.Size = strings.NewReader(raw), int64(len(raw))
	m.Parts = func() (*mime.Tree, error) { return mime.Walk(m.Body, m.Size, mime.DefaultLimits()) }
	return m
}

func anchors(hosts ...string) string {
	var b strings.Builder
	for _, h := range hosts {
		fmt.Fprintf(&b, "<a href=\"https://%s/x\">here</a>\r\n", h)
	}
	return b.String()
}

func numbered(format string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

// linkWorld is a healthy list of linked domains, "uri", beside one of hosts, "bl".
func linkWorld(t testing.TB, change ...func(*blocklist.ListParts)) (*blocklist.Lists, *mailtest.DNS, *dns.Resolver) {
	t.Helper()
	srv := mailtest.NewDNS(t, mailtest.Zone{
		"test.uri.example.org":              {"A 127.0.0.2"},
		"spam.test.uri.example.org":         {"A 127.0.0.2"},
		"spam.co.uk.uri.example.org":        {"A 127.0.0.4"},
		"bad.fine.test.uri.example.org":     {"A 127.0.0.6"},
		"evil.github.io.uri.example.org":    {"A 127.0.0.2"},
		"xn--bses-5qa.test.uri.example.org": {"A 127.0.0.2"},
		"us.example.uri.example.org":        {"A 127.0.0.2"},
		"2.0.0.127.bl.example.org":          {"A 127.0.0.2"},
		"9.2.0.192.bl.example.org":          {"A 127.0.0.2"},
	})
	r, err := dns.New(dns.Config{Servers: []string{srv.Addr()}, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	parts := blocklist.ListParts{Resolver: r, Seed: "a seed"}
	for _, f := range change {
		f(&parts)
	}
	l, err := blocklist.NewLists([]blocklist.ListConfig{
		{Name: "uri", Zone: "uri.example.org", Of: blocklist.OfLink, Codes: map[string]string{"127.0.0.&2": "URIBL_SPAM", "127.0.0.&4": "URIBL_PHISH"}},
		{Name: "bl", Zone: "bl.example.org", Of: blocklist.OfIP, Codes: map[string]string{"127.0.0.2": "RBL_A"}},
	}, parts)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range l.Test(t.Context()) {
		if !h.On {
			t.Fatalf("%+v", h)
		}
	}
	srv.Forget()
	return l, srv, r
}

func oursIs(d string) bool { return d == "us.example" }

func TestLinksFind(t *testing.T) {
	l, srv, _ := linkWorld(t)
	for _, c := range []struct {
		name, body, want string
		asked            int
	}{
		{"no link", "hello", "", 0},
		{"listed", anchors("spam.test"), "URIBL_SPAM", 1},
		{"listed, below and upper case", anchors("WWW.Spam.Test"), "URIBL_SPAM", 0},
		{"listed, by its registrable domain", anchors("a.b.spam.co.uk"), "URIBL_PHISH", 2},
		{"the host itself, two symbols at once", anchors("bad.fine.test"), "URIBL_SPAM URIBL_PHISH", 2},
		{"where others register below", anchors("evil.github.io"), "URIBL_SPAM", 1},
		{"internationalized", anchors("böses.test"), "URIBL_SPAM", 1},
		{"in text", "see http://spam.test:8080/?q and www.other.test", "URIBL_SPAM", 1},
		{"user and port", anchors("bank.example@spam.test:81"), "URIBL_SPAM", 0},
		{"ours", anchors("us.example", "www.us.example", "x.us.example"), "", 0},
		{"addresses", anchors("192.0.2.9", "[2001:db8::1]", "0x7f000002", "2130706434"), "", 0},
		{"registries and single labels", anchors("co.uk", "localhost", "test"), "", 0},
		{"the same many times", anchors(numbered("www.same.test?%d", 500)...), "", 1},
	} {
		srv.Forget()
		got := found(t, l.Links(oursIs), body(c.body))
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		n := 0
		for _, q := range srv.Queries() {
			if strings.HasSuffix(q.Name, ".uri.example.org") && !strings.Contains(q.Name, ".invalid.") {
				n++
			}
		}
		if n != c.asked {
			t.Errorf("%s: asked %v", c.name, srv.Queries())
		}
	}
	if got := found(t, l.Links(nil), body(anchors("us.example"))); got != "URIBL_SPAM" {
		t.Errorf("without own domains: %q", got)
	}
	if got := found(t, l.Links(nil), message("192.0.2.9", "a@b.example")); got != "" {
		t.Errorf("before the body: %q", got)
	}
}

// Padding cannot push the bad domain out where a reader sees it, nor foretell the sample.
func TestLinksOfAPaddedMail(t *testing.T) {
	l, srv, _ := linkWorld(t)
	pad := numbered("pad%d.test", 300)
	for name, hosts := range map[string][]string{
		"first": append([]string{"spam.test"}, pad...),
		"last":  append(append([]string{}, pad...), "spam.test"),
	} {
		srv.Forget()
		m := body(anchors(hosts...))
		f, err := l.Links(oursIs).Check(t.Context(), m)
		if len(f) != 1 || f[0].Symbol != "URIBL_SPAM" || f[0].Detail != "spam.test is on uri (20 of 301 linked domains were asked about)" {
			t.Errorf("%s: %v", name, f)
		}
		var could *filter.CouldNot
		if !errors.As(err, &could) || !could.Standing || could.Words != "281 of 301 linked domains were not asked about" {
			t.Errorf("%s: %v", name, err)
		}
		again, _ := l.Links(oursIs).Check(t.Context(), m)
		if fmt.Sprint(again) != fmt.Sprint(f) {
			t.Errorf("%s: the same mail, another finding: %v", name, again)
		}
	}
	hit := 0
	for i := range 60 { // one campaign, the domain in the middle of other padding each time
		hosts := append(append(numbered(fmt.Sprintf("a%d-%%d.test", i), 20), "spam.test"), numbered(fmt.Sprintf("b%d-%%d.test", i), 20)...)
		if f, _ := l.Links(oursIs).Check(t.Context(), body(anchors(hosts...))); len(f) > 0 {
			hit++
		}
	}
	if hit == 0 || hit == 60 {
		t.Errorf("the sample found the middle domain in %d of 60 mails", hit)
	}
}

func TestHostsTakeOnlyTheRoomThatIsLeft(t *testing.T) {
	l, srv, _ := linkWorld(t)
	if got := found(t, l.Links(nil), body(anchors(numbered("h%d.one.test", 100)...))); got != "" {
		t.Error(got)
	}
	if n := len(srv.Queries()); n != 20 || srv.Count("one.test.uri.example.org") != 1 {
		t.Errorf("%d questions: %v", n, srv.Queries())
	}
}

// H-H15: a mail of ten thousand links cannot starve what tells who sent it and whether the
// host is listed, in whatever order they are asked; what was cut stands in the ledger.
func TestH_H15HostileLinksStarveNothing(t *testing.T) {
	l, srv, r := linkWorld(t)
	for name, zone := range map[string]string{
		"b.example": "TXT v=spf1 ip4:192.0.2.9 -all", "_dmarc.b.example": "TXT v=DMARC1; p=reject",
	} {
		if err := srv.Set(name, zone); err != nil {
			t.Fatal(err)
		}
	}
	var hosts []string
	for i := range 6000 {
		hosts = append(hosts, fmt.Sprintf("x.d%d.test", i), fmt.Sprintf("y.d%d.test", i))
	}
	for _, queries := range []int{100, 30} {
		b := dns.NewBudget(queries, 8*time.Second)
		ctx := dns.WithBudget(t.Context(), b)
		m := body(anchors(hosts...))
		for i := range 5 { // as if other links came again and again
			_, err := l.Links(nil).Check(ctx, body(anchors(hosts[:1000]...)))
			hosts = hosts[1000:]
			if i == 4 && (err == nil || !strings.Contains(err.Error(), "uri was cut short (DNS_BUDGET)")) {
				t.Errorf("of %d: %v", queries, err)
			}
		}
		if !b.Cut() {
			t.Errorf("of %d: nothing was cut", queries)
		}
		f, err := l.Client().Check(ctx, m)
		if err != nil || len(f) != 1 || f[0].Symbol != "RBL_A" {
			t.Errorf("of %d: IP lists: %v %v", queries, f, err)
		}
		spf, err := auth.SPF(r, "mx.us.example").Check(ctx, m)
		if err != nil || spf[0].Symbol != "SPF_PASS" {
			t.Errorf("of %d: SPF: %v %v", queries, spf, err)
		}
		policy, err := r.TXT(ctx, "_dmarc.b.example") // unmarked, as DMARC asks
		if err != nil || len(policy) != 1 {
			t.Errorf("of %d: DMARC: %v %v", queries, policy, err)
		}
	}
	if h := l.Health(); !h[0].On || !h[1].On {
		t.Errorf("a spent budget switches a list off: %+v", h)
	}
}

// A list that does not answer to twenty names of one mail has missed one message.
func TestOneMailIsOneMiss(t *testing.T) {
	events := make(chan blocklist.Event, 10)
	l, srv, _ := linkWorld(t, func(p *blocklist.ListParts) { p.Alert = func(e blocklist.Event) { events <- e } })
	if err := srv.Set("*.weird.test.uri.example.org", "!servfail"); err != nil {
		t.Fatal(err)
	}
	for len(events) > 0 {
		<-events
	}
	m := body(anchors(append(numbered("h%d.weird.test", 15), "spam.test")...))
	f, err := l.Links(nil).Check(t.Context(), m)
	if err == nil || len(f) != 1 || f[0].Symbol != "URIBL_SPAM" {
		t.Errorf("%v %v", f, err)
	}
	if h := l.Health(); !h[0].On || len(events) != 0 {
		t.Errorf("%+v", h)
	}
}

func BenchmarkLinksWarm(b *testing.B) {
	l, _, _ := linkWorld(b)
	m := body(anchors(append(numbered("d%d.test", 6), numbered("h%d.shop.test", 4)...)...))
	tree, err := m.Parts()
	if err != nil {
		b.Fatal(err)
	}
	m.Parts = func() (*mime.Tree, error) { return tree, nil }
	check := l.Links(oursIs)
	if _, err := check.Check(b.Context(), m); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if f, err := check.Check(b.Context(), m); err != nil || len(f) != 0 {
			b.Fatal(f, err)
		}
	}
}

func BenchmarkClientWarm(b *testing.B) {
	w := tested(b)
	w.server.SetTTL(3000)
	check, m := w.Client(), message("192.0.2.77", "")
	if _, err := check.Check(b.Context(), m); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if f, err := check.Check(b.Context(), m); err != nil || len(f) != 0 {
			b.Fatal(f, err)
		}
	}
}
