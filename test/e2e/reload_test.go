package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/internal/record"
	"postern/test/world"
)

func TestWrongRuleIsRefusedAndTheOldStay(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{})
	open := dial(t, g.Addrs["mx"])
	open.comesFrom(friendIP)
	before := revision(t, g, b)

	g.WriteFile("rules.d/own.yaml", strings.Replace(ownRules, "action: quarantine", "action: explode", 1))
	line := g.awaitLog(t, `"level":"ERROR"`, "reload")
	if !regexp.MustCompile(`own\.yaml:6:\d+`).MatchString(line) {
		t.Errorf("no place in %s", line)
	}
	g.awaitLog(t, `"msg":"alert"`, "own.yaml:6:")
	if got := revision(t, g, b); got != before {
		t.Errorf("rules %s, want still %s", got, before)
	}
	if code, text := open.transaction("frank@friend.example", []string{"ada@example.com"}, letter("please hold", "x")); code != 250 || !strings.Contains(text, "held") {
		t.Errorf("the old rule: %d %s", code, text)
	}

	g.WriteFile("rules.d/own.yaml", strings.Replace(ownRules, "action: quarantine", "action: reject", 1))
	g.awaitLog(t, `"msg":"all clear"`, "reload")
	if code, text := open.transaction("frank@friend.example", []string{"ada@example.com"}, letter("please hold once more", "x")); code != 550 || !strings.Contains(text, "The subject asks to be held") {
		t.Errorf("the new rule in the open session: %d %s", code, text)
	}
	if got := revision(t, g, b); got == before {
		t.Error("the revision did not change")
	}
	audited := false
	for _, e := range runJSON[[]record.Entry](t, g, 0, "audit", "list", "--json") {
		audited = audited || e.Action == "rules" && e.Object == revision(t, g, b)
	}
	if !audited {
		t.Error("the change of rules is not audited")
	}
}

// revision is the rule set that a message is judged by now.
func revision(t *testing.T, g *gateway, b *mailtest.Backend) string {
	t.Helper()
	g.mustDeliver(t, 250, "ada@example.com", letter("which rules", time.Now().String()))
	all := b.Transactions()
	m := regexp.MustCompile(`rules=([^;]+);`).FindSubmatch(all[len(all)-1].Body)
	if m == nil {
		t.Fatalf("no revision in %s", all[len(all)-1].Body)
	}
	return string(m[1])
}

func TestOwnTestsOfRulesAreRunAtReload(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{})
	g.WriteFile("rules.d/own.yaml", strings.Replace(ownRules, `hit: ["please hold this"]`, `hit: ["something else"]`, 1))
	g.awaitLog(t, `"level":"ERROR"`, "reload", "E2E_HOLD")
	if text := g.mustDeliver(t, 250, "ada@example.com", letter("please hold", "x")); !strings.Contains(text, "held") {
		t.Errorf("the old rule: %s", text)
	}
	g.run(t, 1, "rules", "check")
	g.run(t, 1, "config", "check")
}

func TestHangupReloads(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{})
	g.Signal(syscall.SIGHUP)
	g.awaitLog(t, `"msg":"reloaded"`)
	g.mustDeliver(t, 250, "ada@example.com", letter("x", "x"))
}

func TestListenerKnobsChangeWhileServing(t *testing.T) {
	t.Parallel()
	b := mailtest.NewBackend(t, mailtest.Script{})
	p := plan{Backend: b.Addr()}
	g := start(t, p)
	open := dial(t, g.Addrs["mx"])
	open.must(250, "EHLO tests.example")
	p.MX = ", greet_pause: 400ms, framing: normalize"
	p.More = "limits: {message: 2MB, recipients: 100}\n"
	g.configure(p)
	g.awaitLog(t, `"msg":"reloaded"`)
	begin := time.Now()
	c := dial(t, g.Addrs["mx"])
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("the greeting came after %v", took)
	}
	if offer := c.must(250, "EHLO tests.example"); !strings.Contains(offer, "SIZE 2097152") && !strings.Contains(offer, "SIZE 2000000") {
		t.Errorf("we offer %q", offer)
	}
	c.must(250, "MAIL FROM:<frank@friend.example>")
	for i := range 100 {
		c.must(250, fmt.Sprintf("RCPT TO:<a%d@example.com>", i))
	}
	if code, _ := c.say("RCPT TO:<onemore@example.com>"); code != 452 {
		t.Errorf("a recipient too many: %d", code)
	}
	c.must(354, "DATA")
	c.send(letter("x", "bare\nline") + ".\r\n")
	c.read(250)
	if tx := b.WaitTransactions(t, 1)[0]; !strings.HasSuffix(string(tx.Body), "bare\r\nline\r\n") {
		t.Errorf("not normalised: %q", tx.Body)
	}
	open.must(250, "NOOP")
}

func TestWrongConfigurationIsRefusedAtReload(t *testing.T) {
	t.Parallel()
	b := mailtest.NewBackend(t, mailtest.Script{})
	p := plan{Backend: b.Addr()}
	g := start(t, p)
	open := dial(t, g.Addrs["mx"])
	open.must(250, "EHLO tests.example")
	bad := p
	bad.More = "limits: {sessions: many, errors: 3}\ncolour: red\n"
	g.configure(bad)
	line := g.awaitLog(t, `"level":"ERROR"`, "reload refused")
	for _, want := range []string{`postern\.yaml:14:20: .*many`, `postern\.yaml:15:1: .*colour`} {
		if !regexp.MustCompile(want).MatchString(line) {
			t.Errorf("%s is not in %s", want, line)
		}
	}
	g.awaitLog(t, `"msg":"alert"`, "refused")
	open.must(250, "NOOP")
	g.mustDeliver(t, 250, "ada@example.com", letter("x", "x"))
	if err := os.Remove(filepath.Join(g.Dir, "postern.yaml")); err != nil {
		t.Fatal(err)
	}
	g.Signal(syscall.SIGHUP)
	g.awaitLog(t, `"level":"ERROR"`, "reload refused", "no such file")
	g.mustDeliver(t, 250, "ada@example.com", letter("y", "x"))
	p.More = "limits: {errors: 3}\n"
	g.configure(p)
	g.awaitLog(t, `"msg":"all clear"`, "reload")
	c := dial(t, g.Addrs["mx"])
	for range 3 {
		c.send("NONSENSE\r\n")
		if code, _ := c.read(); code == 421 {
			break
		}
	}
	world.Await(t, "the session ends after three errors", 5*time.Second, func() bool {
		_, err := c.text.ReadLine()
		return err != nil
	})
}

func TestChangesThatNeedARestartAreNamed(t *testing.T) {
	t.Parallel()
	b := mailtest.NewBackend(t, mailtest.Script{})
	p := plan{Backend: b.Addr()}
	g := start(t, p)
	next := p
	next.MX, next.More = ", greet_pause: 400ms", "headers: {verdict: X-Ours}\n"
	g.WriteFile("next.yaml.new", strings.ReplaceAll(next.yaml(g.DNS.Addr()), "DIR", g.Dir)) // no file that is watched
	path := filepath.Join(g.Dir, "next.yaml.new")
	for _, args := range [][]string{{"config", "check", path}, {"config", "check", path, "--against", g.Config}} {
		out := g.run(t, 0, args...)
		if !strings.Contains(out, "in effect when it is reloaded: listeners[mx].greet_pause\n") || !strings.Contains(out, "in effect after a restart: headers.verdict\n") {
			t.Errorf("%v: %s", args, out)
		}
	}
	if out := g.run(t, 0, "config", "check"); !strings.Contains(out, "nothing differs from the running") {
		t.Errorf("its own: %s", out)
	}
	g.configure(next)
	g.awaitLog(t, "took effect", "listeners[mx].greet_pause")
	g.awaitLog(t, "takes effect after a restart", "headers.verdict")
	if out := g.run(t, 0, "config", "check"); strings.Contains(out, "greet_pause") || !strings.Contains(out, "after a restart: headers.verdict") {
		t.Errorf("when it was reloaded: %s", out)
	}
	p.Listeners = `  - {name: second, kind: inbound, addr: "127.0.0.1:0"}`
	g.configure(p)
	g.awaitLog(t, "takes effect after a restart", `"changed":"listeners"`)
}

func TestRoutesAndBackendsChangeWhileServing(t *testing.T) {
	t.Parallel()
	b, other := mailtest.NewBackend(t, mailtest.Script{}), mailtest.NewBackend(t, mailtest.Script{})
	p := plan{Backend: b.Addr()}
	g := start(t, p)
	g.mustDeliver(t, 250, "ada@example.com", letter("one", "x"))
	g.mustDeliver(t, 550, "ada@second.example", letter("two", "x"))
	yaml := p.yaml(g.DNS.Addr())
	yaml = strings.Replace(yaml, "routes:\n", "routes:\n  second.example: {backend: other, recipients: any}\n", 1)
	yaml = strings.Replace(yaml, "backends:\n", "backends:\n  other: [{addr: \""+other.Addr()+"\", tls: none}]\n", 1)
	g.Write(yaml)
	g.awaitLog(t, `"msg":"reloaded"`)
	world.Await(t, "the new route", 10*time.Second, func() bool {
		code, _ := g.deliver(t, "ada@second.example", letter("three", "x"))
		return code == 250
	})
	if tx := other.WaitTransactions(t, 1)[0]; tx.To[0] != "ada@second.example" {
		t.Errorf("behind: %v", tx.To)
	}
	g.mustDeliver(t, 250, "ada@example.com", letter("four", "x"))
	if n := len(b.Transactions()); n != 2 {
		t.Errorf("%d messages at the old backend", n)
	}
}

func TestRefusedReloadIsMailedToThePostmaster(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{More: "alerts: {mail: [postmaster@example.com]}\n"})
	g.WriteFile("rules.d/own.yaml", "nonsense: 1\n")
	tx := b.WaitTransactions(t, 1)[0]
	body := string(tx.Body)
	if tx.From != "" || len(tx.To) != 1 || tx.To[0] != "postmaster@example.com" {
		t.Errorf("from <%s> to %v", tx.From, tx.To)
	}
	for _, want := range []string{"Subject: ", "refused", "own.yaml:1:1", "Auto-Submitted: auto-generated"} {
		if !strings.Contains(body, want) {
			t.Errorf("the alert lacks %q:\n%s", want, body)
		}
	}
	g.WriteFile("rules.d/own.yaml", ownRules)
	g.awaitLog(t, `"msg":"all clear"`, "reload")
}

func TestFolderOfRulesMayComeLater(t *testing.T) {
	t.Parallel()
	b := mailtest.NewBackend(t, mailtest.Script{})
	g := prepare(t, plan{Backend: b.Addr()})
	if err := os.RemoveAll(filepath.Join(g.Dir, "rules.d")); err != nil {
		t.Fatal(err)
	}
	g.Start()
	g.Ready()
	g.WriteFile("rules.d/own.yaml", ownRules)
	g.Signal(syscall.SIGHUP)
	g.awaitLog(t, `"msg":"reloaded"`)
	g.WriteFile("rules.d/own.yaml", strings.Replace(ownRules, "action: quarantine", "action: reject", 1))
	world.Await(t, "the rule is in effect", 10*time.Second, func() bool {
		code, _ := g.deliver(t, "ada@example.com", letter("please hold", time.Now().String()))
		return code == 550
	})
}
