package table_test

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postern/abuse"
	"postern/abuse/connect/table"
	"postern/abuse/measure"
)

func open(t *testing.T) *table.Table {
	t.Helper()
	tb := &table.Table{Label: "postfix", Map: "lmdb:" + filepath.Join(t.TempDir(), "suspended")}
	for range 2 { // what is there stays
		if err := tb.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return tb
}

// query asks as Postfix does.
func query(t *testing.T, tb *table.Table, k string) string {
	t.Helper()
	out, err := exec.Command("postmap", "-q", k, tb.Map).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func put(t *testing.T, tb *table.Table, line string) {
	t.Helper()
	cmd := exec.Command("postmap", "-r", "-i", tb.Map)
	cmd.Stdin = strings.NewReader(line + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}

func TestMeasureInATable(t *testing.T) {
	tb := open(t)
	m := measure.Measure{ID: "1", Target: "Anna@X.example", Level: abuse.M3, Case: "A-2026-000042"}
	if in, err := tb.Verify(t.Context(), m, ""); in || err != nil {
		t.Errorf("before: %v %v", in, err)
	}
	handle, err := tb.Apply(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if got := query(t, tb, "anna@x.example"); got != "REJECT 5.7.1 sending is suspended, case A-2026-000042" {
		t.Errorf("%q", got)
	}
	if in, err := tb.Verify(t.Context(), m, handle); !in || err != nil {
		t.Errorf("%v %v", in, err)
	}
	for range 2 {
		if err := tb.Undo(t.Context(), m, handle); err != nil {
			t.Error(err)
		}
	}
	if got := query(t, tb, "anna@x.example"); got != "" {
		t.Errorf("after the undo: %q", got)
	}
	put(t, tb, "bob@x.example permit_auth_destination")
	m.Target = "bob@x.example"
	if handle, err = tb.Apply(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := tb.Undo(t.Context(), m, handle); err != nil || query(t, tb, "bob@x.example") != "permit_auth_destination" {
		t.Errorf("somebody's own line: %q %v", query(t, tb, "bob@x.example"), err)
	}
}

func TestNamesThatNoTableHolds(t *testing.T) {
	tb := open(t)
	for _, bad := range []string{"", "a b", "a\nroot OK", "#x", "a\tb", "a\x00b"} {
		m := measure.Measure{Target: bad}
		if _, err := tb.Apply(t.Context(), m); !errors.Is(err, table.ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := tb.Undo(t.Context(), m, ""); !errors.Is(err, table.ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSync(t *testing.T) {
	tb := open(t)
	put(t, tb, "own@x.example OK")
	var all []abuse.Account
	for i := range 300 {
		all = append(all, abuse.Account{Name: fmt.Sprintf("u%03d@x.example", i), State: abuse.Suspended, Level: abuse.M3})
	}
	all = append(all, abuse.Account{Name: "slow@x.example", Level: abuse.M1}, abuse.Account{Name: "@x.example", Level: abuse.M6, State: abuse.Suspended})
	for _, want := range []int{300, 0} {
		if n, err := tb.Sync(t.Context(), all); n != want || err != nil {
			t.Fatalf("%d %v, want %d", n, err, want)
		}
	}
	if query(t, tb, "u299@x.example") == "" || query(t, tb, "slow@x.example") != "" || query(t, tb, "own@x.example") != "OK" {
		t.Error("the table is not what it should be")
	}
	all[0].Case = "A-2026-000001"
	if n, err := tb.Sync(t.Context(), all[:299]); n != 2 || err != nil { // one changed, one gone
		t.Errorf("%d %v", n, err)
	}
	if query(t, tb, "u299@x.example") != "" || !strings.HasSuffix(query(t, tb, "u000@x.example"), "case A-2026-000001") || query(t, tb, "own@x.example") != "OK" {
		t.Error("the table is not what it should be")
	}
}

func TestPostmapFails(t *testing.T) {
	for name, tb := range map[string]*table.Table{
		"no program": {Map: "lmdb:/tmp/x", Postmap: "/nonexistent/postmap"}, "no folder": {Map: "lmdb:/nonexistent/dir/x"}, "no kind": {Map: "/tmp/x"}, "relative": {Map: "lmdb:x"},
	} {
		if err := tb.Open(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
		if name == "no kind" || name == "relative" {
			continue
		}
		m := measure.Measure{Target: "a"}
		if _, err := tb.Apply(t.Context(), m); err == nil {
			t.Errorf("%s: applied", name)
		}
		if in, err := tb.Verify(t.Context(), m, ""); err == nil || in {
			t.Errorf("%s: verified", name)
		}
		if _, err := tb.Sync(t.Context(), nil); err == nil {
			t.Errorf("%s: synced", name)
		}
	}
}
