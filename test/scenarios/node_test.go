// Package scenarios shows what the abuse desk promises, each scenario of its paper as a test of
// its own: the real program, with a clock that the tests move.
package scenarios

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/gateway"
	"postern/internal/control"
	"postern/internal/mailtest"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/test/rig"
	"postern/test/world"
)

// patience bounds every wait for something that should happen.
const patience = 2 * time.Minute

// program is the path of the program whose clock can be moved. It is built once, by TestMain.
func program() (path string, err error) {
	root, err := exec.Command("go", "env", "GOMOD").Output()
	return filepath.Join(filepath.Dir(strings.TrimSpace(string(root))), "bin", "postern-moved"), err
}

func TestMain(m *testing.M) {
	path, err := program()
	if err == nil {
		cmd := exec.Command("go", "build", "-trimpath", "-tags", "testclock", "-o", path, "postern/cmd/postern")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		err = cmd.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// plan says what is special about a node.
type plan struct {
	Hostname string        // "" = mx1.example.com
	Redis    bool          // the home is a Redis of its own
	Store    string        // keys of "store" of a home that is there already; see onRedis
	Clock    *world.Clock  // nil = a clock of its own
	DNS      *mailtest.DNS // nil = a DNS of its own
	ClamAV   string        // endpoint of a scanner; "" = none
	Abuse    string        // keys of "abuse", between the braces
	More     string        // further lines of postern.yaml
	Rules    string        // further lines of the operator's rules, such as patterns
	Domains  []string      // routed, besides example.com
	In, Out  mailtest.Script
}

// node is a gateway with the world around it.
type node struct {
	*world.Gateway
	t     *testing.T
	Clock *world.Clock
	DNS   *mailtest.DNS
	In    *mailtest.Backend // where mail to example.com goes
	Out   *mailtest.Backend // where mail of the accounts goes, after their logins
	State string
	plan  plan
	signs map[string]func(string) string // by domain of a stranger
}

// start runs a node until it can do all of its work.
func start(t *testing.T, p plan) *node {
	t.Helper()
	n := prepare(t, p)
	n.Start()
	n.Ready()
	return n
}

// prepare makes a node that does not run yet.
func prepare(t *testing.T, p plan) *node {
	t.Helper()
	n := &node{t: t, plan: p, Clock: p.Clock, DNS: p.DNS, signs: map[string]func(string) string{}}
	if n.Clock == nil {
		n.Clock = world.NewClock(t)
	}
	if n.DNS == nil {
		n.DNS = mailtest.NewDNS(t, mailtest.Zone{"example.com": {"MX 10 mx1.example.com", "A 192.0.2.1"}, "mx1.example.com": {"A 192.0.2.1"}})
		n.DNS.SetTTL(0)
	}
	certPEM, keyPEM, pair := world.Certificate()
	p.Out.Hostname, p.Out.TLS = "localhost", &tls.Config{Certificates: []tls.Certificate{pair}}
	if p.Out.Users == nil {
		p.Out.Users = map[string]string{}
		for _, name := range []string{"anna", "ada", "bert", "news"} {
			p.Out.Users[name+"@example.com"] = password
		}
	}
	n.In, n.Out = mailtest.NewBackend(t, p.In), mailtest.NewBackend(t, p.Out)
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if p.Redis {
		p.Store = onRedis(redisAt(t))
	}
	n.Gateway = world.NewGatewayOf(t, path, n.yaml(p))
	n.Env = append(n.Env, n.Clock.Env())
	n.State = filepath.Join(n.Dir, "state")
	for name, text := range map[string]string{
		"cert.pem": string(certPEM), "key.pem": string(keyPEM), "redis.pw": redisd.Password + "\n", "seal.key": strings.Repeat("5a", 32) + "\n", "rules.d/own.yaml": p.Rules,
	} {
		n.WriteFile(name, text)
	}
	t.Cleanup(func() {
		if log := n.Log(); t.Failed() {
			t.Logf("the end of its log:\n%s", log[max(0, len(log)-4000):])
		}
	})
	return n
}

func (n *node) yaml(p plan) string {
	host, store, clamav, routes := p.Hostname, "", "", ""
	if host == "" {
		host = "mx1.example.com"
	}
	if p.Store != "" {
		store = "store: {home: redis, " + p.Store + "}\n"
	}
	if p.ClamAV != "" {
		clamav = fmt.Sprintf("clamav: {addrs: [%q]}\n", p.ClamAV)
	}
	for _, d := range p.Domains {
		routes += fmt.Sprintf("  %s: {backend: mail, recipients: any}\n", d)
	}
	const pair = "tls: {cert: DIR/cert.pem, key: DIR/key.pem}"
	return fmt.Sprintf(`hostname: %s
state: DIR/state
listeners:
  - {name: mx, kind: inbound, addr: "127.0.0.1:0", %[2]s, proxy_from: [127.0.0.1]}
  - {name: submission, kind: submission, addr: "127.0.0.1:0", %[2]s, proxy_from: [127.0.0.1], backend: out}
  - {name: servers, kind: smarthost, addr: "127.0.0.1:0", networks: [127.0.0.0/8], proxy_from: [127.0.0.1], account_header: X-Account}
backends:
  mail: [{addr: %[3]q, tls: none}]
  out: [{addr: %[4]q, tls: required, ca: DIR/cert.pem, server_name: localhost}]
routes:
  example.com: {backend: mail, recipients: any}
%[5]segress: out
dns: {servers: [%[6]q]}
rules: {dir: DIR/rules.d}
admin: {addr: "127.0.0.1:0"}
limits: {per_ip: 500, per_64: 500}
abuse: {%[7]s}
%[8]s%[9]s%[10]s`, host, pair, n.In.Addr(), n.Out.Addr(), routes, n.DNS.Addr(), p.Abuse, store, clamav, p.More)
}

// redisAt starts a Redis of the test's own that has been there for an hour: in one that was
// emptied just now nothing is released for half a minute.
func redisAt(t *testing.T) *redisd.Server {
	t.Helper()
	s := redisd.Start(t, redisd.Options{ACL: rig.ACL()})
	c := s.Client()
	defer c.Close()
	if err := c.Set(t.Context(), conn.DefaultPrefix+":born", time.Now().Add(-time.Hour).UnixMilli(), 0).Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// onRedis are the keys of "store" for nodes that share a Redis.
func onRedis(s *redisd.Server) string {
	return fmt.Sprintf("addrs: [%q], user: %s, password_file: DIR/redis.pw, key_file: DIR/seal.key", s.Addr, rig.User)
}

// bothHomes runs a scenario with each home of the state.
func bothHomes(t *testing.T, scenario func(t *testing.T, redis bool)) {
	t.Helper()
	for _, home := range []string{"embedded", "redis"} {
		t.Run(home, func(t *testing.T) {
			t.Parallel()
			scenario(t, home == "redis")
		})
	}
}

// step is how far a node's clock is moved at a time: by more it would not be believed.
const step = 6 * time.Hour

// pass lets time go by. What falls due is done, in its order, when pass returns.
func (n *node) pass(d time.Duration) {
	n.t.Helper()
	for n.due(); d > 0; d -= step {
		n.Clock.Move(min(d, step))
		n.due()
	}
}

// due does what is due by the clock.
func (n *node) due() {
	n.t.Helper()
	n.call("clock.due", nil, nil)
}

// call makes a call over the control socket.
func (n *node) call(name string, params, result any) {
	n.t.Helper()
	if err := n.try(name, params, result); err != nil {
		n.t.Fatalf("%s: %v", name, err)
	}
}

// try makes a call that may fail.
func (n *node) try(name string, params, result any) error {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*time.Minute)
	defer cancel()
	c, err := control.Dial(ctx, filepath.Join(n.State, gateway.Socket))
	if err != nil {
		n.t.Fatal(err)
	}
	defer c.Close()
	return c.Call(ctx, name, params, result)
}

// told is the answer to a call.
func told[T any](n *node, name string, params any) (out T) {
	n.t.Helper()
	n.call(name, params, &out)
	return out
}

// command runs a command of the program that must end well, and returns what it said.
func (n *node) command(args ...string) string {
	n.t.Helper()
	out, errs, code := n.Run(args...)
	if code != 0 {
		n.t.Fatalf("%s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// await waits until something is so.
func (n *node) await(what string, ok func() bool) {
	n.t.Helper()
	world.Await(n.t, what, patience, ok)
}

// The clock of a released program cannot be moved, and it knows no call about it.
func TestReleaseHasNoClockToMove(t *testing.T) {
	t.Parallel()
	moved, err := program()
	if err != nil {
		t.Fatal(err)
	}
	words := [][]byte{[]byte("POSTERN_TEST_CLOCK"), []byte("clock.due")}
	for path, want := range map[string]bool{moved: true, world.Binary(t): false} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			if bytes.Contains(b, w) != want {
				t.Errorf("%s in %s: %v", w, path, !want)
			}
		}
	}
	g := world.NewGateway(t, "")
	g.Env = []string{"POSTERN_TEST_CLOCK=/nonexistent"}
	if out, errs, code := g.Run("version"); code != 0 {
		t.Errorf("the variable is read: exit %d %s%s", code, out, errs)
	}
}

// Time passes in the program as the test says, with either home.
func TestClockMoves(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis})
		n.command("account", "suspend", "--reason", "the first", "ada@example.com")
		n.pass(80 * time.Hour)
		n.command("account", "suspend", "--reason", "the second", "bert@example.com")
		list := n.audit()
		i := slices.IndexFunc(list, func(e entry) bool { return strings.Contains(e.Note, "the first") })
		j := slices.IndexFunc(list, func(e entry) bool { return strings.Contains(e.Note, "the second") })
		if i < 0 || j < 0 || list[j].Time.Sub(list[i].Time).Abs() < 80*time.Hour {
			t.Errorf("%d %d %+v", i, j, list)
		}
		if log := n.Log(); strings.Contains(log, "the clock jumped") {
			t.Error("the clock was not believed")
		}
	})
}
