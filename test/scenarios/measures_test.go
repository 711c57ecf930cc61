package scenarios

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/home"
)

// A business mail to five addresses that all are dead is no abuse: five of five is no rate. Who
// really mails a dead list is found by the same look.
func TestScenario15DeadAddressesOfABusinessMail(t *testing.T) {
	t.Parallel()
	const clerk, agent, list = "clerk@example.com", "agent@second.example", "list@third.example"
	n, _ := senders(t, plan{Abuse: acting, Out: refusesAt("gone", "550 5.1.1 no such user")}, clerk, agent, list)
	n.before(func(s *home.Home, now time.Time) {
		enabled(t, s, now)
		// One writes for the first time ever, the other has written to partners for a month.
		mails{account: agent, n: 200, to: 1, every: 3 * time.Hour, recipients: func(n, _ int) string { return fmt.Sprintf("c%d@far.example", n%20) }}.fill(t, s.Sent, now)
		mails{account: list, n: 20, to: 10, every: time.Minute, state: "refused", reply: "550 5.1.1 no such user", action: "quarantine"}.fill(t, s.Sent, now)
	})
	n.serve()
	to := []string{"gone1@far.example", "gone2@far.example", "gone3@far.example", "gone4@far.example", "gone5@far.example"}
	for _, account := range []string{clerk, agent} {
		code, text := n.tries(account, to...)
		t.Logf("%s: %d %s", account, code, text)
	}
	n.due()
	if got := n.level(list); got < abuse.M2 {
		t.Errorf("who sends to a dead list is at %s: %+v", got, n.why(list).Judged)
	}
	for _, account := range []string{clerk, agent} {
		why := n.why(account)
		if len(n.measures(account)) != 0 || why.Account.Effective() != abuse.M0 || len(why.Judged.Signals) != 0 {
			t.Errorf("%s: %+v", account, why)
		}
		if code, text := n.tries(account, "partner@far.example"); code != 250 {
			t.Errorf("%s afterwards: %d %s", account, code, text)
		}
	}
}

// A fault of ours that takes everything for spam stops at five accounts of a thousand, pages
// once, and lets the others send.
func TestScenario16BreakerStopsAFaultOfOurs(t *testing.T) {
	t.Parallel()
	const tenants, active = 50, 1000
	hit := make([]string, tenants)
	for i := range hit {
		hit[i] = fmt.Sprintf("shop@tenant%02d.example", i)
	}
	n, page := senders(t, plan{Abuse: acting}, hit...)
	n.before(func(s *home.Home, now time.Time) {
		enabled(t, s, now)
		var filled sync.WaitGroup
		for part := range 10 {
			filled.Go(func() {
				for i := part; i < active-tenants; i += 10 {
					mails{account: fmt.Sprintf("u%d@tenant%02d.example", i, i%tenants), n: 1, to: 1, every: time.Hour, action: "quarantine"}.fill(t, s.Sent, now)
				}
				for i := part; i < tenants; i += 10 {
					mails{account: hit[i], n: 15, to: 10, every: 3 * time.Minute, action: "quarantine"}.fill(t, s.Sent, now)
				}
			})
		}
		filled.Wait()
	})
	n.serve()
	n.due()
	state := told[calls.Automation](n, "automation.show", nil)
	if trip, ok := state.Trips[""]; !ok || len(state.Trips) != 1 || state.LastHour != 5 || trip.Missed < tenants-5 {
		t.Errorf("%+v", state)
	}
	suspended := map[string]bool{}
	for _, m := range n.standing("") {
		if m.Level >= abuse.M2 {
			suspended[m.Target] = true
		}
	}
	if len(suspended) != 5 {
		t.Errorf("%d accounts were held or suspended: %v", len(suspended), suspended)
	}
	for _, account := range hit {
		if code, text := n.tries(account, "friend@far.example"); (code == 250) == suspended[account] {
			t.Errorf("%s, suspended %v: %d %s", account, suspended[account], code, text)
		}
	}
	if got := len(n.Out.WaitTransactions(t, tenants-5)); got != tenants-5 {
		t.Errorf("%d messages went out", got)
	}
	n.await("somebody is paged", func() bool { return len(page.pages("breaker:")) > 0 })
	n.pass(10 * time.Minute)
	if all := page.pages("breaker:"); len(all) != 1 {
		t.Errorf("paged %d times: %+v", len(all), all)
	}
	if !slices.ContainsFunc(n.audit(), func(e entry) bool { return e.Action == "breaker-trip" }) {
		t.Error("the audit does not say that it tripped")
	}
	n.command("measure", "reset", "--reason", "the rule was wrong")
	n.await("the page is over", func() bool { return page.cleared("breaker:") })
}

// Whatever speaks against the desk's own address, it is throttled at most.
func TestScenario17ProtectedAccount(t *testing.T) {
	t.Parallel()
	const own, other = "abuse@example.com", "shop@second.example"
	bothHomes(t, func(t *testing.T, redis bool) {
		n, _ := senders(t, plan{Abuse: acting, Redis: redis}, own, other)
		n.before(func(s *home.Home, now time.Time) {
			enabled(t, s, now)
			abuser(t, s, now, own)
			abuser(t, s, now, other)
		})
		n.serve()
		n.due()
		if all := n.standing(other); len(all) != 1 || all[0].State != measure.Active || all[0].Level != abuse.M3 {
			t.Fatalf("the same of another account: %+v %+v %+v", all, n.why(other), told[calls.Automation](n, "automation.show", nil))
		}
		why := n.why(own)
		if why.Account.Effective() != abuse.M1 {
			t.Errorf("%+v", why.Account)
		}
		families := map[string]bool{}
		for _, s := range why.Judged.Signals {
			families[string(s.Family)] = true
		}
		if len(families) < 2 || why.Judged.Score < 60 {
			t.Errorf("too little speaks against it to prove anything: %+v", why.Judged)
		}
		for _, m := range n.measures(own) {
			if m.Level > abuse.M1 || !m.Auto {
				t.Errorf("%+v", m)
			}
		}
		if code, text := n.tries(own, "reporter@far.example"); code != 250 {
			t.Errorf("%d %s", code, text)
		}
	})
}

// Who presses the kill switch on one node takes all that no person asked for out of force on
// every node, and nothing else.
func TestScenario19KillSwitch(t *testing.T) {
	t.Parallel()
	const loud, judged, later = "loud@example.com", "judged@second.example", "later@third.example"
	r := redisAt(t)
	first, _ := senders(t, plan{Abuse: acting, Store: onRedis(r), Hostname: "mx1.example.com"}, loud, judged, later)
	second, _ := senders(t, plan{Abuse: acting, Store: onRedis(r), Clock: first.Clock, Hostname: "mx2.example.com"}, loud, judged, later)
	first.before(func(s *home.Home, now time.Time) {
		enabled(t, s, now)
		abuser(t, s, now, loud)
	})
	first.serve()
	second.serve()
	nodes := []*node{first, second}
	first.due()
	first.command("account", "suspend", "--reason", "a person looked at it", judged)
	for _, n := range nodes {
		n.await("both are suspended on "+n.plan.Hostname, func() bool { return n.level(loud) == abuse.M3 && n.level(judged) == abuse.M3 })
	}
	if code, text := second.tries(loud, "friend@far.example"); code < 500 {
		t.Fatalf("before: %d %s", code, text)
	}

	first.command("measure", "stop", "--reason", "it hits the wrong ones")
	pressed := time.Now()
	for _, n := range nodes {
		n.await("nothing automatic is in force on "+n.plan.Hostname, func() bool { return n.level(loud) == abuse.M0 })
		t.Logf("automation is at M0 on %s %v after the switch was pressed (5 s are promised)", n.plan.Hostname, time.Since(pressed).Round(time.Millisecond))
	}
	for _, n := range nodes {
		if code, text := n.tries(loud, "friend@far.example"); code != 250 {
			t.Errorf("%s keeps the account out: %d %s", n.plan.Hostname, code, text)
		}
		if code, text := n.tries(judged, "friend@far.example"); code < 500 {
			t.Errorf("%s lets out whom a person suspended: %d %s", n.plan.Hostname, code, text)
		}
	}
	third, _ := senders(t, plan{Store: onRedis(r), Clock: first.Clock, Hostname: "mx3.example.com"}, later)
	third.before(func(s *home.Home, now time.Time) { abuser(t, s, now, later) })
	for _, n := range nodes {
		n.due()
	}
	if all := first.measures(later); len(all) != 0 || len(first.why(later).Judged.Signals) < 2 {
		t.Errorf("with the switch pressed: %+v", all)
	}

	first.command("measure", "start", "--reason", "the rule was mended")
	for _, n := range nodes {
		n.await("automation is on again on "+n.plan.Hostname, func() bool { return n.level(loud) == abuse.M3 })
	}
	// The file on one node does the same there, without the store.
	second.WriteFile("state/abuse.stop", "")
	second.await("the file is seen", func() bool { return second.level(loud) == abuse.M0 && second.level(judged) == abuse.M3 })
}
