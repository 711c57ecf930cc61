package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/filter"
	"postern/internal/relay"
	"postern/internal/relay/answered"
	"postern/internal/relay/client"
	"postern/internal/stamp"
)

func one(v filter.Verdict) map[string]filter.Verdict { return map[string]filter.Verdict{"p": v} }

func expect(t *testing.T, o filter.Outcome, reply string, wantFates ...string) {
	t.Helper()
	if !strings.HasPrefix(o.Reply, reply) {
		t.Errorf("reply %q, want %q", o.Reply, reply)
	}
	if got, want := fates(o), strings.Join(wantFates, "\n")+"\n"; got != want {
		t.Errorf("fates\n%swant\n%s", got, want)
	}
}

func TestRepliesToTheClient(t *testing.T) {
	id := "01hf7yat00zzzzzzzzzzzzzzzz"
	for _, c := range []struct {
		v    filter.Verdict
		s    said
		want string
	}{
		{accept, said{}, "250 2.0.0 queued"},
		{accept, said{dot: "250 Ok: queued as 4711"}, "250 2.0.0 "},
		{keep, said{}, "250 2.0.0 held for review, id " + id + "-00"},
		{reject, said{}, "550 5.7.1 this looks like spam (ref X)"},
		{wait, said{}, "451 4.7.1 come again (ref X)"},
		{filter.Verdict{Action: filter.Reject, Public: "nonsense"}, said{}, "550 5.7.1 the message was refused (ref " + id + ")"},
		{filter.Verdict{Action: filter.Reject, Public: "250 2.0.0 taken"}, said{}, "550 5.7.1 the message was refused"},
		{filter.Verdict{Action: filter.Reject, Public: "554 5.7.1 a\r\n250 b"}, said{}, "554 5.7.1 a??250 b"},
		{filter.Verdict{Action: filter.Defer, Public: "421 4.0.0 go away"}, said{}, "451 4.7.1 the message could not be checked"},
		{filter.Verdict{Action: 77}, said{}, "451 4.7.1 "},
	} {
		w := newWorld(t)
		w.server("x").said = c.s
		if o := w.relay.Deliver(t.Context(), job(one(c.v), "a@p.x")); !strings.HasPrefix(o.Reply, c.want) {
			t.Errorf("%v: reply %q, want %q", c.v.Action, o.Reply, c.want)
		}
	}
}

// F21: the class of a backend's answer reaches the sender, unless it is about the link.
func TestBackendAnswers(t *testing.T) {
	for _, c := range []struct{ said, told string }{
		{"421 4.3.2 closing", "451 4.3.2 "}, {"450 4.2.1 busy", "450 4.2.1 "}, {"451 4.3.0 later", "451 4.3.0 "}, {"452 4.2.2 full", "452 4.2.2 "},
		{"550 5.1.1 none", "550 5.1.1 "}, {"552 5.2.2 full", "552 5.2.2 "}, {"554 5.7.1 no", "554 5.7.1 "}, {"550 4.1.1 odd", "550 5.0.0 "},
		{"501 5.1.7 bad address", "501 5.1.7 "}, {"503 5.5.1 bad sequence", "451 4.4.2 "}, {"530 5.7.0 log in", "451 4.4.2 "}, {"535 5.7.8 no", "451 4.4.2 "},
		{"500 5.5.2 what", "451 4.4.2 "}, {"599 5.0.0 what", "451 4.4.2 "}, {"354 go on", "451 4.4.2 "}, {"999 x y", "451 4.4.2 "},
	} {
		for stage, s := range map[string]said{"MAIL": {mail: c.said}, "RCPT": {rcpt: c.said}, "DATA": {data: c.said}, "dot": {dot: c.said}} {
			if stage == "DATA" && strings.HasPrefix(c.said, "354") {
				continue
			}
			w := newWorld(t)
			w.server("x").said = s
			o := w.relay.Deliver(t.Context(), job(one(accept), "a@p.x"))
			if !strings.HasPrefix(o.Reply, c.told) {
				t.Errorf("%s at %s became %q, want %q", c.said, stage, o.Reply, c.told)
			}
			if n := w.server("x").delivered["a@p.x"]; n != 0 {
				t.Errorf("%s at %s: %d copies", c.said, stage, n)
			}
		}
	}
}

func TestAClientThatLeft(t *testing.T) {
	gone := make(chan struct{})
	close(gone)
	w := newWorld(t)
	j := job(one(accept), "a@p.x")
	j.Abort = gone
	expect(t, w.relay.Deliver(t.Context(), j), "451", "a@p.x deferred")
	if w.server("x").begun != 0 {
		t.Error("a backend was asked")
	}
	synctest.Test(t, func(t *testing.T) { // in the body
		w := newWorld(t)
		w.server("x").bodyWait = true
		abort := make(chan struct{})
		j := job(one(accept), "a@p.x", "b@p.y", "c@q.x")
		j.Verdicts[2] = keep
		j.Abort = abort
		time.AfterFunc(time.Second, func() { close(abort) })
		start := time.Now()
		expect(t, w.relay.Deliver(t.Context(), j), "451", "a@p.x deferred", "b@p.y deferred", "c@q.x deferred")
		if time.Since(start) != time.Second {
			t.Errorf("noticed after %v", time.Since(start))
		}
		if w.server("x").ended+w.server("y").ended != 0 || w.server("x").aborted+w.server("y").aborted != 2 {
			t.Error("a transaction was ended, or one was not given up")
		}
		if kept, provisional := w.holds.kept(); len(kept)+provisional != 0 {
			t.Error("a hold was left")
		}
	})
	synctest.Test(t, func(t *testing.T) { // after the dot nothing is stopped
		w := newWorld(t)
		abort := make(chan struct{})
		j := job(one(accept), "a@p.x", "b@p.y")
		j.Abort = abort
		w.server("y").hangs = true
		time.AfterFunc(time.Second, func() { close(abort) })
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		expect(t, w.relay.Deliver(ctx, j), "250", "a@p.x delivered", "b@p.y outbox ambiguous")
		if d := time.Since(start); d != 300*time.Second {
			t.Errorf("waited %v for the backend", d)
		}
	})
}

// P7: before the dot 60 s, after it 300 s.
func TestTimeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.server("x").bodyWait = true
		j := job(one(accept), "a@p.x")
		j.Received = time.Now().Add(-20 * time.Second) // the checks took that long
		start := time.Now()
		expect(t, w.relay.Deliver(t.Context(), j), "451", "a@p.x deferred")
		if d := time.Since(start); d != 40*time.Second {
			t.Errorf("answered after %v", d)
		}
		w.server("x").said = said{hangs: true}
		start = time.Now()
		expect(t, w.relay.Deliver(t.Context(), job(one(accept), "a@p.x")), "451", "a@p.x deferred ambiguous")
		if d := time.Since(start); d != 300*time.Second {
			t.Errorf("answered after %v", d)
		}
		w.relay.Limits.After = 10 * time.Second
		w.server("y").said = said{hangs: true}
		start = time.Now()
		w.relay.Deliver(t.Context(), job(one(accept), "a@p.x", "b@p.y"))
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("two groups share one limit: answered after %v", d)
		}
	})
}

func TestHoldsThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.holds.failPut = errors.New("disk full")
	j := job(map[string]filter.Verdict{"p": accept, "q": keep}, "a@p.x", "b@q.x")
	expect(t, w.relay.Deliver(t.Context(), j), "451 4.3.0", "a@p.x deferred", "b@q.x deferred")
	if s := w.server("x"); s.ended != 0 || s.aborted != 1 {
		t.Error("something was delivered")
	}
	w.holds.failAsk = errors.New("disk full")
	expect(t, w.relay.Deliver(t.Context(), job(one(accept), "a@p.x")), "250", "a@p.x delivered") // clean mail flows
	expect(t, w.relay.Deliver(t.Context(), job(one(keep), "a@p.x")), "451", "a@p.x deferred")
	expect(t, w.relay.Deliver(t.Context(), job(one(reject), "a@p.x")), "550", "a@p.x rejected")
}

// When one server took the message and the rest cannot be kept, the sender comes again.
func TestLeftOversThatCannotBeKept(t *testing.T) {
	for name, breakIt := range map[string]func(w *world){
		"outbox":  func(w *world) { w.outbox.Fail(errors.New("disk full")) },
		"confirm": func(w *world) { w.holds.failOK = errors.New("disk full") },
		"refused": func(w *world) {
			w.server("y").said = said{dot: "550 5.0.0 no"}
			w.holds.failPut, w.holds.failOf = errors.New("full"), relay.ClassBackendRefused
		},
	} {
		w := newWorld(t)
		w.server("y").said = said{dot: "450 4.2.0 later"}
		breakIt(w)
		j := job(map[string]filter.Verdict{"p": accept, "q": keep}, "a@p.x", "b@p.y", "c@q.x")
		o := w.relay.Deliver(t.Context(), j)
		if o.Reply[0] != '4' || o.Fates[0].State != filter.Delivered || o.Fates[2].State != filter.Deferred {
			t.Errorf("%s: %s\n%s", name, o.Reply, fates(o))
		}
		if kept, provisional := w.holds.kept(); len(kept)+provisional != 0 {
			t.Errorf("%s: kept %v and %d provisional", name, kept, provisional)
		}
	}
}

func TestRetryOfAHeldMail(t *testing.T) {
	w := newWorld(t)
	v := map[string]filter.Verdict{"p": accept, "q": keep}
	expect(t, w.relay.Deliver(t.Context(), job(v, "b@q.x")), "250 2.0.0 held", "b@q.x held")
	// The same mail again, whatever is judged now: the same hold, never a delivery.
	for _, now := range []filter.Verdict{keep, accept, reject} {
		o := w.relay.Deliver(t.Context(), job(map[string]filter.Verdict{"q": now}, "b@q.x"))
		expect(t, o, "250 2.0.0 held for review, id 01hf7yat00zzzzzzzzzzzzzzzz-00", "b@q.x held")
	}
	// Beside it others are relayed; a refusal for those is not the answer for all.
	expect(t, w.relay.Deliver(t.Context(), job(v, "a@p.x", "b@q.x")), "250 2.0.0 queued", "a@p.x delivered", "b@q.x held")
	w.server("x").said = said{rcpt: "550 5.1.1 none"}
	expect(t, w.relay.Deliver(t.Context(), job(v, "c@p.x", "b@q.x")), "250 2.0.0 held", "c@p.x held", "b@q.x held")
	w.server("x").said = said{dot: "550 5.7.1 no"}
	expect(t, w.relay.Deliver(t.Context(), job(v, "d@p.x", "b@q.x")), "250 2.0.0 held", "d@p.x held", "b@q.x held")
	w.server("x").said = said{dot: "450 4.7.1 later"}
	expect(t, w.relay.Deliver(t.Context(), job(v, "e@p.x", "b@q.x")), "450", "e@p.x deferred", "b@q.x held")
	expect(t, w.relay.Deliver(t.Context(), job(map[string]filter.Verdict{"p": wait, "q": keep}, "e@p.x", "b@q.x")), "451", "e@p.x deferred", "b@q.x deferred")
	if n := len(w.holds.byID); n != 3 {
		t.Errorf("%d holds", n)
	}
}

// P6: only the exact retry of an answer that was not read is not delivered again.
func TestDuplicateGuard(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	j, err := answered.Open(t.TempDir(), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	w := newWorld(t)
	w.relay.Answers = j
	deliver := func(change func(m *filter.Message)) (copies int) {
		t.Helper()
		msg := job(one(accept), "a@p.x", "b@p.x")
		if change != nil {
			change(msg.Message)
		}
		expect(t, w.relay.Deliver(t.Context(), msg), "250 2.0.0 queued", "a@p.x delivered", "b@p.x delivered")
		return w.server("x").ended
	}
	settle := func(read bool) { w.relay.Answered(job(one(accept), "a@p.x", "b@p.x").Message, read) }
	if deliver(nil) != 1 || deliver(nil) != 2 {
		t.Error("while nobody knows, mail is delivered")
	}
	settle(true)
	if deliver(nil) != 3 {
		t.Error("a confirmed identical message is delivered again")
	}
	settle(false)
	if deliver(nil) != 3 {
		t.Error("the retry was delivered again")
	}
	neighbour := func(m *filter.Message) { m.Client.IP = netip.MustParseAddr("192.0.2.200") }
	if deliver(neighbour) != 3 {
		t.Error("the retry of a neighbour was delivered again")
	}
	for i, change := range []func(m *filter.Message){
		func(m *filter.Message) { m.Client.IP = netip.MustParseAddr("198.51.100.7") },
		func(m *filter.Message) { m.SHA256 = strings.Repeat("0", 64) },
		func(m *filter.Message) { m.From = "other@sender.example" },
		func(m *filter.Message) { m.Listener = "other" },
	} {
		if n := deliver(change); n != 4+i {
			t.Errorf("change %d: another message was taken for the retry", i)
		}
	}
	now = now.Add(16 * time.Minute)
	if deliver(nil) != 8 {
		t.Error("after 15 minutes it is delivered again")
	}
	w.server("x").said = said{dot: "450 4.0.0 later"}
	w.relay.Deliver(t.Context(), job(one(accept), "c@p.x"))
	w.relay.Answered(job(one(accept), "c@p.x").Message, false)
	w.server("x").said = said{}
	if w.relay.Deliver(t.Context(), job(one(accept), "c@p.x")); w.server("x").delivered["c@p.x"] != 1 {
		t.Error("the retry after a 4xx must be delivered")
	}
}

func TestEvidence(t *testing.T) {
	w := newWorld(t)
	v := reject
	v.Keep = true
	for range 2 { // the retry of a rejected virus is rejected again
		expect(t, w.relay.Deliver(t.Context(), job(one(v), "a@p.x", "b@p.x")), "550", "a@p.x rejected", "b@p.x rejected")
	}
	a := accept
	a.Keep = true
	for n := range 2 { // a copy kept beside a delivery answers for no retry
		expect(t, w.relay.Deliver(t.Context(), job(one(a), "c@p.x")), "250 2.0.0 queued", "c@p.x delivered")
		if got := w.server("x").delivered["c@p.x"]; got != n+1 {
			t.Errorf("%d copies", got)
		}
	}
	k := keep
	k.Keep = true
	expect(t, w.relay.Deliver(t.Context(), job(one(k), "d@p.x")), "250 2.0.0 held", "d@p.x held")
	kept, provisional := w.holds.kept()
	if got := strings.Join(kept, ", "); got != "evidence a@p.x, evidence c@p.x, quarantine d@p.x" || provisional != 0 {
		t.Errorf("kept %s, provisional %d", got, provisional)
	}
	w = newWorld(t)
	w.holds.failPut = errors.New("full")
	expect(t, w.relay.Deliver(t.Context(), job(one(a), "c@p.x")), "250 2.0.0 queued", "c@p.x delivered")
	expect(t, w.relay.Deliver(t.Context(), job(one(v), "c@p.x")), "550", "c@p.x rejected")
	if len(w.alerts) != 2 {
		t.Errorf("alerts %v", w.alerts)
	}
	w = newWorld(t)
	w.server("x").said = said{dot: "450 4.0.0 later"}
	expect(t, w.relay.Deliver(t.Context(), job(one(a), "c@p.x")), "450", "c@p.x deferred")
	if kept, provisional := w.holds.kept(); len(kept)+provisional != 0 {
		t.Errorf("evidence of a message that was not taken: %v", kept)
	}
}

// I12: the third pass ends the loop, for the recipients that are in it.
func TestLoop(t *testing.T) {
	w := newWorld(t)
	j := job(one(accept), "a@p.x")
	for n := range 3 {
		j.Message.ID = fmt.Sprintf("01hf7yat00zzzzzzzzzzzzzzz%d", n)
		o := w.relay.Deliver(t.Context(), j)
		if n == 2 {
			expect(t, o, "554 5.4.6 the message is in a loop", "a@p.x rejected")
			if o.Verdicts[0].Action != filter.Reject {
				t.Error("the verdict does not say so")
			}
			break
		}
		expect(t, o, "250", "a@p.x delivered")
		next := string(w.server("x").bodies[n])
		j.Message.Body, j.Message.Size = strings.NewReader(next), int64(len(next))
	}
	text, _ := io.ReadAll(j.Message.Open())
	both := job(one(accept), "b@p.x", "A@p.x")
	both.Message.Body, both.Message.Size = strings.NewReader(string(text)), int64(len(text))
	expect(t, w.relay.Deliver(t.Context(), both), "250", "b@p.x delivered", "A@p.x held")
}

func TestPanicsAndMisfits(t *testing.T) {
	w := newWorld(t)
	w.server("x").said = said{panics: true}
	expect(t, w.relay.Deliver(t.Context(), job(one(accept), "a@p.x", "b@p.y")), "451", "a@p.x deferred", "b@p.y deferred")
	if s := w.server("y"); s.ended != 0 || s.aborted != 1 {
		t.Error("the other group was not given up")
	}
	w = newWorld(t)
	w.server("y").said = said{panicDot: true}
	expect(t, w.relay.Deliver(t.Context(), job(one(accept), "a@p.x", "b@p.y")), "250", "a@p.x delivered", "b@p.y outbox ambiguous")
	j := job(one(accept), "a@p.x", "b@p.x")
	j.Verdicts = j.Verdicts[:1]
	expect(t, w.relay.Deliver(t.Context(), j), "451", "a@p.x deferred", "b@p.x deferred")
	j = job(one(accept), "a@p.x")
	j.Message.Body = broken{}
	expect(t, w.relay.Deliver(t.Context(), j), "451", "a@p.x deferred")
	w.relay.Backends = odd{}
	expect(t, w.relay.Deliver(t.Context(), job(one(accept), "a@p.x")), "451", "a@p.x deferred")
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errors.New("disk") }

// odd is a server whose answers do not fit the recipients.
type odd struct{}

func (odd) Begin(context.Context, string, client.Envelope) (relay.Conn, client.Begun, func(bool), error) {
	return nil, client.Begun{Mail: client.Reply{Code: 250}}, func(bool) {}, nil
}

// login is an authenticated client's own connection.
type login struct {
	*conn
	w *world
	n int
}

func (l *login) Begin(ctx context.Context, e client.Envelope) (client.Begun, error) {
	l.n++
	c, b, _, err := l.w.Begin(ctx, "own", e)
	l.conn = c.(*conn)
	return b, err
}

// A submitted message goes over the connection of the login, as one transaction, and shows
// none of our fields but Received.
func TestSubmissionUsesItsOwnConnection(t *testing.T) {
	w := newWorld(t)
	l := &login{w: w}
	j := job(map[string]filter.Verdict{"p": accept, "q": tag}, "a@p.x", "b@q.y")
	j.Message.Direction, j.Message.Account, j.Login = filter.Outbound, "joe", l
	expect(t, w.relay.Deliver(t.Context(), j), "250", "a@p.x delivered", "b@q.y delivered")
	own := w.server("own")
	if l.n != 1 || w.server("x").begun+w.server("y").begun != 0 || len(own.bodies) != 1 {
		t.Fatal("not one transaction on the own connection")
	}
	if got := string(own.bodies[0]); !strings.HasPrefix(got, "Received: ") || strings.Contains(got, "X-") {
		t.Errorf("went out:\n%s", got)
	}
	if e := own.envelopes[0]; e.Account != "joe" || !e.EightBit || e.Size != int64(len(own.bodies[0])) || len(e.To) != 2 {
		t.Errorf("envelope %+v", e)
	}
}

func TestGroupsByBackendAndBlock(t *testing.T) {
	w := newWorld(t)
	v := map[string]filter.Verdict{"p": accept, "q": tag}
	expect(t, w.relay.Deliver(t.Context(), job(v, "a@p.x", "b@p.x", "c@q.x", "d@p.y")), "250",
		"a@p.x delivered", "b@p.x delivered", "c@q.x delivered", "d@p.y delivered")
	if w.server("x").begun != 2 || w.server("y").begun != 1 {
		t.Errorf("%d and %d transactions", w.server("x").begun, w.server("y").begun)
	}
	for _, b := range w.server("x").bodies {
		if n := strings.Count(string(b), "X-Spam-Flag: "); n != 1 {
			t.Errorf("%d X-Spam-Flag fields", n)
		}
	}
}

func BenchmarkDeliver(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d-recipients", n), func(b *testing.B) {
			w := newWorld(b)
			w.relay.Backends = sink{}
			w.relay.Stamper = &stamp.Stamper{Names: stamp.DefaultNames("mx1.example.com"), Key: []byte("k")}
			var to []string
			for i := range n {
				to = append(to, fmt.Sprintf("u%d@p.x", i))
			}
			j := job(one(tag), to...)
			text := original + strings.Repeat("0123456789 0123456789 0123456789 0123456789 0123456789\r\n", 350)
			j.Message.Body, j.Message.Size = strings.NewReader(text), int64(len(text))
			b.ReportAllocs()
			b.SetBytes(j.Message.Size)
			for b.Loop() {
				if o := w.relay.Deliver(b.Context(), j); o.Reply[0] != '2' {
					b.Fatal(o.Reply)
				}
			}
		})
	}
}

// sink takes everything.
type sink struct{}

func (sink) Begin(_ context.Context, _ string, e client.Envelope) (relay.Conn, client.Begun, func(bool), error) {
	b := client.Begun{Mail: client.Reply{Code: 250}, Data: client.Reply{Code: 354}}
	for range e.To {
		b.Rcpt = append(b.Rcpt, client.Reply{Code: 250})
	}
	return sink{}, b, func(bool) {}, nil
}

func (sink) Body(_ context.Context, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func (sink) End(context.Context) ([]client.Reply, error) { return []client.Reply{{Code: 250}}, nil }
func (sink) Abort(context.Context)                       {}

// promising are holds that can stand for what cannot be confirmed now.
type promising struct {
	*holds
	promised []string
}

func (h *promising) Promise(_ context.Context, ids []string) error {
	h.promised = append(h.promised, ids...)
	return nil
}

// Beside a delivery a promise is enough: the mail must not come again. Alone it is not.
func TestPromised(t *testing.T) {
	w := newWorld(t)
	h := &promising{holds: w.holds}
	w.relay.Holds, w.holds.failOK = h, errors.New("the store is away")
	v := map[string]filter.Verdict{"p": accept, "q": keep}
	expect(t, w.relay.Deliver(t.Context(), job(v, "c@q.x")), "451", "c@q.x deferred")
	if len(h.promised) > 0 {
		t.Errorf("promised %v", h.promised)
	}
	expect(t, w.relay.Deliver(t.Context(), job(v, "a@p.x", "b@q.x")), "250", "a@p.x delivered", "b@q.x held")
	if len(h.promised) != 1 {
		t.Errorf("promised %v", h.promised)
	}
}
