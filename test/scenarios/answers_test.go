package scenarios

import (
	"strings"
	"testing"
	"time"
)

// Scenario 3: robots, bounces and senders whom nothing proves make a case, and get no answer.
func TestScenario03NoAnswerToRobots(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis})
		const text = "I got spam from anna@example.com and want you to stop it"
		send := func(from, raw string) {
			t.Helper()
			if code, said := n.forges("192.0.2.66:4000", from, "abuse@example.com", raw); code != 250 {
				t.Fatalf("from <%s>: %d %s", from, code, said)
			}
		}
		send("", n.signed("a@null.example", n.letter("A <a@null.example>", "abuse@example.com", "From nobody", text)))
		send("b@fails.example", n.letter("B <b@fails.example>", "abuse@example.com", "Neither SPF nor DKIM", text))
		robot := n.letter("C <c@robot.example>", "abuse@example.com", "A program", text)
		n.writes("c@robot.example", "abuse@example.com", strings.Replace(robot, "MIME-Version", "Auto-Submitted: auto-generated\r\nMIME-Version", 1))
		for _, c := range n.complaints(3) {
			if len(c.Work.Cases) != 1 {
				t.Errorf("no case for %+v", c)
			}
		}
		n.pass(24 * time.Hour)
		for _, to := range []string{"a@null.example", "b@fails.example", "c@robot.example", ""} {
			if all := n.lettersTo(to); len(all) != 0 {
				t.Errorf("%d letters to <%s>", len(all), to)
			}
		}
	})
}
