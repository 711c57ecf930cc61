package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/replaycmd"
	"postern/internal/mailtest"
	"postern/internal/record"
	"postern/test/world"
)

// rehearses waits until features of so many messages are kept, and is what a change would have
// done to them.
func (g *gateway) rehearses(t *testing.T, messages int, args ...string) (out replaycmd.Answer) {
	t.Helper()
	world.Await(t, fmt.Sprintf("features of %d messages", messages), 30*time.Second, func() bool {
		out = runJSON[replaycmd.Answer](t, g, 0, append([]string{"rules", "replay", "--json"}, args...)...)
		return out.Messages == messages
	})
	return out
}

// TestARuleIsRehearsedOnTheMailThatPassed: a real gateway's mail, held, passed and refused before
// its body, is judged by other rules; trace finds the examples; and nothing it said is kept.
func TestARuleIsRehearsedOnTheMailThatPassed(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{})
	for i := range 6 {
		g.mustDeliver(t, 250, "ada@example.com", letter(fmt.Sprintf("lunch %d", i), "at noon"))
	}
	for i := range 2 {
		g.mustDeliver(t, 250, "ada@example.com", letter(fmt.Sprintf("please hold this secret %d", i), "a confidence"))
	}
	same := g.rehearses(t, 8)
	if same.Flipped() != 0 || same.Known != 8 || same.Unlike != 0 || same.Kept.Seen != 8 || same.Kept.Dropped != 0 {
		t.Errorf("the rules as they are: %+v", same)
	}
	next := filepath.Join(g.Dir, "next")
	write := func(text string) {
		t.Helper()
		if err := os.MkdirAll(next, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(next, "own.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(ownRules, "action: quarantine", "action: tag", 1))
	out := g.rehearses(t, 8, "--rules", next, "--days", "1")
	if out.Milder.N != 2 || out.Stricter.N != 0 || out.Known != 8 || out.Flips[0].From != "quarantine" || out.Flips[0].To != "tag" {
		t.Fatalf("%+v", out)
	}
	found := runJSON[record.Page](t, g, 0, "trace", "--id", out.Flips[0].Examples[0].ID, "--json")
	if len(found.Rows) != 1 || !strings.Contains(found.Rows[0].Subject, "secret") {
		t.Errorf("trace finds %+v", found)
	}
	g.run(t, 1, "rules", "replay", "--rules", next, "--fail-over", "0.1")
	g.run(t, 0, "rules", "replay", "--rules", next, "--fail-over", "0.3")

	write(strings.Replace(ownRules, "action: quarantine", "action: reject", 1))
	if out := g.rehearses(t, 8, "--rules", next); out.Stricter.N != 2 || out.Flips[0].To != "reject" {
		t.Errorf("%+v", out)
	}
	write("symbols:\n  NOT_A_RULE: {scor: 1}\n")
	if text := g.run(t, 2, "rules", "replay", "--rules", next); !strings.Contains(text, "scor") {
		t.Errorf("%s", text)
	}

	// What is kept outlives the process, and says nothing of what the mail said.
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	g.Start()
	if out := g.rehearses(t, 8); out.Known != 8 {
		t.Errorf("after a restart: %+v", out)
	}
}

// TestCIOfRules needs no gateway and no configuration.
func TestCIOfRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Dir(path)
	}
	now := put("now/own.yaml", ownRules)
	next := put("next/own.yaml", strings.Replace(ownRules, "action: quarantine", "score: 1", 1))
	bad := put("bad/own.yaml", strings.Replace(ownRules, `hit: ["please hold this"]`, `hit: ["something else"]`, 1))
	spam := put("spam/a.eml", letter("please hold", "x"))
	bin := world.Binary(t)
	run := func(want int, args ...string) string {
		t.Helper()
		out, errs, code := world.Run(t, bin, append([]string{"--config", filepath.Join(dir, "none.yaml"), "rules"}, args...)...)
		if code != want {
			t.Errorf("%q: exit %d, want %d\n%s%s", args, code, want, out, errs)
		}
		return out
	}
	out := run(1, "--dir", now, "replay", "--rules", next, "--spam", spam, "--fail-over", "0", "--json")
	var a replaycmd.Answer
	if err := json.Unmarshal([]byte(out), &a); err != nil || a.Spam.Worse.N != 1 || a.Milder.N != 1 {
		t.Errorf("%s %v", out, err)
	}
	run(0, "--dir", now, "replay", "--rules", now, "--spam", spam, "--fail-over", "0")
	run(0, "--dir", now, "replay", "--rules", next, "--spam", spam)
	run(2, "--dir", now, "replay", "--rules", bad, "--spam", spam)
	run(3, "replay", "--rules", next)
}
