package scenarios

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/record"
	"postern/internal/record/head"
	"postern/internal/store/redis/conn"
)

// The head of the audit leaves the machine each day: the webhook gets it, signed, with a number and
// a hash that the audit has there.
func TestHeadOfTheAuditIsSentOut(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n, page := senders(t, plan{Redis: redis}, "anna@example.com")
		n.serve()
		n.command("account", "suspend", "--reason", "the first", "anna@example.com")
		for day := range 2 {
			n.later(24 * time.Hour) // it is looked for at the start, and each minute of the machine
			n.await(fmt.Sprint("the head of day ", day), func() bool { return len(page.pages("audit-head")) > day })
		}
		days := map[string]bool{}
		for _, a := range page.pages("audit-head") {
			var h head.Head
			if err := json.Unmarshal([]byte(a.Detail), &h); err != nil || !h.Signed() || days[h.Day] {
				t.Fatalf("%+v: %v", a, err)
			}
			days[h.Day] = true
			i := slices.IndexFunc(n.audit(), func(e record.Entry) bool { return e.Seq == h.Seq })
			if i < 0 || n.audit()[i].Hash != h.Hash || !strings.Contains(a.Summary, h.Hash) {
				t.Errorf("the audit has no entry %d with hash %s", h.Seq, h.Hash)
			}
			h.Seq++
			if h.Signed() {
				t.Error("another number is signed as well")
			}
		}
		if out := n.command("audit", "verify"); !strings.Contains(out, "unbroken") {
			t.Error(out)
		}
	})
}

// Who edits an entry of the audit in Redis, past its own rights, is found out by its number.
func TestScenario30AuditInRedisNamesTheBrokenEntry(t *testing.T) {
	t.Parallel()
	s := redisAt(t)
	n := start(t, plan{Store: onRedis(s)})
	for i := range 5 {
		n.command("account", "suspend", "--reason", fmt.Sprintf("reason %d", i), fmt.Sprintf("a%d@example.com", i))
	}
	if out := n.command("audit", "verify"); !strings.Contains(out, "unbroken") {
		t.Fatal(out)
	}
	c := s.Client()
	defer c.Close()
	key := conn.DefaultPrefix + ":{audit}:log"
	rows, err := c.LRange(t.Context(), key, 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(rows, func(row string) bool { return strings.Contains(row, "reason 2") })
	if i < 0 {
		t.Fatalf("no such entry in %q", rows)
	}
	for what, edited := range map[string]string{"another word": strings.Replace(rows[i], "reason 2", "reason 9", 1), "another entry in its place": rows[i+1]} {
		if err := c.LSet(t.Context(), key, int64(i), edited).Err(); err != nil {
			t.Fatal(err)
		}
		out, errs, code := n.Run("audit", "verify")
		if code != 1 || !strings.Contains(out+errs, fmt.Sprintf("entry %d", i+1)) {
			t.Errorf("%s: exit %d, entry %d was edited: %s%s", what, code, i+1, out, errs)
		}
	}
	if err := c.LSet(t.Context(), key, int64(i), rows[i]).Err(); err != nil {
		t.Fatal(err)
	}
	if out := n.command("audit", "verify"); !strings.Contains(out, "unbroken") {
		t.Error(out)
	}
}
