package policy_test

import (
	"fmt"
	"testing"
	"time"

	"postern/abuse/connect/policy"
)

func TestCounter(t *testing.T) {
	now := time.Unix(1_900_000_020, 0)
	c := &policy.Counter{Rates: func(a string) (int, int) {
		if a == "free" {
			return 0, 0
		}
		return 3, 5
	}, Now: func() time.Time { return now }}
	send := func(account, instance string, want bool) {
		t.Helper()
		if got := c.Beyond(account, instance); got != want {
			t.Errorf("%s %s: %v", account, instance, got)
		}
	}
	for range 3 {
		send("a", "1", false)
	}
	send("a", "2", false)
	send("a", "3", false) // five recipients in three messages
	send("a", "3", true)
	send("b", "1", false)
	send("b", "2", false)
	send("b", "3", false)
	send("b", "4", true) // a fourth message
	send("b", "3", false)
	for i := range 2000 {
		send("free", fmt.Sprint(i), false)
	}
	now = now.Add(59 * time.Minute)
	send("a", "4", true)
	now = now.Add(time.Minute)
	send("a", "4", false)
	now = now.Add(100 * time.Hour)
	for range 5 {
		send("a", "5", false)
	}
	now = now.Add(-time.Hour) // the clock was set back
	send("a", "6", true)
}
