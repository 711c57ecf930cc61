// Package e2e runs the real program among real servers: what is proved here holds for what
// an operator installs.
package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/test/world"
)

// plan says what stands around a gateway and how it is configured.
type plan struct {
	Backend    string // addr of backends.mail
	LMTP       bool
	XClient    bool   // to the backend
	Recipients string // of the route; "" = any
	ClamAV     string // endpoint; "" = no scanner
	MX         string // more keys of the mx listener
	Listeners  string // more lines of listeners
	Backends   string // more lines of backends
	State      string // "" = DIR/state
	More       string // more lines of postern.yaml
}

// yaml is the postern.yaml of a plan; DIR is the gateway's folder.
func (p plan) yaml(dns string) string {
	protocol, state, recipients := "smtp", "DIR/state", "any"
	if p.LMTP {
		protocol = "lmtp"
	}
	if p.State != "" {
		state = p.State
	}
	if p.Recipients != "" {
		recipients = p.Recipients
	}
	clamav := ""
	if p.ClamAV != "" {
		clamav = fmt.Sprintf("clamav: {addrs: [%q]}\n", p.ClamAV)
	}
	return fmt.Sprintf(`hostname: mx1.example.com
state: %s
listeners:
  - {name: mx, kind: inbound, addr: "127.0.0.1:0", tls: {cert: DIR/cert.pem, key: DIR/key.pem}, xclient_from: [127.0.0.1]%s}
%s
backends:
  mail: [{addr: %q, protocol: %s, tls: none, xclient: %t}]
%s
routes:
  example.com: {backend: mail, recipients: %s}
dns: {servers: [%q]}
rules: {dir: DIR/rules.d}
admin: {addr: "127.0.0.1:0"}
%s%s
`, state, p.MX, p.Listeners, p.Backend, protocol, p.XClient, p.Backends, recipients, dns, clamav, p.More)
}

// ownRules are the operator's rules of every gateway here.
const ownRules = `patterns:
  - id: E2E_HOLD
    describe: The subject asks to be held
    in: subject
    match: 'please hold'
    action: quarantine
    tests: {hit: ["please hold this"], miss: ["hello"]}
policies:
  unscanned: {extends: default, antivirus: {scan: false}}
recipients:
  noscan@example.com: unscanned
`

// gateway is the program with a name server of its own.
type gateway struct {
	*world.Gateway
	DNS  *mailtest.DNS
	plan plan
}

// zone is the Internet that the tests need.
func zone() mailtest.Zone {
	return mailtest.Zone{
		"friend.example":                     {"MX 10 mail.friend.example", "TXT v=spf1 ip4:" + friendIP + " -all"},
		"mail.friend.example":                {"A " + friendIP},
		"example.com":                        {"MX 10 mx1.example.com", "A 192.0.2.1"},
		"mx1.example.com":                    {"A 192.0.2.1"},
		mailtest.ReverseName(friendIP):       {"PTR mail.friend.example"},
		mailtest.ReverseName("198.51.100.7"): {"PTR host.other.example"},
		"other.example":                      {"MX 10 host.other.example"},
		"host.other.example":                 {"A 198.51.100.7"},
	}
}

// friendIP is a host whose names are all in order.
const friendIP = "192.0.2.10"

// prepare makes a gateway that does not run yet.
func prepare(t *testing.T, p plan) *gateway {
	t.Helper()
	g := &gateway{DNS: mailtest.NewDNS(t, zone()), plan: p}
	g.Gateway = world.NewGateway(t, "")
	t.Cleanup(func() {
		if log := g.Log(); t.Failed() {
			t.Logf("the end of its log:\n%s", log[max(0, len(log)-3000):])
		}
	})
	g.configure(p)
	g.WriteFile("rules.d/own.yaml", ownRules)
	g.newCertificate()
	return g
}

// configure writes another postern.yaml.
func (g *gateway) configure(p plan) { g.Write(p.yaml(g.DNS.Addr())) }

// start runs a gateway until it is ready.
func start(t *testing.T, p plan) *gateway {
	t.Helper()
	g := prepare(t, p)
	g.Start()
	g.Ready()
	return g
}

// startBefore runs a gateway before a scripted backend that takes everything.
func startBefore(t *testing.T, s mailtest.Script, p plan) (*gateway, *mailtest.Backend) {
	t.Helper()
	b := mailtest.NewBackend(t, s)
	p.Backend = b.Addr()
	return start(t, p), b
}

// newCertificate writes a fresh pair for the listeners and returns it.
func (g *gateway) newCertificate() tls.Certificate {
	certPEM, keyPEM, pair := newCertificate()
	g.WriteFile("key.pem", string(keyPEM))
	g.WriteFile("cert.pem", string(certPEM))
	return pair
}

// newCertificate makes a self-signed pair for localhost.
func newCertificate() (certPEM, keyPEM []byte, pair tls.Certificate) { return world.Certificate() }

// ask fetches a page of the admin listener.
func (g *gateway) ask(t *testing.T, path string) (int, string) {
	t.Helper()
	res, err := http.Get("http://" + g.Addrs["admin"] + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// runJSON runs a command that must end with code and reads its JSON.
func runJSON[T any](t *testing.T, g *gateway, code int, args ...string) T {
	t.Helper()
	var v T
	out, errs, got := g.Run(args...)
	if got != code {
		t.Fatalf("%s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return v
}

// run runs a command that must end with code and returns all it said.
func (g *gateway) run(t *testing.T, code int, args ...string) string {
	t.Helper()
	out, errs, got := g.Run(args...)
	if got != code {
		t.Fatalf("%s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	return out + errs
}

// awaitLog waits until the log holds all words in one line and returns that line.
func (g *gateway) awaitLog(t *testing.T, words ...string) string {
	t.Helper()
	var found string
	world.Await(t, "the log says "+strings.Join(words, ", "), 15*time.Second, func() bool {
		found = g.logged(words...)
		return found != ""
	})
	return found
}

// logged is the last line of the log that holds all words.
func (g *gateway) logged(words ...string) (found string) {
	for line := range strings.Lines(g.Log()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			found = line
		}
	}
	return found
}
