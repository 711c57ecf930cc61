package scenarios

import (
	"fmt"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/home"
	"postern/test/world"
)

// atPostfix opens a session of an account at a Postfix; the password there is "secret".
func (n *node) atPostfix(p *world.Postfix, account string) *session {
	n.t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr, patience)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Minute))
	s, err := smtp.NewClient(c, "localhost")
	if err != nil {
		n.t.Fatal(err)
	}
	if err := s.Hello("laptop.example.com"); err != nil {
		n.t.Fatal(err)
	}
	if err := s.Auth(smtp.PlainAuth("", account, "secret", "localhost")); err != nil {
		n.t.Fatal(err)
	}
	return &session{n: n, Client: s}
}

// recipient begins a message and returns the answer to its recipient.
func (s *session) recipient(from string) (int, string) {
	s.n.t.Helper()
	for _, line := range []string{"RSET", "MAIL FROM:<" + from + ">"} {
		if code, text := s.say("%s", line); code != 250 {
			return code, text
		}
	}
	return s.say("RCPT TO:<bob@example.com>")
}

// refused checks that the account is kept out for what it is.
func (s *session) refused(where, from string) {
	s.n.t.Helper()
	if code, text := s.recipient(from); code/100 != 5 || !strings.Contains(text, "5.7.1") {
		s.n.t.Errorf("%s: %s gets %d %s", where, from, code, text)
	}
}

// flows checks that the account's mail is taken.
func (s *session) flows(where, from string) {
	s.n.t.Helper()
	if code, text := s.recipient(from); code != 250 {
		s.n.t.Errorf("%s: %s gets %d %s", where, from, code, text)
	}
}

// keysOf lists a table as Postfix reads it.
func keysOf(t *testing.T, table string) (keys []string) {
	t.Helper()
	out, err := exec.Command("/usr/sbin/postmap", "-s", table).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		keys = append(keys, strings.Fields(line)[0])
	}
	slices.Sort(keys)
	return keys
}

// sharedFolder is one that Postfix and Dovecot may look into.
func sharedFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "conn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	world.ForGroup(t, dir, "dovecot")
	return dir
}

// A suspension is in force at our own listener at the next recipient of an open session, at a
// Postfix through the policy service, and there by the table of this machine while Postern is dead:
// then mail of others flows, and nothing automatic is added however long that lasts.
func TestScenario20SuspensionWithPosternKilled(t *testing.T) {
	t.Parallel()
	const anna, bert, loud, late = "anna@example.com", "bert@example.com", "loud@second.example", "late@third.example"
	dir := sharedFolder(t)
	policy, table := "unix:"+dir+"/policy", "lmdb:"+dir+"/suspended"
	n, _ := senders(t, plan{Abuse: fmt.Sprintf("%s, connectors: {postfix_policy: {addr: %q}, postfix_table: {map: %q, required: true}, dovecot_deny: {prefix: %s/deny., required: true}}", acting, policy, table, dir)}, anna, bert, loud, late)
	n.before(func(s *home.Home, now time.Time) { enabled(t, s, now); abuser(t, s, now, loud) })
	n.serve()
	sasl := world.StartSASL(t, "", "", "")
	n.await("the table is there", func() bool { _, err := os.Stat(dir + "/suspended.lmdb"); return err == nil })
	asks, reads := world.StartSubmission(t, sasl, policy, ""), world.StartSubmission(t, sasl, policy, table)
	own, byPolicy, byTable := n.signIn(anna, ownIP), n.atPostfix(asks, anna), n.atPostfix(reads, anna)
	others := []*session{n.atPostfix(asks, bert), n.atPostfix(reads, bert)}
	for _, s := range []*session{own, byPolicy, byTable} {
		s.flows("before", anna)
	}

	began := time.Now()
	n.command("account", "suspend", "--reason", "spam was proved", anna)
	said := time.Now()
	own.refused("our own listener, the next recipient of an open session", anna)
	atOwn := time.Now()
	byPolicy.refused("Postfix through the policy service, in an open session", anna)
	t.Logf("suspended in %v by the command; our own listener %v after it, Postfix through the policy service %v after it (1 s is promised)", said.Sub(began), atOwn.Sub(said), time.Since(said))
	byTable.refused("Postfix with table and policy service", anna)
	others[0].flows("Postfix", bert)
	n.due()
	for _, account := range []string{anna, loud} {
		all := n.standing(account)
		if len(all) != 1 || all[0].State != measure.Active || all[0].Level != abuse.M3 || all[0].Auto != (account == loud) {
			t.Fatalf("%s: %+v", account, all)
		}
	}
	before := keysOf(t, table)
	if !slices.Equal(before, []string{anna, loud}) {
		t.Fatalf("the table holds %v", before)
	}
	auto := n.atPostfix(reads, loud)

	n.Signal(syscall.SIGKILL)
	_ = n.Wait(patience)
	for _, s := range others {
		s.flows("with Postern killed", bert)
	}
	byTable.refused("with Postern killed, in an open session", anna)
	n.atPostfix(reads, anna).refused("with Postern killed, in a new session", anna)
	auto.refused("with Postern killed, an automatic measure", loud)
	byPolicy.flows("without the table the policy service says DUNNO", anna)
	for range 4 { // an hour in which somebody sends what asks for a suspension
		n.Clock.Move(15 * time.Minute)
		n.before(func(s *home.Home, now time.Time) { abuser(t, s, now, late) })
	}
	if now := keysOf(t, table); !slices.Equal(now, before) {
		t.Errorf("after an hour without Postern the table holds %v", now)
	}
	n.atPostfix(reads, late).flows("with Postern killed for an hour", late)
	auto.refused("after an hour", loud)
	n.before(func(s *home.Home, _ time.Time) {
		if all, _, err := s.Accounts.Accounts(t.Context()); err != nil || len(all) != 2 {
			t.Errorf("after an hour without Postern: %+v, %v", all, err)
		}
	})

	n.serve()
	n.command("account", "restore", "--reason", "it was a test", anna)
	n.await("the account sends again", func() bool { code, _ := byTable.recipient(anna); return code == 250 })
	byPolicy.flows("after the end of the measure", anna)
	auto.refused("when Postern is back", loud)
}

// While the store is away for an hour what is in force stays so, at our listener and at Postfix,
// and nothing automatic is added.
func TestScenario20DeskDownForAnHour(t *testing.T) {
	t.Parallel()
	const anna, loud, late = "anna@example.com", "loud@second.example", "late@third.example"
	r := redisAt(t)
	n, _ := senders(t, plan{Store: onRedis(r) + ", durability: strict", Abuse: acting}, anna, loud, late)
	n.before(func(s *home.Home, now time.Time) {
		enabled(t, s, now)
		abuser(t, s, now, loud)
		mails{account: late, n: 2, to: 1, every: time.Minute}.fill(t, s.Sent, now)
	})
	n.serve()
	n.due()
	n.command("account", "suspend", "--reason", "spam was proved", anna)
	for _, account := range []string{anna, loud} {
		n.signIn(account, ownIP).refused("before", account)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	began, taken, last := time.Now(), 0, ""
	for range 2 {
		n.Clock.Move(30 * time.Minute)
		for _, account := range []string{anna, loud} {
			n.signIn(account, ownIP).refused("with the store away", account)
		}
		if n.try("clock.due", nil, nil) == nil {
			t.Error("what is due was done without the store")
		}
		s := n.signIn(late, ownIP)
		for i := range 2 {
			var to []string
			for j := range 20 {
				to = append(to, fmt.Sprintf("r%d.%d@far.example", i, j))
			}
			code, text := s.send(late, to, n.letter(late, to[0], fmt.Sprint("Offer ", i), "buy cheap pills"))
			if code == 250 {
				taken++
			}
			last = text
		}
		s.flows("with the store away", late)
	}
	t.Logf("%d offers were taken in the hour without the store (the last: %s), which took %v", taken, last, time.Since(began).Round(time.Millisecond))
	if err := r.Continue(); err != nil {
		t.Fatal(err)
	}
	n.await("the store is back", func() bool { return n.try("account.why", calls.AccountChange{Name: anna}, nil) == nil })
	for account, level := range map[string]abuse.Level{anna: abuse.M3, loud: abuse.M3, late: abuse.M0} {
		if got := n.level(account); got != level {
			t.Errorf("%s is at %s", account, got)
		}
	}
}
