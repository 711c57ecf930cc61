package spf_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	"postern/filter/auth/spf"
	"postern/internal/dns"
	"postern/internal/mailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type scenario struct {
	Description string           `yaml:"description"`
	Comment     string           `yaml:"comment"`
	Tests       map[string]spec  `yaml:"tests"`
	Zonedata    map[string][]any `yaml:"zonedata"`
}

type spec struct {
	Helo        string `yaml:"helo"`
	Host        string `yaml:"host"`
	Mailfrom    string `yaml:"mailfrom"`
	Result      any    `yaml:"result"`
	Explanation string `yaml:"explanation"`
}

func (s spec) results() []string {
	if list, ok := s.Result.([]any); ok {
		var out []string
		for _, r := range list {
			out = append(out, fmt.Sprint(r))
		}
		return out
	}
	return []string{fmt.Sprint(s.Result)}
}

// zone turns the suite's zone data into ours: type SPF records stand for TXT where a name
// has no TXT of its own, and TIMEOUT is a failure of every type that has no record.
func zone(t *testing.T, data map[string][]any) mailtest.Zone {
	z := mailtest.Zone{}
	for name, records := range data {
		out := []string{}
		has := map[string]bool{}
		var spfTexts []string
		timeout, noCopy := false, false
		for _, r := range records {
			m, ok := r.(map[string]any)
			if !ok {
				timeout = timeout || fmt.Sprint(r) == "TIMEOUT"
				continue
			}
			for kind, v := range m {
				none := fmt.Sprint(v) == "NONE"
				has[kind] = !none
				switch {
				case kind == "SPF":
					spfTexts = append(spfTexts, text(v))
				case none:
					spfTexts, noCopy = nil, true
				case kind == "TXT":
					out = append(out, "TXT "+text(v))
				case kind == "MX":
					l := v.([]any)
					out = append(out, fmt.Sprintf("MX %v %v", l[0], l[1]))
				default:
					out = append(out, fmt.Sprintf("%s %v", kind, v))
				}
			}
		}
		if !has["TXT"] && !noCopy {
			for _, s := range spfTexts {
				out = append(out, "TXT "+s)
				has["TXT"] = true
			}
		}
		for _, kind := range []string{"A", "AAAA", "MX", "PTR", "TXT"} {
			if timeout && !has[kind] {
				out = append(out, "!servfail "+kind)
			}
		}
		z[name] = out
	}
	if len(z) == 0 {
		t.Fatal("a scenario without a zone")
	}
	return z
}

// text joins the strings of a record; the suite writes octets above 127 as Latin-1.
func text(v any) string {
	var all string
	if list, ok := v.([]any); ok {
		for _, s := range list {
			all += fmt.Sprint(s)
		}
	} else {
		all = fmt.Sprint(v)
	}
	var b strings.Builder
	for _, r := range all {
		b.WriteByte(byte(r))
	}
	return b.String()
}

func load(t *testing.T, name string) []scenario {
	src, err := os.ReadFile(filepath.Join(mailtest.Suites(t, "spf/pyspf"), name))
	if err != nil {
		t.Fatal(err)
	}
	var all []scenario
	dec := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var s scenario
		if err := dec.Decode(&s); err != nil {
			break
		}
		if len(s.Tests) > 0 {
			all = append(all, s)
		}
	}
	return all
}

func TestSuiteRFC7208(t *testing.T) { runSuite(t, "rfc7208-tests.yml", 203, nil) }

// The suite of the older RFC holds as it is: its cases for record type SPF are TXT here.
func TestSuiteRFC4408(t *testing.T) { runSuite(t, "rfc4408-tests.yml", 191, nil) }

// The cases of bug reports that pyspf was made with; two of them ask for what its own lax
// and harsh modes make of default=, where the RFC decides.
func TestSuitePyspf(t *testing.T) {
	runSuite(t, "test.yml", 16, map[string]decided{
		"default-modifier":       {"neutral", "RFC 7208 section 6: unrecognized modifiers are ignored; section 4.7: no match is neutral"},
		"default-modifier-harsh": {"neutral", "RFC 7208 section 2.6 knows no result ambiguous; section 6 as above"},
	})
}

// decided is what the RFC says of a case where it contradicts the suite.
type decided struct{ result, reason string }

func runSuite(t *testing.T, file string, want int, rfc map[string]decided) {
	total, passed := 0, 0
	for _, s := range load(t, file) {
		total += len(s.Tests)
		t.Run(s.Description+s.Comment, func(t *testing.T) {
			srv := mailtest.NewDNS(t, zone(t, s.Zonedata))
			r, err := dns.New(dns.Config{Servers: []string{srv.Addr()}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for name, c := range s.Tests {
				if d, ok := rfc[name]; ok {
					if slices.Contains(c.results(), d.result) {
						t.Errorf("%s needs no decision", name)
					}
					c.Result = d.result
				}
				if t.Run(name, func(t *testing.T) { c.run(t, r) }) {
					passed++
				}
			}
		})
	}
	t.Logf("%d of %d passed, %d of them as the RFC decides", passed, total, len(rfc))
	if total != want {
		t.Errorf("%d cases, want %d", total, want)
	}
}

func (s spec) run(t *testing.T, r spf.Resolver) {
	out := spf.Check(t.Context(), r, spf.Request{
		IP: netip.MustParseAddr(s.Host), Sender: s.Mailfrom, Helo: s.Helo,
		Now: func() time.Time { return time.Unix(1_800_000_000, 0) },
	})
	if !slices.Contains(s.results(), string(out.Result)) {
		t.Errorf("%s for %s: got %s (%s), want %v", s.Mailfrom, s.Host, out.Result, out.Problem, s.results())
	}
	want := s.Explanation
	if want == "DEFAULT" {
		want = ""
	}
	if s.Explanation != "" && out.Explanation != want {
		t.Errorf("explanation %q, want %q", out.Explanation, want)
	}
}
