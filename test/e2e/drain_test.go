package e2e

import (
	"bufio"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/test/world"
)

func TestDrainLetsWhatIsPastTheDotFinish(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{Steps: map[mailtest.Point]mailtest.Step{mailtest.AtEnd: {Delay: 4 * time.Second}}}, plan{})
	idle := dial(t, g.Addrs["mx"])
	idle.must(250, "EHLO tests.example")
	inData := dial(t, g.Addrs["mx"])
	inData.comesFrom(friendIP)
	inData.must(250, "MAIL FROM:<frank@friend.example>")
	inData.must(250, "RCPT TO:<ada@example.com>")
	inData.must(354, "DATA")
	inData.send("Subject: never ends\r\n\r\nhalf of")
	past := dial(t, g.Addrs["mx"])
	past.comesFrom(friendIP)
	past.must(250, "MAIL FROM:<frank@friend.example>")
	past.must(250, "RCPT TO:<ada@example.com>")
	past.must(354, "DATA")
	raw := letter("past the dot", "x")
	past.send(raw + ".\r\n")
	b.Wait(t, "the backend has the body", func() bool {
		for _, line := range b.Lines() {
			if strings.HasPrefix(line, "DATA") {
				return true
			}
		}
		return false
	})
	g.Signal(syscall.SIGTERM)
	g.awaitLog(t, "draining")
	idle.read(421)
	inData.read(421)
	if _, err := bufio.NewReader(idle.conn).ReadByte(); err == nil {
		t.Error("the idle session goes on")
	}
	if code, text := past.read(); code != 250 {
		t.Errorf("past the dot: %d %s", code, text)
	}
	if err := g.Wait(30 * time.Second); err != nil {
		t.Errorf("ended with %v\n%s", err, g.Log())
	}
	all := b.WaitTransactions(t, 1)
	if len(all) != 1 || !all[0].Complete || !strings.HasSuffix(string(all[0].Body), raw) {
		t.Errorf("behind: %+v", all)
	}
	g.awaitLog(t, `"msg":"message"`, "past the dot")
	if out := g.run(t, 0, "trace", "--subject", "past the dot"); !strings.Contains(out, "delivered") {
		t.Errorf("trace after the end:\n%s", out)
	}
}

func TestDrainWithNothingOpenEndsAtOnce(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{})
	g.mustDeliver(t, 250, "ada@example.com", letter("x", "x"))
	if err := g.Stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
	g.Start()
	g.Ready()
	g.mustDeliver(t, 250, "ada@example.com", letter("y", "x"))
}

func TestInterruptDrainsToo(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{})
	c := dial(t, g.Addrs["mx"])
	g.Signal(syscall.SIGINT)
	c.read(421)
	if err := g.Wait(30 * time.Second); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// A message cut off anywhere is nobody's: neither behind, nor held, nor on disk.
func TestCutOffMessageLeavesNothing(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{More: "limits: {memory: 1kB}\n"})
	raw := stuffed(letter("please hold, cut", strings.Repeat("0123456789\r\n", 500))) + ".\r\n"
	for _, n := range []int{0, 1, 10, len(raw) / 2, len(raw) - 5, len(raw) - 3, len(raw) - 2, len(raw) - 1} {
		c := dial(t, g.Addrs["mx"])
		c.comesFrom(friendIP)
		c.must(250, "MAIL FROM:<frank@friend.example>")
		c.must(250, "RCPT TO:<ada@example.com>")
		c.must(354, "DATA")
		c.send(raw[:n])
		c.conn.Close()
	}
	world.Await(t, "all sessions are over", 10*time.Second, func() bool {
		_, page := g.ask(t, "/metrics")
		return strings.Contains(page, `postern_sessions{listener="all"} 0`)
	})
	if all := holds(t, g, ""); len(all) != 0 {
		t.Errorf("%d holds", len(all))
	}
	for _, tx := range b.Transactions() {
		if tx.Complete {
			t.Error("a cut message went on")
		}
	}
	for _, dir := range []string{"bodies", "spool"} {
		if left := filesBelow(t, g, dir); len(left) > 0 {
			t.Errorf("left in %s: %q", dir, left)
		}
	}
	text := g.mustDeliver(t, 250, "ada@example.com", strings.TrimSuffix(raw, ".\r\n"))
	if !strings.Contains(text, "held") {
		t.Errorf("the whole message: %s", text)
	}
}
