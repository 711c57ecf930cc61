package spf_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/filter/auth/spf"
	"postern/internal/dns"
	"postern/internal/mailtest"
)

func resolver(t testing.TB, z mailtest.Zone) (*dns.Resolver, *mailtest.DNS) {
	t.Helper()
	srv := mailtest.NewDNS(t, z)
	r, err := dns.New(dns.Config{Servers: []string{srv.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, srv
}

func check(t testing.TB, r spf.Resolver, sender string) spf.Outcome {
	return spf.Check(t.Context(), r, spf.Request{IP: netip.MustParseAddr("192.0.2.1"), Sender: sender, Helo: "helo.example.org"})
}

// H-H10: ten terms that need the DNS, two lookups without an answer, ten hosts of an MX; what
// goes on for longer is a permerror, and cheap.
func TestH_H10Limits(t *testing.T) {
	z := mailtest.Zone{
		"loop.example.com":     {"TXT v=spf1 include:loop.example.com -all"},
		"ping.example.com":     {"TXT v=spf1 include:pong.example.com -all"},
		"pong.example.com":     {"TXT v=spf1 redirect=ping.example.com"},
		"redirect.example.com": {"TXT v=spf1 redirect=redirect.example.com"},
		"eleven.example.com":   {"TXT v=spf1" + strings.Repeat(" a:ok.example.com", 11) + " -all"},
		"ten.example.com":      {"TXT v=spf1" + strings.Repeat(" a:ok.example.com", 10) + " -all"},
		"tenplus.example.com":  {"TXT v=spf1" + strings.Repeat(" a:ok.example.com", 10) + " redirect=ok.example.com"},
		"inside.example.com":   {"TXT v=spf1 include:ten.example.com -all"},
		"ok.example.com":       {"A 192.0.2.99"},
		"void3.example.com":    {"TXT v=spf1 a:v1.example.com a:v2.example.com a:v3.example.com -all"},
		"void2.example.com":    {"TXT v=spf1 a:v1.example.com a:v2.example.com -all"},
		"voidmx.example.com":   {"TXT v=spf1 mx:v1.example.com exists:v2.example.com mx:v3.example.com -all"},
		"mx100.example.com":    {"TXT v=spf1 mx -all"},
		"mx11.example.com":     {"TXT v=spf1 mx -all"},
		"mx10.example.com":     {"TXT v=spf1 mx -all"},
		"manymx.example.com":   {"TXT v=spf1 mx:m0.example.com mx:m1.example.com mx:m2.example.com mx:m3.example.com mx:m4.example.com mx:m5.example.com -all"},
	}
	for _, n := range []int{10, 11, 100} {
		name := fmt.Sprintf("mx%d.example.com", n)
		for i := range n {
			z[name] = append(z[name], fmt.Sprintf("MX 10 h%d.example.com", i))
			z[fmt.Sprintf("h%d.example.com", i)] = []string{"A 192.0.2.78"}
		}
	}
	for m := range 6 {
		for h := range 10 {
			host := fmt.Sprintf("m%d-h%d.example.com", m, h)
			z[host] = []string{"A 192.0.2.77"}
			name := fmt.Sprintf("m%d.example.com", m)
			z[name] = append(z[name], "MX 1 "+host)
		}
	}
	r, srv := resolver(t, z)
	most := 0
	for domain, want := range map[string]spf.Result{
		"loop": spf.PermError, "ping": spf.PermError, "redirect": spf.PermError,
		"eleven": spf.PermError, "tenplus": spf.PermError, "inside": spf.PermError, "ten": spf.Fail,
		"void3": spf.PermError, "voidmx": spf.PermError, "void2": spf.Fail,
		"mx100": spf.PermError, "mx11": spf.PermError, "mx10": spf.Fail, "manymx": spf.PermError,
	} {
		srv.Forget()
		out := check(t, r, "a@"+domain+".example.com")
		if out.Result != want || want == spf.PermError && out.Problem == "" {
			t.Errorf("%s: %+v, want %s", domain, out, want)
		}
		most = max(most, len(srv.Queries()))
	}
	t.Logf("%d questions at most", most)
	if most > 40 {
		t.Errorf("%d questions", most)
	}
}

// H-H11: what a client writes reaches names and texts only escaped, and the domain's text
// brings no control octets.
func TestH_H11Macros(t *testing.T) {
	r, srv := resolver(t, mailtest.Zone{
		"example.com":       {"TXT v=spf1 exists:%{l}.e.example.com exists:%{L}.u.example.com -all exp=why.example.com"},
		"why.example.com":   {"TXT said %{s} and %{h}"},
		"ctl.example.com":   {"TXT v=spf1 -all exp=text.example.com"},
		"text.example.com":  {"TXT bad\r\nX-Injected: yes"},
		"long.example.com":  {"TXT v=spf1 -all exp=novel.example.com"},
		"novel.example.com": {"TXT " + strings.Repeat("a", 5000)},
	})
	out := spf.Check(t.Context(), r, spf.Request{IP: netip.MustParseAddr("192.0.2.1"), Sender: "x\\.y\r\n\x00\xffz@example.com", Helo: "h\r\nX: y"})
	if out.Result != spf.Fail {
		t.Errorf("%+v", out)
	}
	if want := `said x\.y????z@example.com and h??X: y`; out.Explanation != want {
		t.Errorf("explanation %q, want %q", out.Explanation, want)
	}
	asked := false
	for _, q := range srv.Queries() {
		asked = asked || q.Name == `x%5c.y%0d%0a%00%ffz.u.example.com`
	}
	if !asked {
		t.Errorf("the upper-case macro was not escaped: %v", srv.Queries())
	}
	if out := check(t, r, "a@ctl.example.com"); out.Explanation != "" {
		t.Errorf("control octets: %q", out.Explanation)
	}
	if out := check(t, r, "a@long.example.com"); len(out.Explanation) != 400 {
		t.Errorf("%d octets of explanation", len(out.Explanation))
	}
}

func TestOutcome(t *testing.T) {
	r, _ := resolver(t, mailtest.Zone{
		"example.com":      {"TXT other", "TXT v=spf1 ip4:192.0.2.0/24 -all"},
		"helo.example.org": {"TXT v=spf1 ~ip4:192.0.2.0/24 -all"},
		"bad.example.com":  {"TXT v=spf1 ip4:192.0.2.1 a:b:c -all"},
		"two.example.com":  {"TXT v=spf1 -all", "TXT v=spf1 +all"},
		"down.example.com": {"!servfail"},
	})
	for sender, want := range map[string]spf.Outcome{
		"a@example.com":           {Result: spf.Pass, Domain: "example.com", Term: "ip4:192.0.2.0/24"},
		`"a@b"@example.com`:       {Result: spf.Pass, Domain: "example.com", Term: "ip4:192.0.2.0/24"},
		"a@Example.COM.":          {Result: spf.Pass, Domain: "Example.COM", Term: "ip4:192.0.2.0/24"},
		"":                        {Result: spf.SoftFail, Domain: "helo.example.org", Term: "~ip4:192.0.2.0/24"},
		"a@bad.example.com":       {Result: spf.PermError, Domain: "bad.example.com", Problem: `the record of bad.example.com: "a:b:c": no valid top label`},
		"a@two.example.com":       {Result: spf.PermError, Domain: "two.example.com", Problem: "two.example.com has 2 SPF records"},
		"a@none.example.com":      {Result: spf.None, Domain: "none.example.com"},
		"a@localhost":             {Result: spf.None, Domain: "localhost"},
		"a@[192.0.2.1]":           {Result: spf.None, Domain: "[192.0.2.1]"},
		"a@xn--bcher-kva.nowhere": {Result: spf.None, Domain: "xn--bcher-kva.nowhere"},
	} {
		if got := check(t, r, sender); got != want {
			t.Errorf("%s: %+v, want %+v", sender, got, want)
		}
	}
	out := check(t, r, "a@down.example.com")
	if out.Result != spf.TempError || out.Err == nil || out.Problem == "" {
		t.Errorf("%+v", out)
	}
	if out := spf.Check(t.Context(), r, spf.Request{Sender: "a@example.com"}); out.Result != spf.None {
		t.Errorf("no address: %+v", out)
	}
	mapped := spf.Request{IP: netip.MustParseAddr("::ffff:192.0.2.5"), Sender: "a@example.com"}
	if out := spf.Check(t.Context(), r, mapped); out.Result != spf.Pass {
		t.Errorf("mapped address: %+v", out)
	}
}

// H-H11: names made of what a client wrote are names of their own. They change nothing that
// was cached of others.
func TestH_H11MacrosPoisonNothing(t *testing.T) {
	r, srv := resolver(t, mailtest.Zone{
		"evil.example":          {"TXT v=spf1 exists:%{l} exists:%{h} exists:%{l}.evil.example -all"},
		"ok.victim.example":     {"A 192.0.2.10"},
		"x.evil.example":        {"A 192.0.2.66"},
		"ok.victim.example.org": {"A 192.0.2.66"},
	})
	before, err := r.A(t.Context(), "ok.victim.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, local := range []string{`ok\.victim.example`, "ok.victim.example\x00", "ok.victim.example\r\n", "OK.victim.example", `ok\046victim.example`, " ok.victim.example"} {
		spf.Check(t.Context(), r, spf.Request{IP: netip.MustParseAddr("192.0.2.1"), Sender: local + "@evil.example", Helo: local + ".org"})
	}
	after, err := r.A(t.Context(), "ok.victim.example")
	if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v became %v (%v)", before, after, err)
	}
	if n := srv.Count("ok.victim.example"); n != 1 {
		t.Errorf("asked %d times: what was cached was dropped", n)
	}
}

// H-H12: two records are a permerror, and a megabyte of record is read in no time.
func TestH_H12Records(t *testing.T) {
	r, _ := resolver(t, mailtest.Zone{
		"two.example.com":   {"TXT v=spf1 -all", "TXT v=spf1 -all"},
		"mixed.example.com": {"TXT v=spf1 +all", "TXT v=spf10 -all", "TXT v=spf2.0/pra -all"},
	})
	if out := check(t, r, "a@two.example.com"); out.Result != spf.PermError || !strings.Contains(out.Problem, "2 SPF records") {
		t.Errorf("%+v", out)
	}
	if out := check(t, r, "a@mixed.example.com"); out.Result != spf.Pass {
		t.Errorf("%+v", out)
	}
	for _, filler := range []string{" ip4:192.0.2.99", " x=%{s}", " a", " ", " include:%{l1r+}.example.com"} {
		for _, size := range []int{60 << 10, 1 << 20} {
			start := time.Now()
			out := check(t, anything{"v=spf1" + strings.Repeat(filler, size/len(filler))}, "a@example.com")
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("%d octets of %q: %s", size, filler, took)
			}
			if out.Result == spf.Pass || out.Result == spf.Fail || size == 1<<20 && out.Result != spf.PermError {
				t.Errorf("%d octets of %q: %s", size, filler, out.Result)
			}
		}
	}
}

// The context's end, a spent budget and any other temporary error are temperror, never a
// permerror or fail.
func TestEverythingTemporaryIsTempError(t *testing.T) {
	r, _ := resolver(t, mailtest.Zone{"example.com": {"TXT v=spf1 a -all", "!servfail A"}, "slow.example.com": {"TXT v=spf1 -all", "!delay 10s"}})
	if out := check(t, r, "a@example.com"); out.Result != spf.TempError {
		t.Errorf("%+v", out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	req := spf.Request{IP: netip.MustParseAddr("192.0.2.1"), Sender: "a@slow.example.com"}
	if out := spf.Check(ctx, r, req); out.Result != spf.TempError {
		t.Errorf("%+v", out)
	}
	if out := spf.Check(dns.WithBudget(t.Context(), dns.NewBudget(0, time.Second)), r, req); out.Result != spf.TempError {
		t.Errorf("%+v", out)
	}
}

// anything answers every question from what the fuzzer wrote.
type anything struct{ record string }

func (a anything) TXT(context.Context, string) ([]string, error) { return []string{a.record}, nil }
func (a anything) A(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("192.0.2.2")}, nil
}
func (a anything) AAAA(_ context.Context, name string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}
func (a anything) MX(context.Context, string) ([]dns.MX, error) {
	return []dns.MX{{Host: "mx.example.com"}, {Host: ""}}, nil
}
func (a anything) PTR(context.Context, netip.Addr) ([]string, error) {
	return []string{"h.example.com"}, nil
}

func FuzzRecord(f *testing.F) {
	f.Add("v=spf1 a:%{ir}.%{v}.%{d2}//64 mx/24 ?exists:%{L5r-}.x.%{h} ptr ~all exp=%{o}.e.com", "a-b@example.com", "h.example.com")
	f.Add("v=spf1 include:%{p} redirect=%{d1r+/}", "@x.y", "")
	f.Add("v=spf1 ip4:1.2.3.4/0 ip6:::/0 a/0//0 -all", "", "x.y")
	f.Add("v=spf1 %%%_%- x=%{s}", "a@b.c", "%{")
	f.Fuzz(func(t *testing.T, record, sender, helo string) {
		for _, ip := range []string{"192.0.2.1", "2001:db8::1"} {
			out := spf.Check(t.Context(), anything{record}, spf.Request{IP: netip.MustParseAddr(ip), Sender: sender, Helo: helo})
			switch out.Result {
			case spf.None, spf.Neutral, spf.Pass, spf.Fail, spf.SoftFail, spf.TempError:
			case spf.PermError:
				if out.Problem == "" {
					t.Error("a permerror without a reason")
				}
			default:
				t.Errorf("result %q", out.Result)
			}
			for _, c := range []byte(out.Explanation) {
				if c < ' ' || c > '~' {
					t.Errorf("explanation %q", out.Explanation)
				}
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	r, _ := resolver(b, mailtest.Zone{
		"example.com":       {"TXT v=spf1 include:_spf.example.net a mx ip4:198.51.100.0/24 -all", "A 203.0.113.9", "MX 10 example.com"},
		"_spf.example.net":  {"TXT v=spf1 ip4:203.0.113.0/26 include:_spf2.example.net ~all"},
		"_spf2.example.net": {"TXT v=spf1 ip4:203.0.113.64/26 ~all"},
	})
	b.ReportAllocs()
	for b.Loop() {
		if out := check(b, r, "a@example.com"); out.Result != spf.Fail {
			b.Fatal(out)
		}
	}
}
