package desk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/internal/people"
	"postern/internal/record"
	"postern/quarantine"
)

// types puts a text into the editor as if it was typed.
func (b *browser) types(text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`(() => { const t = document.getElementById("text"); t.value = ` + quoted(text) + `; t.dispatchEvent(new Event("input", {bubbles: true})); })()`))
}

func quoted(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`", "${", "\\${").Replace(s) + "`"
}

func (n *node) held() []quarantine.Hold {
	n.t.Helper()
	var p quarantine.Page
	if err := n.control.Call(n.t.Context(), "quarantine.list", map[string]string{"text": "state:held"}, &p); err != nil {
		n.t.Fatal(err)
	}
	return p.Holds
}

func TestRules(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	n.user("arthur", people.Auditor)
	n.send("ada@example.com", "An offer please hold", "Content-Type: text/plain\r\n\r\nBuy now.")
	hold := n.held()[0]
	own := filepath.Join(n.Dir, "rules.d", "own.yaml")
	b := n.browse("en")
	b.signIn("olga")
	b.do(navigate(b.base+"/rules"), visible("tr[data-row]"))
	b.sees("main", "HOLD_THIS")
	b.picture("list")
	b.do(navigate(b.base+"/rules/files"), visible("table"))
	b.picture("files")

	// Wrong on purpose: the place is shown while it is typed, and nothing is saved.
	b.do(navigate(b.base+"/rules/file?id=rules/own.yaml"), visible("#text"))
	b.types(strings.Replace(rules, "action: quarantine", "acton: tag", 1))
	b.sees("#checked", "own.yaml:6:5")
	b.sees(".code .numbers .bad", "6")
	b.do(click(".problems a"))
	b.sees("#at", "patterns[]")
	b.picture("wrong")
	b.do(click("#editor button.main"))
	b.sees("[role=alert]", "Nothing was saved")
	if got, _ := os.ReadFile(own); string(got) != rules {
		t.Fatalf("the file became %s", got)
	}

	// Mended, tried on the held message, looked at, saved.
	next := strings.Replace(rules, "action: quarantine", "score: 1", 1)
	b.types(next)
	b.sees("#checked", "Nothing is wrong")
	b.do(set("#hold", hold.ID), click("button[formaction='/rules/try']"), visible("#tried"))
	b.sees("#tried", "Now: hold. With this text: pass.")
	b.picture("tried")
	b.do(click("#editor button.main"), visible("#note"))
	b.sees(".diff", "score: 1")
	b.picture("difference")
	b.do(keys("#note", "it hit invoices"), click("button[name=seen]"))
	b.again()
	b.sees("main", "in force on this node")
	b.picture("saved")
	if got, _ := os.ReadFile(own); string(got) != next {
		t.Fatalf("the file became %s", got)
	}
	n.send("ada@example.com", "Another please hold", "Content-Type: text/plain\r\n\r\nBuy now.")
	if held := n.held(); len(held) != 1 {
		t.Fatalf("%d are held: the rule is not in force", len(held))
	}

	// Rolled back; by hand; what was changed by hand is in the history too.
	b.do(navigate(b.base+"/rules/changes?file=rules/own.yaml"), visible("tr[data-row]"))
	b.sees("main", "it hit invoices")
	b.picture("changes")
	b.do(click("tr[data-row]:nth-child(2) a[data-open]"), visible("form[action='/rules/rollback']"))
	b.do(click("form[action='/rules/rollback'] button.main"))
	b.again()
	b.sees("main", "in force on this node")
	if got, _ := os.ReadFile(own); string(got) != rules {
		t.Fatalf("the file became %s", got)
	}
	n.WriteFile("rules.d/own.yaml", rules+"# by hand\n")
	for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		b.do(navigate(b.base + "/rules/changes"))
		if strings.Contains(b.ask("document.body.innerText"), "changed on disk") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a change by hand is not in the history")
		}
	}
	b.picture("by-hand")

	// Somebody else was faster: both are shown.
	b.do(navigate(b.base+"/rules/file?id=rules/own.yaml"), visible("#text"))
	n.WriteFile("rules.d/own.yaml", rules+"# by somebody else\n")
	b.types(rules + "# mine\n")
	b.do(click("#editor button.main"), visible("[role=alert]"))
	b.sees(".diff", "# by somebody else")
	b.picture("conflict")

	// One rule is switched off for a day.
	b.do(navigate(b.base+"/rules/rule/HOLD_THIS"), visible("#note"))
	b.picture("rule")
	b.do(keys("#note", "too many"), click("form[action='/rules/off'] button"))
	b.again()
	b.sees("main", "Switch on again")
	b.picture("off")
	n.send("ada@example.com", "A third please hold", "Content-Type: text/plain\r\n\r\nBuy now.")
	if held := n.held(); len(held) != 1 {
		t.Errorf("%d are held: the rule is not off", len(held))
	}

	// The audit has it all, with what it was before; the chain is unbroken.
	b.do(navigate(b.base+"/rules/audit?object=own.yaml"), visible(".entries"))
	b.do(click(".entries li:last-child summary"))
	b.picture("audit")
	b.do(click("button[formaction='/rules/audit/verify']"))
	b.sees("main", "is unbroken")
	b.picture("verified")
	var all []record.Entry
	if err := n.control.Call(t.Context(), "audit.list", map[string]int{"limit": 1000}, &all); err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"file-saved", "file-rolled-back", "file-changed", "rule-off"} {
		if !slices.ContainsFunc(all, func(e record.Entry) bool {
			return e.Action == action && (e.Actor == "olga" || action == "file-changed")
		}) {
			t.Errorf("the audit lacks %s", action)
		}
	}

	// An auditor reads, and changes nothing.
	b = n.browse("en")
	b.signIn("arthur")
	b.do(navigate(b.base+"/rules/file?id=rules/own.yaml"), visible("pre.whole"))
	b.picture("auditor")
}

func TestListsOnThePage(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	b := n.browse("en")
	b.signIn("olga")
	b.do(navigate(b.base+"/rules/lists"), visible("#value"), keys("#value", "frank@friend.example"), keys("#reason", "rude"), click("button[value=add]"))
	b.sees("table", "frank@friend.example")
	b.picture("blocked")
	b.do(navigate(b.base + "/rules/lists?why=frank@friend.example"))
	b.sees("main", "listed")
	b.do(navigate(b.base+"/rules/lists"), visible("#value"), keys("#value", "no such thing!"), keys("#reason", "x"), click("button[value=add]"), visible("[role=alert]"))
	b.picture("refused")
}
