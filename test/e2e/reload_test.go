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
	g.mustDeliver(t, 250, "ada@example.com", letter("which rules", "x"))
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
	c.send("Subject: x\r\n\r\nbare\nline\r\n.\r\n")
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
	p.Listeners = `  - {name: second, kind: inbound, addr: "127.0.0.1:0"}`
	g.configure(p)
	if line := g.awaitLog(t, "takes effect after a restart"); !strings.Contains(line, "listeners") {
		t.Errorf("logged %s", line)
	}
}
