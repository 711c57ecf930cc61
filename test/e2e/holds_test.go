package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/quarantine"
	"postern/test/world"
)

// holds searches the quarantine by the command line.
func holds(t *testing.T, g *gateway, query string) []quarantine.Hold {
	t.Helper()
	args := []string{"quarantine", "list", "--json"}
	return runJSON[quarantine.Page](t, g, 0, append(args, strings.Fields(query)...)...).Holds
}

func outboxOf(t *testing.T, g *gateway) []outbox.Entry {
	t.Helper()
	return runJSON[[]outbox.Entry](t, g, 0, "outbox", "list", "--json")
}

// actions are the audited actions about a thing, oldest first.
func actions(t *testing.T, g *gateway, object string) (all []string) {
	t.Helper()
	for _, e := range runJSON[[]record.Entry](t, g, 0, "audit", "list", "--json") {
		if e.Object == object {
			all = append(all, e.Action)
		}
	}
	return all
}

// hold sends a message that is held and returns the hold.
func (g *gateway) hold(t *testing.T, to, subject, text string) (quarantine.Hold, string) {
	t.Helper()
	raw := letter(subject+" please hold", text)
	answer := g.mustDeliver(t, 250, to, raw)
	all := holds(t, g, "")
	for _, h := range all {
		if strings.Contains(answer, h.ID) {
			return h, raw
		}
	}
	t.Fatalf("no hold of %q among %d", answer, len(all))
	return quarantine.Hold{}, ""
}

func TestHoldIsFoundAndShown(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{})
	h, raw := g.hold(t, "ada@example.com", "Zebra", "striped\r\n.dot\r\n\x01 odd bytes \xff")
	for _, q := range []string{"zebra", "from:frank@friend.example", "to:ada@example.com", "symbol:E2E_HOLD", "state:held", "class:quarantine", "from:@friend.example zebra", "since:1h"} {
		if all := holds(t, g, q); len(all) != 1 || all[0].ID != h.ID {
			t.Errorf("search %q finds %d", q, len(all))
		}
	}
	for _, q := range []string{"giraffe", "from:x@friend.example", "state:released", "symbol:VIRUS", "class:evidence"} {
		if all := holds(t, g, q); len(all) != 0 {
			t.Errorf("search %q finds %d", q, len(all))
		}
	}
	if h.SHA256 != sum(raw) || h.Size != int64(len(raw)) || h.State != quarantine.Held {
		t.Errorf("hold %+v", h)
	}
	shown := g.run(t, 0, "quarantine", "show", h.ID)
	for _, want := range []string{h.ID, "frank@friend.example", "192.0.2.10", "ada@example.com", "Zebra please hold", "E2E_HOLD", "The subject asks to be held", sum(raw)} {
		if !strings.Contains(shown, want) {
			t.Errorf("show lacks %q:\n%s", want, shown)
		}
	}
	out, _, _ := g.Run("quarantine", "show", "--raw", h.ID)
	if out != raw {
		t.Errorf("raw differs: %q", out)
	}
	g.run(t, 1, "quarantine", "show", "01aaaaaaaaaaaaaaaaaaaaaaaa-00")
	g.run(t, 2, "quarantine", "list", "colour:red")
	if n := len(b.Transactions()); n != 0 {
		t.Errorf("%d messages behind", n)
	}
}

func TestReleaseDeliversOnce(t *testing.T) {
	t.Parallel()
	p := world.StartPostfix(t, []string{"ada@example.com"})
	g := start(t, plan{Backend: p.Addr, Recipients: "verify"})
	h, raw := g.hold(t, "ada@example.com", "Again", "hello")
	if out := g.run(t, 0, "quarantine", "release", h.ID); !strings.Contains(out, "released") {
		t.Errorf("release says %q", out)
	}
	got := arrived(t, p, "ada@example.com")
	if !strings.HasSuffix(got, raw) || !strings.Contains(got, "Delivered-To: ada@example.com") {
		t.Errorf("released as\n%s", got)
	}
	g.run(t, 0, "quarantine", "release", h.ID)
	if n := strings.Count(p.Log(), "status=sent"); n != 1 {
		t.Errorf("%d deliveries", n)
	}
	g.run(t, 1, "quarantine", "delete", h.ID)
	if got := actions(t, g, h.ID); len(got) == 0 || !strings.Contains(strings.Join(got, " "), "release") {
		t.Errorf("audit has %q", got)
	}
	g.run(t, 0, "audit", "verify")
}

func TestDeletedHoldIsGone(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{})
	h, _ := g.hold(t, "ada@example.com", "Away", "hello")
	g.run(t, 0, "quarantine", "delete", "--note", "not wanted", h.ID)
	if all := holds(t, g, "state:held"); len(all) != 0 {
		t.Errorf("%d holds", len(all))
	}
	g.run(t, 1, "quarantine", "release", h.ID)
	if n := len(b.Transactions()); n != 0 {
		t.Errorf("%d messages behind", n)
	}
	if out := g.run(t, 0, "audit", "list"); !strings.Contains(out, "not wanted") || !strings.Contains(out, h.ID) {
		t.Errorf("audit:\n%s", out)
	}
	if out := g.run(t, 0, "audit", "verify"); !strings.Contains(out, "unbroken") {
		t.Errorf("verify says %q", out)
	}
}

func TestCommandsWorkWithoutServer(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{})
	h, raw := g.hold(t, "ada@example.com", "Offline", "hello")
	gone, _ := g.hold(t, "bob@example.com", "Offline too", "hello")
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if all := holds(t, g, "offline"); len(all) != 2 {
		t.Errorf("%d holds", len(all))
	}
	out, _, _ := g.Run("quarantine", "show", "--raw", h.ID)
	if out != raw {
		t.Errorf("raw differs: %q", out)
	}
	g.run(t, 0, "quarantine", "release", h.ID)
	got := b.WaitTransactions(t, 1)
	if !strings.HasSuffix(string(got[0].Body), raw) || len(got[0].To) != 1 || got[0].To[0] != "ada@example.com" {
		t.Errorf("released %+v", got[0])
	}
	g.run(t, 0, "quarantine", "release", h.ID)
	g.run(t, 0, "quarantine", "delete", gone.ID)
	g.run(t, 0, "blocklist", "add", "--reason", "offline", "198.51.100.0/24")
	g.run(t, 0, "account", "suspend", "--reason", "offline", "ada@example.com")
	g.run(t, 0, "audit", "verify")
	if n := len(b.Transactions()); n != 1 {
		t.Errorf("%d deliveries", n)
	}
	g.Start()
	g.Ready()
	c := dial(t, g.Addrs["mx"])
	c.comesFrom("198.51.100.7")
	if code, _ := c.transaction("x@other.example", []string{"ada@example.com"}, letter("x", "x")); code != 550 {
		t.Errorf("the entry made without a server is not in effect: %d", code)
	}
	if all := holds(t, g, "state:held"); len(all) != 0 {
		t.Errorf("%d holds", len(all))
	}
}

func TestSecondServerOnSameStateIsRefused(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{})
	out := g.run(t, 3, "serve")
	if !strings.Contains(out, filepath.Join(g.Dir, "state")) || !strings.Contains(out, "is running on this state folder") {
		t.Errorf("the second server says %q", out)
	}
	g.mustDeliver(t, 250, "ada@example.com", letter("still there", "x"))
	if _, err := os.Stat(filepath.Join(g.Dir, "state", "postern.sock")); err != nil {
		t.Error(err)
	}
	g.run(t, 0, "quarantine", "list")
}

// awaitHeld waits until mail can be held again.
func awaitHeld(t *testing.T, g *gateway) {
	t.Helper()
	world.Await(t, "mail is held again", 40*time.Second, func() bool {
		code, _ := g.deliver(t, "ada@example.com", letter("please hold after", "x"))
		return code == 250
	})
}
