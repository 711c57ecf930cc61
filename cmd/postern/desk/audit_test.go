package desk_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/auditcalls"
	"postern/cmd/postern/desk"
	"postern/cmd/postern/rulecalls/list"
)

// TestAuditFind searches the audit of a gateway that does not run.
func TestAuditFind(t *testing.T) {
	a, out, _ := lists(t)
	for _, off := range []string{"SPF_FAIL", "DKIM_FAIL"} {
		must(t, app.Call(a, "rules.off", list.TurnOff{Symbol: off, Hours: 1, Note: "it hits letters of our own"}, false, func(list.Off) {}))
	}
	must(t, app.Call(a, "rules.on", list.TurnOn{Symbol: "SPF_FAIL", Note: "mended"}, false, func(string) {}))
	lines := func(want int, change func(*desk.Audit)) []string {
		t.Helper()
		out.Reset()
		var c desk.Audit
		change(&c)
		if err := c.Find.Run(a); code(err) != want {
			t.Fatalf("exit %d, want %d: %v", code(err), want, err)
		}
		return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	}
	for name, c := range map[string]struct {
		change func(*desk.Audit)
		want   []string
	}{
		"by the beginning of the action": {func(c *desk.Audit) { c.Find.Action = "rule-*" }, []string{"rule-on", "rule-off", "rule-off"}},
		"by what it was done to":         {func(c *desk.Audit) { c.Find.Object = "dkim_" }, []string{"DKIM_FAIL it hits letters"}},
		"by a word":                      {func(c *desk.Audit) { c.Find.Text = "MENDED" }, []string{"rule-on      SPF_FAIL mended"}},
		"since a time":                   {func(c *desk.Audit) { c.Find.Since = a.Now().Add(-time.Hour); c.Find.Action = "rule-on" }, []string{"rule-on"}},
		"page by page":                   {func(c *desk.Audit) { c.Find.Limit = 1; c.Find.Action = "rule-off" }, []string{"DKIM_FAIL", "more: --before "}},
	} {
		got := lines(app.Fine, c.change)
		for i, want := range c.want {
			if len(got) != len(c.want) || !strings.Contains(got[i], want) {
				t.Fatalf("%s: %q", name, got)
			}
		}
	}
	lines(app.Finding, func(c *desk.Audit) { c.Find.Until = a.Now().Add(-time.Hour) })
	lines(app.Usage, func(c *desk.Audit) { c.Find.Limit = 501 })
	lines(app.Fine, func(c *desk.Audit) { c.Find.Action, c.Find.JSON = "rule-on", true })
	var f auditcalls.Found
	if err := json.Unmarshal(bytes.TrimSpace(out.Bytes()), &f); err != nil || len(f.Entries) != 1 || f.Entries[0].Note != "mended" {
		t.Errorf("%v %+v", err, f)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
