package nodes_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/abuse"
	"postern/blocklist"
	"postern/cmd/postern/calls"
	"postern/internal/mailtest"
	"postern/quarantine"
	"postern/test/rig"
	"postern/test/world"
)

// TestTwoNodes is what two nodes owe each other, on every kind of Redis.
func TestTwoNodes(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) string{
		"single": func(t *testing.T) string { return at(single(t).Addr) },
		"sentinel": func(t *testing.T) string {
			return atSentinel(sentinel(t, 1))
		},
		"cluster": func(t *testing.T) string {
			return atCluster(cluster(t).Addrs()...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, b := fleet(t, start(t), 2, outward)
			heldHereReleasedThere(t, f, b)
			listed(t, f)
			suspended(t, f)
			audited(t, f)
		})
	}
}

func send(addr, from, to, subject string) error {
	return smtp.SendMail(addr, nil, from, []string{to}, fmt.Appendf(nil, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%d@load.example>\r\n\r\nhello\r\n",
		from, to, subject, time.Now().Format(time.RFC1123Z), time.Now().UnixNano()))
}

// heldHereReleasedThere holds mail on one node and releases each hold from both at once: what
// the server behind gets is one copy.
func heldHereReleasedThere(t *testing.T, f *rig.Fleet, b *mailtest.Backend) {
	t.Helper()
	const n = 10
	for i := range n {
		if err := send(f.Nodes[0].Addr, rig.From, rig.Ada, fmt.Sprintf("%d of the load, dots", i)); err != nil {
			t.Fatal(err)
		}
	}
	holds := f.Nodes[1].Holds()
	if len(holds) != n {
		t.Fatalf("%d holds are seen from the other node, want %d", len(holds), n)
	}
	before := complete(b)
	for _, h := range holds {
		var raw calls.Raw
		f.Nodes[1].Call("quarantine.raw", calls.ID{ID: h.ID}, &raw)
		if !bytes.Contains(raw.Body, []byte("of the load, dots")) {
			t.Errorf("%s: the body is %q", h.ID, raw.Body)
		}
		var wg sync.WaitGroup
		for _, r := range f.Nodes {
			wg.Go(func() {
				var out quarantine.Hold
				if err := r.TryCall("quarantine.release", calls.ID{ID: h.ID}, &out); err == nil && out.State != quarantine.Released && out.State != quarantine.Releasing {
					t.Errorf("%s is %s", h.ID, out.State)
				}
			})
		}
		wg.Wait()
	}
	if got := complete(b) - before; got != n {
		t.Errorf("%d copies of %d releases arrived", got, n)
	}
	if left := f.Nodes[0].Holds(); len(left) > 0 {
		t.Errorf("%d are still held", len(left))
	}
}

// complete counts the messages that the server behind took.
func complete(b *mailtest.Backend) (n int) {
	for _, tx := range b.Transactions() {
		if tx.Complete {
			n++
		}
	}
	return n
}

// within waits until what another node decided counts here.
func within(t *testing.T, what string, start time.Time, ok func() bool) {
	t.Helper()
	world.Await(t, what, 20*time.Second, ok)
	t.Logf("%s after %v", what, time.Since(start).Round(time.Millisecond))
}

func listed(t *testing.T, f *rig.Fleet) {
	t.Helper()
	const bad = "bad@evil.example"
	if err := send(f.Nodes[1].Addr, bad, rig.Lax, "before"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	f.Nodes[0].Call("blocklist.add", blocklist.Entry{Value: bad, Scope: "all", Reason: "spam"}, nil)
	within(t, "a list entry counts on the other node", start, func() bool {
		err := send(f.Nodes[1].Addr, bad, rig.Lax, "after")
		return err != nil && strings.HasPrefix(err.Error(), "550")
	})
	f.Nodes[1].Call("blocklist.remove", calls.ID{ID: "block " + bad + " all"}, nil)
	within(t, "its removal counts on the first", time.Now(), func() bool { return send(f.Nodes[0].Addr, bad, rig.Lax, "again") == nil })
}

func suspended(t *testing.T, f *rig.Fleet) {
	t.Helper()
	const who = "ann@example.com"
	out := func(i int) error { return send(f.Nodes[i].Addrs["out"], who, rig.Lax, "out") }
	if err := errors.Join(out(0), out(1)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	f.Nodes[0].Call("account.suspend", calls.AccountChange{Name: who, Reason: "spam"}, nil)
	within(t, "a suspension counts on the other node", start, func() bool { return out(1) != nil })
	f.Nodes[1].Call("account.restore", calls.AccountChange{Name: who, Reason: "clean again"}, nil)
	within(t, "its end counts on the first", time.Now(), func() bool { return out(0) == nil })
	var all []abuse.Account
	f.Nodes[0].Call("account.list", struct{}{}, &all)
	if len(all) != 1 || all[0].State != abuse.Active || all[0].Version != 2 {
		t.Errorf("%+v", all)
	}
}

// audited checks that all nodes write one chain.
func audited(t *testing.T, f *rig.Fleet) {
	t.Helper()
	for _, r := range f.Nodes {
		if out, errs, code := r.Run("audit", "verify"); code != 0 {
			t.Errorf("audit verify: %d %s %s", code, out, errs)
		}
		for _, word := range []string{"release", "list-add", "list-remove", "suspend", "measure-undo"} {
			if out, _, _ := r.Run("audit", "list"); !strings.Contains(out, word) {
				t.Errorf("the audit lacks %s:\n%s", word, out)
			}
		}
	}
	for _, r := range f.Nodes {
		world.Await(t, "trace finds mail of the first node", 20*time.Second, func() bool {
			out, _, _ := r.Run("trace", "--from", rig.From)
			return strings.Count(out, "of the load, dots") == 10
		})
	}
}
