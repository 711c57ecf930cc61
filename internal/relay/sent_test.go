package relay_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/relay/handing"
)

// sendLog is a send log in memory.
type sendLog struct {
	w     *world
	err   error
	begun []handing.Over
}

func (l *sendLog) Begin(_ context.Context, o handing.Over) error {
	l.w.event("log")
	l.begun = append(l.begun, o)
	return l.err
}

func logged(t *testing.T, verdicts map[string]filter.Verdict, to ...string) (*world, *sendLog, filter.Outcome) {
	t.Helper()
	w := newWorld(t)
	l := &sendLog{w: w}
	w.relay.Sent = l
	w.server("y").said = said{rcpt: "550 5.1.1 none"}
	j := job(verdicts, to...)
	j.Message.Direction, j.Message.Account = filter.Outbound, "anna@example.com"
	return w, l, w.relay.Deliver(t.Context(), j)
}

func TestWrittenDownBeforeTheDot(t *testing.T) {
	w, l, o := logged(t, map[string]filter.Verdict{"p": accept, "q": keep, "r": reject}, "a@p.x", "b@q.x", "c@r.x", "d@p.y")
	if !strings.HasPrefix(o.Reply, "250") || len(l.begun) != 1 {
		t.Fatalf("%s, written down %d times", o.Reply, len(l.begun))
	}
	if at, dot := slices.Index(w.events, "log"), slices.Index(w.events, "dot"); at < 0 || dot < at || slices.Index(w.events, "hold") > at {
		t.Errorf("events in order: %v", w.events)
	}
	var states []string
	for _, c := range l.begun[0].Copies {
		states = append(states, c.Recipient+" "+string(c.State))
		if c.Body == nil {
			t.Errorf("%s has no body", c.Recipient)
		}
	}
	if got, want := strings.Join(states, ", "), "a@p.x , b@q.x held, c@r.x rejected, d@p.y rejected"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestNotWrittenDownIsNotHandedOver(t *testing.T) {
	w := newWorld(t)
	w.relay.Sent = &sendLog{w: w, err: errors.New("disk full")}
	j := job(map[string]filter.Verdict{"p": accept, "q": keep}, "a@p.x", "b@q.x")
	j.Message.Direction = filter.Outbound
	o := w.relay.Deliver(t.Context(), j)
	expect(t, o, "451 4.3.0", "a@p.x deferred", "b@q.x deferred")
	if w.server("x").ended != 0 || w.server("x").aborted != 1 || len(w.alerts) != 1 {
		t.Errorf("%d dots, %d given up, alerts %v", w.server("x").ended, w.server("x").aborted, w.alerts)
	}
	if kept, provisional := w.holds.kept(); len(kept)+provisional != 0 {
		t.Error("a hold was left")
	}
}

func TestNothingToWriteDown(t *testing.T) {
	for name, f := range map[string]func() *sendLog{
		"held for all": func() *sendLog { _, l, _ := logged(t, map[string]filter.Verdict{"p": keep}, "a@p.x"); return l },
		"refused":      func() *sendLog { _, l, _ := logged(t, map[string]filter.Verdict{"p": reject}, "a@p.x"); return l },
		"inbound": func() *sendLog {
			w := newWorld(t)
			l := &sendLog{w: w}
			w.relay.Sent = l
			w.relay.Deliver(t.Context(), job(one(accept), "a@p.x"))
			return l
		},
	} {
		if l := f(); len(l.begun) != 0 {
			t.Errorf("%s: written down", name)
		}
	}
}
