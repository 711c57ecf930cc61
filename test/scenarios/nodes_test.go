package scenarios

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/abuse"
	"postern/test/world"
)

// Two nodes on one Redis: what is sent through one and complained of at the other is one case,
// and the measure that a person takes there is in force at the first, in a session that is open.
func TestComplaintAtAnotherNode(t *testing.T) {
	t.Parallel()
	store := onRedis(redisAt(t))
	first, copyOf := sent(t, plan{Store: store}, "rcpt@isp.example", "other@isp.example")
	second := prepare(t, plan{Store: store, Hostname: "mx2.example.com", Clock: first.Clock, DNS: first.DNS})
	copyKeys(t, first, second)
	second.serve()
	open := first.signIn("anna@example.com", "203.0.113.7:51516")
	open.must("anna@example.com", []string{"x@far.example"}, first.letter("anna@example.com", "x@far.example", "Before", "hello"))

	got := second.reports(0, "rcpt@isp.example", world.ARF(first.Clock.Now(), "rcpt@isp.example", "spam", copyOf))
	if p := got.Work.Proof; p.Grade != 4 || p.Account != "anna@example.com" || p.Votes != 100 {
		t.Errorf("%+v", p)
	}
	c := first.caseOf("anna@example.com")
	if c.Votes != 100 || !slices.Contains(got.Work.Cases, c.ID) {
		t.Errorf("%+v", c)
	}
	if again := first.reports(1, "other@isp.example", world.ARF(first.Clock.Now(), "other@isp.example", "spam too", copyOf)); !slices.Contains(again.Work.Cases, c.ID) {
		t.Errorf("at the other node it is %v", again.Work.Cases)
	}
	second.command("account", "suspend", "--reason", "proved in "+c.ID, "anna@example.com")
	first.await("it is in force at the first", func() bool { return first.level("anna@example.com") == abuse.M3 })
	if code, text := open.send("anna@example.com", []string{"x@far.example"}, "x"); code/100 != 5 || !strings.Contains(text, "5.7.1") {
		t.Errorf("in the open session: %d %s", code, text)
	}
	first.command("account", "restore", "--reason", "it was a test", "anna@example.com")
	second.await("it is over at the second", func() bool { return second.level("anna@example.com") == abuse.M0 })
	if code, text := second.tries("anna@example.com", "x@far.example"); code != 250 {
		t.Errorf("restored at the other node: %d %s", code, text)
	}
}

// copyKeys gives a node the keys of another, as operators do: they never enter the store.
func copyKeys(t *testing.T, from, to *node) {
	t.Helper()
	err := filepath.WalkDir(from.State, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(from.State, path)
		if err != nil || d.IsDir() || rel != "trace.keys" && !strings.HasPrefix(rel, "dkim/") {
			return err
		}
		key, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to.State, rel)), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to.State, rel), key, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
