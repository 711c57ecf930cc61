package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/relay"
	"postern/internal/relay/answered"
)

// desk is a scripted abuse desk.
type desk struct {
	w         *world
	failPut   error
	failOK    error
	reports   map[string]string // key -> provisional, confirmed, dropped
	texts     []string
	to        []string
	findings  int
	confirmed int
}

func newDesk(w *world) *desk {
	d := &desk{w: w, reports: map[string]string{}}
	w.relay.Desk = d
	return d
}

func (d *desk) Provisional(_ context.Context, r relay.DeskRequest) (string, error) {
	if d.failPut != nil {
		return "", d.failPut
	}
	text, err := io.ReadAll(r.Message.Open())
	if err != nil {
		return "", err
	}
	if d.reports[r.Key] != "confirmed" {
		d.reports[r.Key] = "provisional"
	}
	d.texts, d.to, d.findings = append(d.texts, string(text)), r.To, len(r.Report.Findings)
	d.w.event("report")
	return r.Key, nil
}

func (d *desk) Confirm(_ context.Context, id string) error {
	if d.failOK != nil {
		return d.failOK
	}
	d.w.event("take")
	d.reports[id] = "confirmed"
	d.confirmed++
	return nil
}

func (d *desk) Drop(_ context.Context, id string) error {
	if d.reports[id] == "provisional" {
		d.reports[id] = "dropped"
	}
	return nil
}

func (d *desk) states() (all []string) {
	for _, s := range d.reports {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// deskJob is a job whose recipients at ".desk" are the desk's.
func deskJob(verdicts map[string]filter.Verdict, to ...string) relay.Job {
	j := job(verdicts, to...)
	for i := range j.Message.To {
		if j.Message.To[i].Backend == "desk" {
			j.Message.To[i].Backend = relay.DeskBackend
		}
	}
	return j
}

// Whatever the rules say of the desk's own copy, it is taken: byte for byte, once for all of
// the desk's addresses, and real before the answer.
func TestDeskTakesWhateverTheVerdict(t *testing.T) {
	for _, v := range []filter.Verdict{accept, tag, keep, reject, wait, {Action: filter.Reject, Keep: true}, {Action: filter.Accept, Strip: []string{"1"}}} {
		w := newWorld(t)
		d := newDesk(w)
		j := deskJob(one(v), "abuse@p.desk", "ABUSE@p.desk", "fbl@p.desk")
		j.Report.Findings = []filter.Finding{{Symbol: "X"}}
		o := w.relay.Deliver(t.Context(), j)
		if !strings.HasPrefix(o.Reply, "250 2.0.0 taken by the abuse desk, report ") || !slices.Equal(d.states(), []string{"confirmed"}) || d.texts[0] != original || len(d.to) != 3 || d.findings != 1 {
			t.Errorf("%v: %s, %v", v.Action, o.Reply, d)
		}
		for _, f := range o.Fates {
			if f.State != filter.Delivered || f.Backend != relay.DeskBackend || f.Hold != "" {
				t.Errorf("%v: %+v", v.Action, f)
			}
		}
		if len(w.holds.byID) != 0 {
			t.Errorf("%v: holds beside a report", v.Action)
		}
	}
}

// A message in a loop to its mailbox ends at the desk, where nothing goes on.
func TestDeskFaults(t *testing.T) {
	for name, c := range map[string]struct {
		put, ok error
		reply   string
	}{
		"full":          {relay.ErrDeskFull, nil, "452 4.3.1 the abuse desk has no room for another report now"},
		"not written":   {errors.New("disk"), nil, "451 4.3.0 the message cannot be stored now"},
		"not confirmed": {nil, errors.New("disk"), "451 4.3.0 the message cannot be stored now"},
	} {
		w := newWorld(t)
		d := newDesk(w)
		d.failPut, d.failOK = c.put, c.ok
		o := w.relay.Deliver(t.Context(), deskJob(one(accept), "abuse@p.desk"))
		if !strings.HasPrefix(o.Reply, c.reply) || o.Fates[0].State != filter.Deferred || slices.Contains(d.states(), "provisional") {
			t.Errorf("%s: %s, %+v, %v", name, o.Reply, o.Fates, d.states())
		}
		d.failPut, d.failOK = nil, nil // the sender comes again
		if o = w.relay.Deliver(t.Context(), deskJob(one(accept), "abuse@p.desk")); o.Reply[0] != '2' || d.confirmed != 1 {
			t.Errorf("%s, again: %s", name, o.Reply)
		}
	}
	w := newWorld(t)
	if o := w.relay.Deliver(t.Context(), deskJob(one(accept), "abuse@p.desk")); o.Reply[:3] != "451" {
		t.Errorf("without a desk: %s", o.Reply)
	}
}

// Beside mailboxes the desk never loses a report that was answered 250, and no server behind
// refuses a message that the desk has: every behaviour of a server, every verdict.
func TestDeskBesideMailboxes(t *testing.T) {
	n := 0
	for _, v := range []filter.Verdict{accept, keep, reject, wait} {
		for _, x := range behaviours() {
			for _, failOK := range []error{nil, errors.New("disk")} {
				n++
				deskBeside(t, v, x, failOK)
			}
		}
	}
	t.Logf("%d combinations", n)
}

func deskBeside(t *testing.T, v filter.Verdict, x behaviour, failOK error) {
	t.Helper()
	w := newWorld(t)
	d := newDesk(w)
	d.failOK = failOK
	w.server("x").said = x.said
	j := deskJob(map[string]filter.Verdict{"p": v, "d": reject}, "one@p.x", "two@p.x", "abuse@d.desk")
	o := w.relay.Deliver(t.Context(), j)
	name := fmt.Sprintf("%s, %s, confirm %v: %s\n%s%v", v.Action, x.name, failOK, o.Reply, fates(o), w.events)
	relayed := v.Action == filter.Accept
	early4 := relayed && strings.Contains(x.pre, "4")
	late4 := relayed && strings.ContainsAny(x.pre+x.post, "4l") && !strings.Contains(x.post, "2")
	want := byte('2')
	if v.Action == filter.Defer || early4 || late4 || failOK != nil {
		want = '4'
	}
	if o.Reply[0] != want {
		t.Fatalf("%s\nwant %c", name, want)
	}
	kept, provisional := w.holds.kept()
	if provisional != 0 || slices.Contains(d.states(), "provisional") {
		t.Fatalf("%s\nsomething was left provisional: %v", name, d.states())
	}
	if want == '4' {
		if slices.Contains(d.states(), "confirmed") {
			t.Fatalf("%s\na report that was not answered 250 is real", name)
		}
		return
	}
	if !slices.Equal(d.states(), []string{"confirmed"}) || o.Fates[2].State != filter.Delivered {
		t.Fatalf("%s\nthe report: %v", name, d.states())
	}
	for i, f := range o.Fates[:2] {
		switch {
		case v.Action == filter.Quarantine && !slices.Contains(kept, "quarantine "+f.Recipient),
			v.Action == filter.Reject && !slices.Contains(kept, "rejected-beside "+f.Recipient),
			relayed && (x.pre[i] == '5' || x.post[i] == '5') && !slices.Contains(kept, "backend-refused "+f.Recipient),
			relayed && x.post[i] == '2' && f.State != filter.Delivered,
			relayed && (x.post[i] == '4' || x.post[i] == 'l') && f.State != filter.InOutbox:
			t.Fatalf("%s\n%s, kept %v", name, f.Recipient, kept)
		}
	}
	at := func(event string) int { return slices.Index(w.events, event) }
	if dot := at("dot"); dot >= 0 && (at("report") > dot || at("take") < dot) {
		t.Fatalf("%s\nthe report is written before the dot and real after it", name)
	}
}

// noting counts how answers were written down.
type noting struct {
	relay.Answers
	synced, unsynced int
}

func (n *noting) Add(ctx context.Context, key string, a relay.Answer) error {
	n.synced++
	return n.Answers.Add(ctx, key, a)
}

func (n *noting) Note(key string, a relay.Answer) error {
	n.unsynced++
	return n.Answers.Note(key, a)
}

// What is for the desk alone is known again by its key: its answer needs no sync. Beside a
// mailbox it has one, as all other mail has. The retry of a client that did not read the answer
// is answered as before, and is no second report.
func TestDeskAnswersUnsynced(t *testing.T) {
	for name, c := range map[string]struct {
		to               []string
		synced, unsynced int
	}{
		"the desk alone":     {[]string{"abuse@p.desk", "fbl@p.desk"}, 0, 1},
		"beside a mailbox":   {[]string{"abuse@p.desk", "one@p.x"}, 1, 0},
		"nothing for a desk": {[]string{"one@p.x"}, 1, 0},
	} {
		w := newWorld(t)
		d := newDesk(w)
		j, err := answered.Open(t.TempDir(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		n := &noting{Answers: j}
		w.relay.Answers = n
		first := w.relay.Deliver(t.Context(), deskJob(map[string]filter.Verdict{"p": accept}, c.to...))
		w.relay.Answered(deskJob(map[string]filter.Verdict{"p": accept}, c.to...).Message, false)
		again := w.relay.Deliver(t.Context(), deskJob(map[string]filter.Verdict{"p": accept}, c.to...))
		if first.Reply[0] != '2' || again.Reply != first.Reply || n.synced != c.synced || n.unsynced != c.unsynced {
			t.Errorf("%s: %s, then %s; %d synced, %d not", name, first.Reply, again.Reply, n.synced, n.unsynced)
		}
		if len(d.texts) > 1 || d.confirmed > 1 {
			t.Errorf("%s: the retry was kept again", name)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}
