package deny_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/abuse"
	"postern/abuse/connect/deny"
	"postern/abuse/measure"
)

func open(t *testing.T) (*deny.Files, string) {
	t.Helper()
	dir := t.TempDir()
	f := &deny.Files{Label: "dovecot", Prefix: dir + "/deny.", Kick: []string{"sh", "-c", `printf %s "$0" > ` + dir + "/kicked"}, Flush: []string{"sh", "-c", "echo x >> " + dir + "/flushed"}}
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	return f, dir
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func TestMeasureInFiles(t *testing.T) {
	f, dir := open(t)
	for level, services := range map[abuse.Level]string{abuse.M3: "smtp submission", abuse.M5: "smtp submission imap pop3 sieve"} {
		m := measure.Measure{ID: "1", Target: "Anna@X.example", Level: level}
		if in, err := f.Verify(t.Context(), m, ""); in || err != nil {
			t.Errorf("before: %v %v", in, err)
		}
		handle, err := f.Apply(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"smtp", "submission", "imap", "pop3", "sieve"} {
			if got := text(t, dir+"/deny."+s); (got == "anna@x.example:\n") != strings.Contains(services, s) {
				t.Errorf("%v: deny.%s is %q", level, s, got)
			}
		}
		if in, err := f.Verify(t.Context(), m, handle); !in || err != nil {
			t.Errorf("%v %v", in, err)
		}
		for range 2 {
			if err := f.Undo(t.Context(), m, handle); err != nil {
				t.Error(err)
			}
		}
		for _, s := range []string{"smtp", "submission", "imap"} {
			if got := text(t, dir+"/deny."+s); got != "" {
				t.Errorf("after the undo deny.%s is %q", s, got)
			}
		}
	}
	if got := text(t, dir+"/flushed"); got != "x\nx\nx\nx\n" { // an undo of nothing flushes nothing
		t.Errorf("flushed %q", got)
	}
	if err := f.KillSessions(t.Context(), "Anna@x.example"); err != nil || text(t, dir+"/kicked") != "anna@x.example" {
		t.Errorf("%v %q", err, text(t, dir+"/kicked"))
	}
}

func TestTheLargerMeasureStays(t *testing.T) {
	f, dir := open(t)
	off, send := measure.Measure{ID: "1", Target: "a", Level: abuse.M5}, measure.Measure{ID: "2", Target: "a", Level: abuse.M3}
	if _, err := f.Apply(t.Context(), off); err != nil {
		t.Fatal(err)
	}
	handle, err := f.Apply(t.Context(), send)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Undo(t.Context(), send, handle); err != nil || text(t, dir+"/deny.smtp") != "a:\n" {
		t.Errorf("%v: deny.smtp is %q", err, text(t, dir+"/deny.smtp"))
	}
}

func TestSync(t *testing.T) {
	f, dir := open(t)
	all := []abuse.Account{{Name: "b", Level: abuse.M5, State: abuse.Suspended}, {Name: "a", Level: abuse.M3, State: abuse.Suspended}, {Name: "slow", Level: abuse.M1}, {Name: "@d", Level: abuse.M6, State: abuse.Suspended}}
	if n, err := f.Sync(t.Context(), all); n != 5 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	if n, err := f.Sync(t.Context(), all); n != 0 || err != nil {
		t.Fatalf("again: %d %v", n, err)
	}
	if got := text(t, dir+"/deny.smtp") + "|" + text(t, dir+"/deny.imap"); got != "a:\nb:\n|b:\n" {
		t.Errorf("%q", got)
	}
	if left, err := filepath.Glob(dir + "/.deny-*"); err != nil || len(left) > 0 {
		t.Errorf("half files: %v %v", left, err)
	}
	if n, err := f.Sync(t.Context(), nil); n != 5 || err != nil || text(t, dir+"/deny.imap") != "" {
		t.Errorf("%d %v", n, err)
	}
}

func TestTrouble(t *testing.T) {
	f, dir := open(t)
	for _, bad := range []string{"", "a b", "a:b", "a\nroot:", "#x"} {
		if _, err := f.Apply(t.Context(), measure.Measure{Target: bad, Level: abuse.M3}); !errors.Is(err, deny.ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	f.Kick = []string{"sh", "-c", "echo no such user >&2; exit 68"}
	if err := f.KillSessions(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("%v", err)
	}
	if err := os.Remove(dir + "/deny.imap"); err != nil {
		t.Fatal(err)
	}
	m := measure.Measure{Target: "a", Level: abuse.M5}
	if _, err := f.Apply(t.Context(), m); err == nil {
		t.Error("a file that is gone is no error")
	}
	if in, err := f.Verify(t.Context(), m, ""); in || err == nil {
		t.Errorf("%v %v", in, err)
	}
	if err := (&deny.Files{Prefix: "relative."}).Open(); err == nil {
		t.Error("a relative path")
	}
}
