// Package campaign_test breaks what stands around the gateway while mail flows. With
// POSTERN_CAMPAIGN=1 every fault lasts longer than every limit of the gateway, and there is
// more of everything; without it the same tests run in a short form.
package campaign_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/test/rig"
	"postern/test/world"
)

func long() bool { return os.Getenv("POSTERN_CAMPAIGN") == "1" }

// pick is the campaign's value or that of the short form.
func pick[T any](campaign, short T) T {
	if long() {
		return campaign
	}
	return short
}

// lasting is how long each fault lasts.
func lasting() time.Duration { return pick(75*time.Second, 5*time.Second) }

// check is what holds after every fault: nothing lost, no refusal, everybody answered in
// time, and each second copy one that the gateway itself had counted.
func check(t *testing.T, r *rig.Rig, out rig.Ridden) {
	t.Helper()
	excused := r.Excuse()
	rep := r.Book.Report(r.Kept()...)
	t.Logf("%s\n%s\nambiguous by the gateway's own count: %d", out.Result, rep, excused)
	if !rep.OK() || len(rep.Unfinished)+len(rep.Ambiguous) > 0 {
		t.Errorf("the book does not balance: ambiguous %v, unfinished %d", rep.Ambiguous, len(rep.Unfinished))
	}
	if rep.Refused > 0 {
		t.Errorf("%d copies were refused though only the world around was broken", rep.Refused)
	}
	if len(out.Late) > 0 || out.Result.Slowest > rig.Beyond+2*time.Second {
		t.Errorf("answered too late, %v before the final dot: %v", out.Result.Slowest, out.Late)
	}
	for _, f := range out.Felt {
		if f.Recovery > 10*time.Second {
			t.Errorf("%s", f)
		}
	}
	if _, bad := r.Verify(); len(bad) > 0 {
		t.Errorf("damaged holds: %v", bad)
	}
}

func load(r *rig.Rig, seed uint64) ledger.Load {
	l := r.Load(seed, 0)
	l.Parallel, l.Make = pick(50, 20), rig.Harmless(seed, 50<<10)
	return l
}

// relayed reports whether an answer is that of the server behind.
func relayed(_ ledger.Message, reply string) bool {
	return reply[0] == '2' && !strings.Contains(reply, "held for review")
}

// taken reports whether mail was taken at all: no mail is while it cannot be scanned.
func taken(_ ledger.Message, reply string) bool { return reply[0] == '2' }

func TestPostfixFails(t *testing.T) {
	t.Parallel()
	clamd := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	p := world.StartPostfix(t, rig.Mailboxes(), "local_header_rewrite_clients =")
	r := rig.New(t, rig.Options{Behind: p.Addr, Clamd: clamd.Endpoint})
	r.Start()
	r.Ready()
	out := r.Ride(t, load(r, 11), lasting(),
		rig.Fault{Name: "Postfix stopped", Break: p.Stop, Heal: p.Start, Well: relayed},
		rig.Fault{Name: "Postfix hung", Break: p.Hang, Heal: p.Go, Well: relayed},
		rig.Fault{Name: "Postfix restarted", Brief: true, Break: p.Stop, Heal: p.Start, Well: relayed},
	)
	r.Collect(p)
	check(t, r, out)
}

func TestClamdFails(t *testing.T) {
	t.Parallel()
	clamd := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	b := mailtest.NewBackend(t, mailtest.Script{})
	r := rig.New(t, rig.Options{Behind: b.Addr(), Clamd: clamd.Endpoint, Knobs: pick("", "timeout: 2s, ")})
	b.Set(r.Behind(mailtest.Script{Mailboxes: rig.Mailboxes()}))
	r.Start()
	r.Ready()
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	start := func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(clamd.Start(ctx))
	}
	out := r.Ride(t, load(r, 12), lasting(),
		rig.Fault{Name: "clamd stopped", Break: clamd.Stop, Heal: start, Well: taken},
		rig.Fault{Name: "clamd hung", Break: func() { must(clamd.Pause()) }, Heal: func() { must(clamd.Resume()) }, Well: taken},
		rig.Fault{Name: "clamd restarted", Brief: true, Break: clamd.Stop, Heal: start, Well: taken},
	)
	check(t, r, out)
	if out.Felt[0].Put == 0 {
		t.Error("nobody noticed that clamd was away")
	}
}

// Every message comes from a domain of its own, so that no cached answer hides the fault.
func TestNameServerFails(t *testing.T) {
	t.Parallel()
	var proved, unproved atomic.Int64
	b := mailtest.NewBackend(t, mailtest.Script{})
	r := rig.New(t, rig.Options{Behind: b.Addr()})
	s := r.Behind(mailtest.Script{Mailboxes: rig.Mailboxes()})
	book := s.Done
	s.Done = func(tx mailtest.Transaction) {
		if strings.Contains(string(tx.Body[:min(4096, len(tx.Body))]), "spf=pass") {
			proved.Add(1)
		} else {
			unproved.Add(1)
		}
		book(tx)
		b.Forget()
	}
	b.Set(s)
	if err := r.Internet.Set("*.sender.example", "MX 10 load.example", "TXT v=spf1 ip4:127.0.0.1 -all"); err != nil {
		t.Fatal(err)
	}
	r.Start()
	r.Ready()
	l := load(r, 13)
	plain := l.Make
	l.Make = func(n int) ledger.Message {
		m := plain(n)
		m.From = fmt.Sprintf("load@n%d.sender.example", n)
		return m
	}
	// An answer after the fault shows nothing; a message that SPF vouches for again does.
	var mark atomic.Int64
	well := func(ledger.Message, string) bool { return proved.Load() > mark.Load() }
	fault := func(name string, f ...mailtest.DNSFault) rig.Fault {
		return rig.Fault{Name: name, Well: well, Break: func() { r.Internet.Fault("*", f...) }, Heal: func() {
			r.Internet.Fault("*")
			mark.Store(proved.Load())
		}}
	}
	out := r.Ride(t, l, lasting(),
		fault("DNS silent", mailtest.DNSFault{Silent: true}),
		fault("DNS slow", mailtest.DNSFault{Delay: 3 * time.Second}),
		fault("DNS SERVFAIL", mailtest.DNSFault{Rcode: 2}),
	)
	check(t, r, out)
	if unproved.Load() == 0 {
		t.Error("nobody noticed that the name server was away")
	}
	for _, f := range out.Felt {
		if f.Taken == 0 && long() {
			t.Errorf("no mail was taken: %s", f)
		}
	}
}
