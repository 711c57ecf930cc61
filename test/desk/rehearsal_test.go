package desk

import (
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/rulecalls"
	"postern/internal/people"
)

// kept waits until features of so many messages are kept: they are taken down after the answer.
func (n *node) kept(messages int) {
	n.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var out rulecalls.Replayed
		if err := n.control.Call(n.t.Context(), "rules.replay", rulecalls.Replay{}, &out); err != nil {
			n.t.Fatal(err)
		}
		if out.Report.Messages == messages {
			return
		}
		if time.Now().After(end) {
			n.t.Fatalf("features of %d messages are kept, not %d", out.Report.Messages, messages)
		}
	}
}

// TestRehearsal: before a rule is saved the editor says what it would have done to the mail that
// passed, when asked to and beside the difference by itself, in the reader's language.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	n.send("ada@example.com", "An offer please hold", "Content-Type: text/plain\r\n\r\nBuy now.")
	for range 3 {
		n.send("ada@example.com", "Lunch", "Content-Type: text/plain\r\n\r\nAt noon.")
	}
	n.kept(4)
	b := n.browse("en")
	b.signIn("olga")
	b.do(navigate(b.base+"/rules/file?id=rules/own.yaml"), visible("#text"))
	b.types(strings.Replace(rules, "action: quarantine", "score: 1", 1))
	b.sees("#checked", "Nothing is wrong")
	const button = "button[formaction='/rules/replay']"
	b.do(click(button), visible("#replayed"))
	b.sees("#replayed", "1 of 4 verdicts would be others.")
	b.sees("#replayed", "hold → pass")
	b.sees("#replayed", "HOLD_THIS")
	b.picture("replayed")
	b.do(click("#editor button.main"), visible("#note"), visible("#replayed"))
	b.sees("#replayed", "1 of 4 verdicts would be others.")
	b.picture("replayed-before-saving")

	// An expression that is another one is not guessed at.
	b.do(navigate(b.base+"/rules/file?id=rules/own.yaml"), visible("#text"))
	b.types(strings.Replace(rules, "'please hold'", "'please +hold'", 1))
	b.do(click(button), visible("#replayed"))
	b.sees("#replayed", "HOLD_THIS leaves 4 of them open")
	b.picture("not-known")

	for language, words := range map[string]string{"ru": "Решений, которые были бы другими: 1 из 4.", "el": "1 από 4 ετυμηγορίες θα ήταν άλλες.", "zh-CN": "4 个裁决中有 1 个会改变。"} {
		b := n.browse(language)
		b.signIn("olga")
		b.do(navigate(b.base+"/rules/file?id=rules/own.yaml"), visible("#text"))
		b.types(strings.Replace(rules, "action: quarantine", "score: 1", 1))
		b.do(click(button), visible("#replayed"))
		b.sees("#replayed", words)
	}
}
