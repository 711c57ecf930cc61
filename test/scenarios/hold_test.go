package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/home"
	"postern/internal/mailtest"
	"postern/internal/mailtest/mmdb"
	"postern/internal/relay/outbox"
	"postern/quarantine"
	"postern/test/world"
)

// outTo counts what went out to recipients with a word in their address.
func (n *node) outTo(word string) (count int) {
	for _, x := range n.Out.Transactions() {
		if x.Accepted() && slices.ContainsFunc(x.To, func(to string) bool { return strings.Contains(to, word) }) {
			count++
		}
	}
	return count
}

// held is what lies in the quarantine for a measure.
func (n *node) held() int {
	n.t.Helper()
	page := told[quarantine.Page](n, "quarantine.list", calls.Search{Limit: 1000})
	return len(slices.DeleteFunc(page.Holds, func(h quarantine.Hold) bool { return h.Class != quarantine.ByMeasure || h.State != quarantine.Held }))
}

// A hold that nobody reviewed ends after four hours: what lay there is looked at again and goes out
// as slowly as a throttled account may send; nothing comes back to anybody, and the audit says it.
func TestScenario18HoldThatNobodyReviewed(t *testing.T) {
	t.Parallel()
	const shop = "shop@second.example"
	const mails30, perHour = 30, 20
	bothHomes(t, func(t *testing.T, redis bool) {
		n, _ := senders(t, plan{Redis: redis, Abuse: acting}, shop)
		n.before(func(s *home.Home, now time.Time) {
			enabled(t, s, now)
			// Verdicts and dead addresses, but not very much: that asks for a hold.
			mails{account: shop, n: 20, to: 3, every: 2 * time.Minute, action: "quarantine", state: "refused", reply: "550 5.1.1 no such user"}.fill(t, s.Sent, now)
		})
		n.serve()
		n.due()
		all := n.standing(shop)
		if len(all) != 1 || all[0].Level != abuse.M2 || !all[0].Auto || all[0].Until.Sub(all[0].At) != 4*time.Hour {
			t.Fatalf("%+v", all)
		}
		s := n.signIn(shop, ownIP)
		for i := range mails30 {
			text := "how are you?"
			if i == 7 {
				text = "our new word is lottery"
			}
			s.must(shop, []string{fmt.Sprintf("held%d@far.example", i)}, n.letter(shop, "held@far.example", fmt.Sprint("Letter ", i), text))
		}
		if got := n.held(); got != mails30 || n.outTo("held") != 0 {
			t.Fatalf("%d are held, %d went out", got, n.outTo("held"))
		}
		// What is found out meanwhile counts when it is looked at again.
		n.WriteFile("rules.d/more.yaml", "patterns:\n  - {id: LOTTERY, describe: A lottery, in: body, match: 'new word is lottery', action: quarantine, tests: {hit: [\"new word is lottery\"], miss: [\"hello\"]}}\n")
		n.call("reload", nil, nil)

		n.pass(all[0].Until.Sub(n.Clock.Now()) - 10*time.Minute)
		if got := n.level(shop); got != abuse.M2 || n.outTo("held") != 0 {
			t.Errorf("before its time is over: %s, %d went out", got, n.outTo("held"))
		}
		n.pass(10*time.Minute + time.Second)
		ended := n.Clock.Now()
		if got := n.level(shop); got != abuse.M1 {
			t.Errorf("after four hours: %s", got)
		}
		for range 10 {
			n.pass(15 * time.Minute)
			since := n.Clock.Now().Sub(ended)
			if most := 2 + int(since*perHour/time.Hour); n.outTo("held") > most {
				t.Errorf("%d went out in %v, that is faster than %d an hour", n.outTo("held"), since, perHour)
			}
		}
		n.await("what was held goes out", func() bool { return n.outTo("held") == mails30-1 })
		if m := told[measure.Measure](n, "measure.show", calls.ID{ID: all[0].ID}); m.State != measure.Removed || m.Ended == nil || m.Ended.Actor != "postern" {
			t.Errorf("%+v", m)
		}
		page := told[quarantine.Page](n, "quarantine.list", calls.Search{Limit: 1000})
		i := slices.IndexFunc(page.Holds, func(h quarantine.Hold) bool { return slices.Contains(h.To, "held7@far.example") })
		if i < 0 || page.Holds[i].State != quarantine.Held {
			t.Errorf("what is no longer clean: %d %d", i, len(page.Holds))
		}
		for _, b := range []*mailtest.Backend{n.In, n.Out} {
			for _, x := range b.Transactions() {
				if slices.Contains(x.To, shop) {
					t.Errorf("something came back:\n%s", x.Body)
				}
			}
		}
		said := map[string]bool{}
		for _, e := range n.audit() {
			if strings.Contains(e.Object, shop) {
				said[e.Action] = true
			}
		}
		for _, action := range []string{"measure-hold", "measure-undo", "measure-throttle", "held-mail-kept", "held-mail-released"} {
			if !said[action] {
				t.Errorf("the audit has no %s: %v", action, said)
			}
		}
	})
}

// An account in other hands, which writes to hundreds of strangers from four countries, is suspended
// within the minute: its open session ends at the next recipient, what waits stays here, its case
// is urgent; its mailbox goes on.
func TestScenario14AccountInOtherHands(t *testing.T) {
	t.Parallel()
	const anna = "anna@example.com"
	dir := sharedFolder(t)
	file := filepath.Join(dir, "country.mmdb")
	mmdb.Write(t, file, map[string]mmdb.Map{"203.0.113.0/24": mmdb.Country("DE"), "198.51.100.0/24": mmdb.Country("BR"), "192.0.2.0/25": mmdb.Country("VN"), "192.0.2.128/25": mmdb.Country("NG")})
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	n, _ := senders(t, plan{
		Abuse: fmt.Sprintf(`measures: {mode: "on", geo_country: %q}, connectors: {dovecot_deny: {prefix: %s/deny., required: true}}`, file, dir),
		Out:   mailtest.Script{LMTP: true, EndFor: map[string]mailtest.Step{"later@far.example": {Reply: "451 4.3.0 not now"}}},
	}, anna)
	n.Write(strings.Replace(n.yaml(n.plan), "tls: required,", "protocol: lmtp, tls: required,", 1)) // a copy can wait by itself
	n.before(func(s *home.Home, now time.Time) {
		enabled(t, s, now)
		mails{account: anna, n: 100, to: 1, every: 6 * time.Hour, recipients: func(n, _ int) string { return fmt.Sprintf("c%d@far.example", n%20) }}.fill(t, s.Sent, now.Add(-time.Hour))
	})
	n.serve()
	sasl := world.StartSASL(t, dir+"/deny.", "", "")
	n.due()
	if got := n.level(anna); got != abuse.M0 {
		t.Fatalf("before: %s", got)
	}
	open := n.signIn(anna, ownIP)
	open.must(anna, []string{"friend@far.example", "later@far.example"}, n.letter(anna, "friend@far.example", "An old letter", "how are you?"))

	var last time.Time
	for i, client := range []string{"203.0.113.9:1000", "198.51.100.9:1000", "192.0.2.9:1000", "192.0.2.200:1000"} {
		s := n.signIn(anna, client)
		for j := range 10 {
			var to []string
			for k := range 10 {
				to = append(to, fmt.Sprintf("victim%d.%d.%d@far.example", i, j, k))
			}
			text := "have a look at our offer"
			if j%2 == 0 {
				text = "buy cheap pills"
			}
			if code, answer := s.send(anna, to, n.letter(anna, to[0], fmt.Sprintf("Offer %d.%d", i, j), text)); code >= 400 && n.level(anna) == abuse.M0 {
				t.Fatalf("%d %s", code, answer)
			}
			last = time.Now()
		}
		_ = s.Close()
	}
	n.await("the account is suspended", func() bool { return n.level(anna) == abuse.M3 })
	t.Logf("suspended %v after its last mail, with nobody's help (60 s are promised)", time.Since(last).Round(time.Millisecond))
	all := n.standing(anna)
	if len(all) != 1 || !all[0].Auto || all[0].Level != abuse.M3 || len(all[0].Families) < 2 {
		t.Fatalf("%+v", all)
	}
	n.await("the connector has proved it", func() bool { return n.standing(anna)[0].State == measure.Active })
	for _, rule := range []string{"countries", "new-recipients", "verdict"} {
		if !slices.Contains(all[0].Rules, rule) {
			t.Errorf("the rules were %v: %s is missing", all[0].Rules, rule)
		}
	}
	open.refused("the open session", anna)
	n.signIn(anna, ownIP).refused("a new session", anna)

	n.Out.Change(func(s *mailtest.Script) { s.EndFor = nil })
	tried := n.outTo("later@")
	for range 3 { // what waits would be tried again by now
		n.pass(time.Hour)
	}
	waiting := told[[]outbox.Entry](n, "outbox.list", calls.Paging{Limit: 100})
	i := slices.IndexFunc(waiting, func(e outbox.Entry) bool {
		return e.Account == anna && len(e.To) == 1 && e.To[0].Address == "later@far.example"
	})
	if i < 0 || !strings.Contains(waiting[i].LastReply, "kept back") || n.outTo("later@") != tried {
		t.Errorf("the queue: %d went out, %+v", n.outTo("later@"), waiting)
	}
	n.writes("friend@far.example", anna, n.letter("friend@far.example", anna, "Are you well?", "I got strange mail from you."))
	n.await("inbound mail arrives", func() bool {
		return slices.ContainsFunc(n.In.Transactions(), func(x mailtest.Transaction) bool {
			return slices.Contains(x.To, anna) && strings.Contains(string(x.Body), "Are you well?")
		})
	})
	if sasl.TestLogin("submission", anna) || !sasl.TestLogin("imap", anna) {
		t.Error("Dovecot: sending is not off, or reading is")
	}
	if c := n.caseOf(anna); c.Priority > 2 || all[0].Case != c.ID {
		t.Errorf("its case: %+v", c)
	}

	n.command("measure", "undo", "--cleared", "--reason", "the password was changed", all[0].ID)
	n.pass(2 * time.Minute)
	n.await("what waited goes out when the measure has ended", func() bool { n.call("clock.due", nil, nil); return n.outTo("later@") == tried+1 })
}
