package nodes_test

import (
	"testing"
	"time"

	"postern/cmd/postern/testinbox"
	"postern/internal/inbox"
	"postern/test/rig"
)

// TestInboxOfTwoNodes: what comes through one node is read, counted and forgotten at the other.
func TestInboxOfTwoNodes(t *testing.T) {
	f, b := fleet(t, at(single(t).Addr), 2, rig.Options{YAML: "test_inbox: {domains: [ci.example]}\n"})
	must(t, send(f.Nodes[0].Addr, "app@friend.example", "t@ci.example", "from the first"))
	var got testinbox.Waited
	f.Nodes[1].Call("inbox.wait", testinbox.Wait{To: "t@ci.example", Subject: "first", Seconds: 45}, &got)
	if !got.Found || got.Message.Node == "" || got.Message.Text == "" {
		t.Fatalf("%+v", got)
	}
	must(t, send(f.Nodes[1].Addr, "app@friend.example", "t@ci.example", "from the second"))
	var page inbox.Page
	f.Nodes[0].Call("inbox.list", inbox.Query{}, &page)
	if len(page.Messages) != 2 || page.Messages[0].Subject != "from the second" {
		t.Errorf("%+v", page)
	}
	for i := range f.Nodes {
		within(t, "a node has counted both", time.Now(), func() bool {
			var n inbox.Counters
			f.Nodes[i].Call("inbox.counts", struct{}{}, &n)
			return n.Kept == 2 && n.Blocked == 0
		})
	}
	var gone testinbox.Cleared
	f.Nodes[1].Call("inbox.clear", testinbox.Clear{}, &gone)
	f.Nodes[0].Call("inbox.list", inbox.Query{}, &page)
	if gone.Messages != 2 || len(page.Messages) != 0 {
		t.Errorf("%d gone, %d left", gone.Messages, len(page.Messages))
	}
	if n := len(b.Transactions()); n != 0 {
		t.Errorf("%d messages reached the server behind", n)
	}
}
