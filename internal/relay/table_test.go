package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/filter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// behaviour is one way for a server behind to answer two recipients, one@ and two@ of each
// policy. What it means is written a second time, in plain words, for the oracle:
//
//	pre   the class of the answer before the dot, for one and two
//	post  the class of the answer to the dot, for one and two; 'l' = connection lost
type behaviour struct {
	name      string
	said      said
	pre, post string
}

func twos(answer string) map[string]string {
	return map[string]string{"two@p.x": answer, "two@q.x": answer, "two@p.y": answer, "two@q.y": answer}
}

func behaviours() []behaviour {
	var all []behaviour
	add := func(name, pre, post string, s said) { all = append(all, behaviour{name, s, pre, post}) }
	add("ok", "22", "22", said{})
	add("no connection", "44", "--", said{connect: true})
	for _, class := range []string{"4", "5"} {
		no := class + "50 " + class + ".2.1 no"
		add(class+"xx at MAIL", class+class, "--", said{mail: no})
		add(class+"xx at RCPT", class+class, "--", said{rcpt: no})
		add(class+"xx at RCPT for two", "2"+class, "2-", said{rcptFor: twos(no)})
		add(class+"xx at DATA", class+class, "--", said{data: no})
		add(class+"xx at the dot", "22", class+class, said{dot: no})
		add("LMTP, "+class+"xx for two", "22", "2"+class, said{lmtp: true, dotFor: twos(no)})
	}
	add("LMTP, 4xx and 5xx", "22", "45", said{lmtp: true, dot: "452 4.2.2 full", dotFor: twos("550 5.1.1 none")})
	add("lost in the body", "44", "--", said{cutBody: true})
	add("lost after the dot", "22", "ll", said{lostDot: true})
	add("LMTP, lost after one answer", "22", "2l", said{lmtp: true, lostAt: 1})
	return all
}

// rcpt is one recipient as the oracle sees it.
type rcpt struct {
	address   string
	action    filter.Action
	pre, post byte
}

// verdict of the oracle: the class of the answer and each recipient's fate.
type ruling struct {
	class byte
	fate  map[string]string
}

// oracle states the rule of step 10 from the recipients alone.
func oracle(rs []rcpt) ruling {
	everybody := func(class byte, fate string) ruling {
		f := map[string]string{}
		for _, r := range rs {
			f[r.address] = fate
		}
		return ruling{class, f}
	}
	is := func(ok func(r rcpt) bool) func() bool { return func() bool { return slices.ContainsFunc(rs, ok) } }
	relayed := func(r rcpt) bool { return r.action == filter.Accept || r.action == filter.Tag }
	last := func(r rcpt) byte {
		if r.pre != '2' {
			return r.pre
		}
		return r.post
	}
	anyDefer := is(func(r rcpt) bool { return r.action == filter.Defer })
	anyNotReject := is(func(r rcpt) bool { return r.action != filter.Reject })
	anyRelayed := is(relayed)
	early4 := is(func(r rcpt) bool { return relayed(r) && r.pre == '4' })
	someTaken := is(func(r rcpt) bool { return relayed(r) && last(r) == '2' })
	some4 := is(func(r rcpt) bool { return relayed(r) && (last(r) == '4' || last(r) == 'l') })
	someOpen := is(func(r rcpt) bool { return relayed(r) && r.pre == '2' })
	switch {
	case anyDefer():
		return everybody('4', "deferred")
	case !anyNotReject():
		return everybody('5', "rejected")
	case early4():
		return everybody('4', "deferred")
	case anyRelayed() && !someOpen():
		return everybody('5', "rejected")
	case anyRelayed() && !someTaken() && some4():
		return everybody('4', "deferred")
	case anyRelayed() && !someTaken():
		return everybody('5', "rejected")
	}
	out := ruling{'2', map[string]string{}}
	for _, r := range rs {
		switch {
		case r.action == filter.Quarantine:
			out.fate[r.address] = "held quarantine"
		case r.action == filter.Reject:
			out.fate[r.address] = "held rejected-beside"
		case last(r) == '2':
			out.fate[r.address] = "delivered"
		case last(r) == '4':
			out.fate[r.address] = "outbox"
		case last(r) == 'l':
			out.fate[r.address] = "outbox ambiguous"
		default:
			out.fate[r.address] = "held backend-refused"
		}
	}
	return out
}

// TestEveryCombination is step 10 in a table: four verdicts for each of two policies, every
// behaviour of each of two servers, two recipients for each policy at each server.
func TestEveryCombination(t *testing.T) {
	verdicts := []filter.Verdict{accept, tag, keep, reject, wait}
	n := 0
	for _, p := range verdicts {
		for _, q := range verdicts {
			if q.Action == filter.Tag && p.Action != filter.Accept { // tag is here for two header blocks beside accept
				continue
			}
			for _, x := range behaviours() {
				for _, y := range behaviours() {
					n++
					tableCase(t, p, q, x, y)
				}
			}
		}
	}
	t.Logf("%d combinations", n)
}

func tableCase(t *testing.T, p, q filter.Verdict, x, y behaviour) {
	t.Helper()
	name := fmt.Sprintf("p %s, q %s, x %s, y %s", p.Action, q.Action, x.name, y.name)
	w := newWorld(t)
	w.server("x").said, w.server("y").said = x.said, y.said
	var to []string
	var rs []rcpt
	for _, who := range []string{"one@p.x", "two@p.x", "one@q.x", "two@q.x", "one@p.y", "two@p.y", "one@q.y", "two@q.y"} {
		to = append(to, who)
		v, b, i := p, x, 0
		if who[4] == 'q' {
			v = q
		}
		if who[6] == 'y' {
			b = y
		}
		if who[:3] == "two" {
			i = 1
		}
		rs = append(rs, rcpt{who, v.Action, b.pre[i], b.post[i]})
	}
	j := job(map[string]filter.Verdict{"p": p, "q": q}, to...)
	want := oracle(rs)
	o := w.relay.Deliver(t.Context(), j)
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s: %s\nreply %s\n%swant %c %v\nevents %v", name, fmt.Sprintf(format, args...), o.Reply, fates(o), want.class, want.fate, w.events)
	}
	if o.Reply[0] != want.class {
		fail("the answer is of the wrong class")
	}
	checkFates(w, o, want, fail)
	checkWorld(w, o, want, rs, fail)
	drain(t, w, want, fail)
}

// checkFates holds the told fates against the oracle and against what really happened.
func checkFates(w *world, o filter.Outcome, want ruling, fail func(string, ...any)) {
	var held []string
	for _, f := range o.Fates {
		got := string(f.State)
		if f.State == filter.Held {
			got += " " + w.holds.byID[f.Hold].class
			held = append(held, w.holds.byID[f.Hold].class+" "+f.Recipient)
		}
		if f.State == filter.InOutbox && f.Ambiguous {
			got += " ambiguous"
		}
		if got != want.fate[f.Recipient] {
			fail("%s is told %q", f.Recipient, got)
		}
	}
	slices.Sort(held)
	kept, provisional := w.holds.kept()
	if !slices.Equal(kept, held) || provisional != 0 {
		fail("kept %v, told %v, %d left provisional", kept, held, provisional)
	}
	refusedHolds := 0
	for _, k := range kept {
		if strings.HasPrefix(k, "backend-refused") {
			refusedHolds++
		}
	}
	if len(w.alerts) != refusedHolds {
		fail("%d alerts for %d refused", len(w.alerts), refusedHolds)
	}
}

// checkWorld holds what the servers saw against the promise: nothing lost, nothing delivered
// that was answered 4xx or 5xx, bytes as judged, holds before dots.
func checkWorld(w *world, o filter.Outcome, want ruling, rs []rcpt, fail func(string, ...any)) {
	for _, r := range rs {
		s := w.server(r.address[6:])
		got := s.delivered[r.address]
		lost := r.post == 'l'
		switch fate := want.fate[r.address]; {
		case fate == "delivered" && got != 1:
			fail("%s got %d copies", r.address, got)
		case fate != "delivered" && got != 0 && !lost:
			fail("%s got %d copies yet is %s", r.address, got, fate)
		}
	}
	for _, s := range w.servers {
		for _, from := range s.from {
			if from != "a@sender.example" {
				fail("mail from <%s>: a bounce", from)
			}
		}
		for _, b := range s.bodies {
			if !bytes.HasSuffix(b, []byte("\r\n"+without)) {
				fail("body %q", b)
			}
		}
		if s.open != s.ended+s.aborted {
			fail("%d transactions opened, %d ended, %d given up", s.open, s.ended, s.aborted)
		}
	}
	firstDot := slices.Index(w.events, "dot")
	if firstDot >= 0 {
		for _, late := range []string{"354", "body"} {
			if slices.Contains(w.events[firstDot:], late) {
				fail("a final dot before all groups were ready")
			}
		}
		firstBody := slices.Index(w.events, "body")
		for i, e := range w.events {
			if e == "354" && i > firstBody {
				fail("a body before all said 354")
			}
		}
	}
	if want.class != '2' && (w.outbox.Len() != 0 || slices.Contains(w.events, "confirm")) {
		fail("something was kept for mail the sender still owns")
	}
}

// drain lets the outbox work against servers that are healthy again: each left over recipient
// gets exactly one copy more, and nobody else any.
func drain(t *testing.T, w *world, want ruling, fail func(string, ...any)) {
	before := map[string]int{}
	for _, s := range w.servers {
		s.said = said{}
		for to, n := range s.delivered {
			before[to] = n
		}
	}
	now := time.Now().Add(time.Hour)
	for {
		e, _, ok, err := w.outbox.Claim(context.Background(), now, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		body, err := w.outbox.Body(context.Background(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		for i, res := range w.relay.Send(context.Background(), e, body) {
			if !res.Done {
				fail("left over mail for %s: %s", e.To[i].Address, res.Reply)
			}
		}
		if err := w.outbox.End(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	for to, fate := range want.fate {
		more := w.server(to[6:]).delivered[to] - before[to]
		if owed := strings.HasPrefix(fate, "outbox"); owed && more != 1 || !owed && more != 0 {
			fail("%s (%s) got %d copies more from the outbox", to, fate, more)
		}
	}
	for _, s := range w.servers {
		for _, b := range s.bodies {
			if !bytes.HasSuffix(b, []byte("\r\n"+without)) {
				fail("body %q", b)
			}
		}
	}
}
