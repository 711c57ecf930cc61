package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/calls"
	"postern/filter/greylist"
	"postern/internal/mailtest"
	"postern/test/world"
)

const greyRules = `patterns:
  - id: E2E_DOUBT
    describe: The subject is doubtful
    in: subject
    match: 'doubtful'
    score: 5.8
    tests: {hit: ["a doubtful one"], miss: ["hello"]}
policies:
  patient: {extends: default, greylist: off}
recipients:
  patient@example.com: patient
`

// startGrey runs a gateway that asks doubtful strangers to come again after wait.
func startGrey(t *testing.T, wait string) (*gateway, *mailtest.Backend) {
	t.Helper()
	return startWith(t, greyRules, plan{More: "greylist: {wait: " + wait + ", retry_within: 1h, remember: 24h}\n"})
}

// deliverFrom sends one message as another host.
func (g *gateway) deliverFrom(t *testing.T, ip, from, to, raw string) (int, string) {
	t.Helper()
	c := dial(t, g.Addrs["mx"])
	defer c.conn.Close()
	c.comesFrom(ip)
	code, text := c.transaction(from, strings.Split(to, ","), raw)
	c.must(221, "QUIT") // a client that just goes may not have read the answer
	return code, text
}

// waiting is who was asked to come again.
func waiting(t *testing.T, g *gateway) []greylist.Waiting {
	t.Helper()
	return runJSON[[]greylist.Waiting](t, g, 0, "greylist", "list", "--json")
}

// A stranger's doubtful mail waits, through a crash too; then it and its like flow.
func TestDoubtfulStrangerComesAgain(t *testing.T) {
	t.Parallel()
	g, b := startGrey(t, "4s")
	raw := letterFrom("Odd <odd@other.example>", "A doubtful offer", "x")
	post := func() (int, string) {
		t.Helper()
		return g.deliverFrom(t, "198.51.100.7", "odd@other.example", "ada@example.com", raw)
	}
	first := time.Now()
	code, text := post()
	if code != 451 || !strings.HasPrefix(text, "4.7.1 ") || !strings.Contains(text, "first contact") || !strings.Contains(text, "(ref ") {
		t.Fatalf("%d %s", code, text)
	}
	world.Await(t, "it waits", 3*time.Second, func() bool { return len(waiting(t, g)) == 1 })
	g.Kill()
	g.Start()
	g.Ready()
	if w := waiting(t, g); len(w) != 1 || w[0].From != "odd@other.example" || w[0].Client != "198.51.100.7" || !slices.Contains(w[0].To, "ada@example.com") {
		t.Errorf("after a crash wait %+v", w)
	}
	for time.Since(first) < 3*time.Second { // too early, however often
		code, text := post()
		if took := time.Since(first); code != 451 && took < 4*time.Second {
			t.Fatalf("after %v: %d %s", took, code, text)
		}
		time.Sleep(500 * time.Millisecond)
	}
	world.Await(t, "it is let in", 10*time.Second, func() bool { code, _ := post(); return code == 250 })
	if took := time.Since(first); took < 4*time.Second {
		t.Errorf("it was let in after %v", took)
	}
	if !strings.HasSuffix(string(b.WaitTransactions(t, 1)[0].Body), raw) {
		t.Error("other bytes arrived")
	}
	world.Await(t, "nobody waits", 3*time.Second, func() bool { return len(waiting(t, g)) == 0 })
	if code, text := g.deliverFrom(t, "198.51.100.7", "odd@other.example", "bob@example.com", letterFrom("odd@other.example", "Another doubtful one", "y")); code != 250 {
		t.Errorf("a sender that came again: %d %s", code, text)
	}
}

// Mail that is proven, that is not doubtful, or whose reader does not want it to wait does not.
func TestWhoIsNeverAskedToWait(t *testing.T) {
	t.Parallel()
	g, b := startGrey(t, "10m")
	g.set(t, "_dmarc.friend.example", "TXT v=DMARC1; p=none")
	g.mustDeliver(t, 250, "ada@example.com", letter("Your login code is doubtful 123456", "x"))
	g.mustDeliver(t, 250, "ada@example.com", letter("hello", "x"))
	doubtful := func(n string) string { return letterFrom("odd@other.example", "A doubtful offer "+n, "x") }
	for _, try := range []struct {
		to   string
		code int
	}{
		{"patient@example.com", 250},
		{"postmaster@example.com", 250},
		{"ada@example.com", 451},
		{"patient@example.com,ada@example.com", 451}, // one answer for all: nothing has happened
	} {
		before := len(b.Transactions())
		code, text := g.deliverFrom(t, "198.51.100.7", "odd@other.example", try.to, doubtful(try.to))
		if code != try.code {
			t.Errorf("to %s: %d %s", try.to, code, text)
		}
		if n := len(b.Transactions()) - before; (n == 1) != (code == 250) {
			t.Errorf("to %s: %d and %d messages behind", try.to, code, n)
		}
	}
	// What is refused or held anyway is not asked to come again.
	if code, _ := g.deliverFrom(t, "198.51.100.7", "odd@other.example", "ada@example.com", letterFrom("odd@other.example", "doubtful, please hold", "x")); code != 250 {
		t.Errorf("mail that is held: %d", code)
	}
}

// The desk sees who waits and lets him in at once.
func TestWaitingSenderIsLetIn(t *testing.T) {
	t.Parallel()
	g, _ := startGrey(t, "10m")
	raw := letterFrom("odd@other.example", "A doubtful offer", "x")
	post := func() (int, string) {
		return g.deliverFrom(t, "198.51.100.7", "odd@other.example", "ada@example.com", raw)
	}
	if out := g.run(t, 0, "greylist", "list"); !strings.Contains(out, "nobody waits") {
		t.Errorf("list says %q", out)
	}
	code, text := post()
	if code != 451 {
		t.Fatalf("%d %s", code, text)
	}
	world.Await(t, "it waits", 3*time.Second, func() bool { return len(waiting(t, g)) == 1 })
	w := waiting(t, g)[0]
	if !strings.Contains(text, w.ID) {
		t.Errorf("the sender was told %q, the list says %s", text, w.ID)
	}
	for _, want := range []string{w.ID, "odd@other.example", "ada@example.com", "198.51.100.7"} {
		if out := g.run(t, 0, "greylist", "list"); !strings.Contains(out, want) {
			t.Errorf("list lacks %s:\n%s", want, out)
		}
	}
	g.run(t, 1, "greylist", "allow", "01aaaaaaaaaaaaaaaaaaaaaaaa")
	g.run(t, 2, "greylist", "allow", "no such thing!")
	known := runJSON[greylist.Known](t, g, 0, "greylist", "allow", "--json", "--note", "she called", w.ID)
	if got := actions(t, g, known.Source); !slices.Equal(got, []string{"greylist-allow"}) {
		t.Errorf("audit of %q: %q", known.Source, got)
	}
	if out := g.run(t, 0, "audit", "list"); !strings.Contains(out, "she called") {
		t.Errorf("audit:\n%s", out)
	}
	if code, text := post(); code != 250 {
		t.Errorf("after it was let in: %d %s", code, text)
	}
}

// What the commands about first contacts, keys, lists and reports do, they do without a server
// too.
func TestLaterCommandsWithoutServer(t *testing.T) {
	t.Parallel()
	g, _ := startGrey(t, "10m")
	raw := letterFrom("odd@other.example", "A doubtful offer", "x")
	post := func() int {
		code, _ := g.deliverFrom(t, "198.51.100.7", "odd@other.example", "ada@example.com", raw)
		return code
	}
	if code := post(); code != 451 {
		t.Fatalf("%d", code)
	}
	world.Await(t, "it waits", 3*time.Second, func() bool { return len(waiting(t, g)) == 1 })
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	w := waiting(t, g)
	if len(w) != 1 {
		t.Fatalf("%d wait", len(w))
	}
	g.run(t, 0, "greylist", "allow", "--note", "offline", w[0].ID)
	g.run(t, 0, "dkim", "add", "--alg", "ed25519", "example.com")
	g.run(t, 0, "reports", "list")
	g.run(t, 0, "reports", "sent")
	g.run(t, 0, "blocklist", "test")
	g.run(t, 0, "blocklist", "why", "192.0.2.1")
	g.run(t, 0, "audit", "verify")
	g.Start()
	g.Ready()
	if code := post(); code != 250 {
		t.Errorf("let in without a server: %d", code)
	}
	if all := runJSON[calls.DKIMList](t, g, 0, "dkim", "list", "--json").Keys; len(all) != 1 || all[0].Domain != "example.com" {
		t.Errorf("keys %+v", all)
	}
	if out := g.run(t, 0, "audit", "list"); !strings.Contains(out, "offline") || !strings.Contains(out, "dkim-add") {
		t.Errorf("audit:\n%s", out)
	}
}

// Mail that waits leaves nothing behind, not even a copy of its virus; when it comes again all
// that its policy says is done.
func TestWaitingMailLeavesNothing(t *testing.T) {
	t.Parallel()
	c := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	g, b := startWith(t, strings.Replace(greyRules, "patient:", "strip: {extends: default, quarantine: 12, antivirus: {infected: strip}}\n  patient:", 1)+"  strip@example.com: strip\n",
		plan{ClamAV: c.Endpoint, More: "greylist: {wait: 2s, retry_within: 1h, remember: 24h}\n"})
	raw := withFile("A doubtful bill", "bill.zip", zipped(t, "bill.com", mailtest.EICAR()))
	g.mustDeliver(t, 451, "strip@example.com", raw)
	g.mustDeliver(t, 451, "strip@example.com,patient@example.com", raw)
	if all := holds(t, g, ""); len(all) != 0 || len(b.Transactions()) != 0 {
		t.Errorf("after 451: holds %+v, %d messages behind", all, len(b.Transactions()))
	}
	world.Await(t, "it is let in", 10*time.Second, func() bool { code, _ := g.deliver(t, "strip@example.com", raw); return code == 250 })
	if body := b.WaitTransactions(t, 1)[0].Body; strings.Contains(string(body), "bill.com") || !strings.Contains(string(body), "X-Postern-Stripped") {
		t.Errorf("it went out as\n%s", body)
	}
	if all := holds(t, g, "class:evidence"); len(all) != 1 || all[0].SHA256 != sum(raw) {
		t.Errorf("evidence %+v", all)
	}
}
