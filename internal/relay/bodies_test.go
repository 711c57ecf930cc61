package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/relay"
	"postern/internal/relay/client"
)

const lacking = "From: a@sender.example\r\nSubject: hello\r\n\r\na part was removed\r\n"

var strip = filter.Verdict{Action: filter.Tag, Strip: []string{"1.2"}}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// rebuilt is m with another body.
func rebuilt(m *filter.Message, text string) *filter.Message {
	n := *m
	n.Body, n.Size, n.SHA256 = strings.NewReader(text), int64(len(text)), sumOf(text)
	return &n
}

// stripping is a job whose recipients of policy s get the message without a part.
func stripping(verdicts map[string]filter.Verdict, to ...string) relay.Job {
	j := job(verdicts, to...)
	body := rebuilt(j.Message, lacking)
	for i, r := range j.Message.To {
		j.Bodies = append(j.Bodies, nil)
		if r.Policy == "s" {
			j.Bodies[i] = body
		}
	}
	return j
}

func kept(v filter.Verdict) filter.Verdict {
	v.Keep = true
	return v
}

// got is the body that a recipient's server was sent, without our block.
func (w *world) got(t *testing.T, server string, n int) string {
	t.Helper()
	s := w.server(server)
	if n >= len(s.bodies) {
		t.Fatalf("%s has %d bodies", server, len(s.bodies))
	}
	if !slices.ContainsFunc(s.envelopes, func(e client.Envelope) bool { return e.Size == int64(len(s.bodies[n])) }) {
		t.Errorf("no SIZE=%d", len(s.bodies[n])) // groups end in any order
	}
	for _, text := range []string{lacking, without} {
		if bytes.HasSuffix(s.bodies[n], []byte("\r\n"+text)) {
			return text
		}
	}
	return string(s.bodies[n])
}

// held are the confirmed holds as "class recipient body".
func (h *holds) held() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, n := range h.byID {
		body := map[string]string{sumOf(original): "original", sumOf(lacking): "lacking"}[n.sha]
		if n.confirmed {
			out = append(out, n.class+" "+n.to+" "+body)
		} else if !n.dropped {
			out = append(out, "provisional "+n.class)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestEachGetsItsBody(t *testing.T) {
	w := newWorld(t)
	j := stripping(map[string]filter.Verdict{"p": strip, "s": strip}, "a@s.x", "b@s.x", "c@s.y")
	expect(t, w.relay.Deliver(t.Context(), j), "250", "a@s.x delivered", "b@s.x delivered", "c@s.y delivered")
	if w.server("x").begun != 1 || w.server("y").begun != 1 || w.got(t, "x", 0) != lacking || w.got(t, "y", 0) != lacking || w.holds.held() != "" {
		t.Errorf("%d and %d transactions, held %q", w.server("x").begun, w.server("y").begun, w.holds.held())
	}
	if e := w.server("x").envelopes[0]; e.EightBit {
		t.Error("8BITMIME asked for by the bytes that are gone")
	}
	// The same backend and the same header block, yet another body: two transactions.
	w = newWorld(t)
	j = stripping(map[string]filter.Verdict{"p": tag, "s": tag}, "b@p.x", "a@s.x")
	for i := range j.Verdicts {
		j.Verdicts[i].Policy = "same"
	}
	expect(t, w.relay.Deliver(t.Context(), j), "250", "b@p.x delivered", "a@s.x delivered")
	if s := w.server("x"); s.begun != 2 || w.got(t, "x", 0) == w.got(t, "x", 1) || s.envelopes[0].EightBit == s.envelopes[1].EightBit {
		t.Errorf("%d transactions", s.begun)
	}
}

// What is infected never goes out because somebody forgot the message without it.
func TestNoBodyForAStrip(t *testing.T) {
	w := newWorld(t)
	o := w.relay.Deliver(t.Context(), job(one(strip), "a@p.x"))
	expect(t, o, "250 2.0.0 held", "a@p.x held")
	if w.server("x").begun != 0 || len(o.Verdicts[0].Strip) != 0 || o.Verdicts[0].Action != filter.Quarantine || w.holds.held() != "quarantine a@p.x original" {
		t.Errorf("%+v, held %s", o.Verdicts[0], w.holds.held())
	}
	j := stripping(map[string]filter.Verdict{"s": strip}, "a@s.x", "b@s.x")
	j.Bodies = j.Bodies[:1]
	expect(t, w.relay.Deliver(t.Context(), j), "451 4.3.0", "a@s.x deferred", "b@s.x deferred")
}

func TestOriginalIsKeptBesideAStrip(t *testing.T) {
	verdicts := map[string]filter.Verdict{"s": kept(strip), "k": kept(keep), "p": kept(tag), "r": kept(reject)}
	for _, c := range []struct {
		name  string
		to    []string
		said  said
		reply string
		fates []string
		held  string
	}{
		{"delivered", []string{"a@s.x", "b@s.x"}, said{}, "250", []string{"a@s.x delivered", "b@s.x delivered"}, "evidence a@s.x original"},
		{"another is held", []string{"a@k.x", "b@s.x"}, said{}, "250", []string{"a@k.x held", "b@s.x delivered"}, "evidence b@s.x original, quarantine a@k.x original"},
		{"another is refused", []string{"a@r.x", "b@s.x"}, said{}, "250", []string{"a@r.x held", "b@s.x delivered"}, "evidence b@s.x original, rejected-beside a@r.x original"},
		{"another gets it as it came", []string{"a@p.x", "b@s.x"}, said{}, "250", []string{"a@p.x delivered", "b@s.x delivered"}, "evidence b@s.x original"},
		{"refused before the dot for one", []string{"a@s.x", "b@s.x"}, said{rcptFor: map[string]string{"b@s.x": "550 5.1.1 no"}}, "250",
			[]string{"a@s.x delivered", "b@s.x held"}, "backend-refused b@s.x lacking, evidence a@s.x original"},
		{"all of them refused before the dot", []string{"a@s.x", "b@q.x"}, said{rcptFor: map[string]string{"a@s.x": "550 5.1.1 no"}}, "250",
			[]string{"a@s.x held", "b@q.x delivered"}, "backend-refused a@s.x lacking, evidence a@s.x original"},
		{"refused at the dot for one", []string{"a@s.x", "b@s.x"}, said{lmtp: true, dotFor: map[string]string{"b@s.x": "550 5.1.1 no"}}, "250",
			[]string{"a@s.x delivered", "b@s.x held"}, "backend-refused b@s.x lacking, evidence a@s.x original"},
		{"later for one", []string{"a@s.x", "b@s.x"}, said{lmtp: true, dotFor: map[string]string{"b@s.x": "452 4.2.2 full"}}, "250",
			[]string{"a@s.x delivered", "b@s.x outbox"}, "evidence a@s.x original"},
		{"refused", []string{"a@s.x"}, said{dot: "554 5.6.0 no"}, "554", []string{"a@s.x rejected"}, ""},
		{"later", []string{"a@s.x"}, said{dot: "451 4.6.0 no"}, "451", []string{"a@s.x deferred"}, ""},
		{"no connection", []string{"a@s.x"}, said{connect: true}, "451", []string{"a@s.x deferred"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.server("x").said = c.said
			expect(t, w.relay.Deliver(t.Context(), stripping(verdicts, c.to...)), c.reply, c.fates...)
			if got := w.holds.held(); got != c.held {
				t.Errorf("held %q, want %q", got, c.held)
			}
			if dot, hold := slices.Index(w.events, "dot"), slices.Index(w.events, "hold"); dot >= 0 && hold > dot {
				t.Errorf("the original was kept after the final dot: %v", w.events)
			}
		})
	}
}

// Without its original kept a stripped message is not taken.
func TestOriginalThatCannotBeKept(t *testing.T) {
	w := newWorld(t)
	w.holds.failPut, w.holds.failOf = errors.New("full"), relay.ClassEvidence
	j := stripping(map[string]filter.Verdict{"s": kept(strip), "p": kept(tag)}, "a@s.x", "b@p.x")
	expect(t, w.relay.Deliver(t.Context(), j), "451 4.3.0", "a@s.x deferred", "b@p.x deferred")
	if s := w.server("x"); s.ended != 0 || len(s.delivered) != 0 {
		t.Error("it was delivered")
	}
	expect(t, w.relay.Deliver(t.Context(), stripping(map[string]filter.Verdict{"s": strip}, "a@s.x")), "250", "a@s.x delivered")
	w = newWorld(t)
	w.holds.failOK = errors.New("not synced")
	expect(t, w.relay.Deliver(t.Context(), stripping(map[string]filter.Verdict{"s": kept(strip)}, "a@s.x")), "451 4.3.0", "a@s.x delivered")
}

// What is left over of a stripped delivery is the message without the part, wherever it ends.
func TestOutboxOfAStrip(t *testing.T) {
	w := newWorld(t)
	w.server("x").said = said{lmtp: true, dotFor: map[string]string{"b@s.x": "452 4.2.2 full", "c@s.x": "452 4.2.2 full"}}
	j := stripping(map[string]filter.Verdict{"s": strip}, "a@s.x", "b@s.x", "c@s.x")
	expect(t, w.relay.Deliver(t.Context(), j), "250", "a@s.x delivered", "b@s.x outbox", "c@s.x outbox")
	e, _, ok, err := w.outbox.Claim(context.Background(), time.Now().Add(time.Hour), time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	body, err := w.outbox.Body(context.Background(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil || string(text) != lacking || e.SHA256 != sumOf(lacking) || e.Size != int64(len(lacking)) {
		t.Errorf("entry %d %s holds %q: %v", e.Size, e.SHA256, text, err)
	}
	w.server("x").said = said{}
	for _, r := range w.relay.Send(context.Background(), e, body) {
		if !r.Done {
			t.Error(r.Reply)
		}
	}
	if w.got(t, "x", 1) != lacking {
		t.Error("the outbox sent something else")
	}
	if _, err := w.relay.Refuse(context.Background(), e, e.To[0], "550 no", body); err != nil || w.holds.held() != "backend-refused b@s.x lacking" {
		t.Errorf("held %q: %v", w.holds.held(), err)
	}
}

// A retry of a mail that was held because its server refused it is that hold, whatever would
// be sent now.
func TestRetryOfARefusedStrip(t *testing.T) {
	w := newWorld(t)
	w.server("x").said = said{rcptFor: map[string]string{"b@s.x": "550 5.1.1 no"}}
	for range 2 {
		j := stripping(map[string]filter.Verdict{"s": kept(strip)}, "a@s.x", "b@s.x")
		expect(t, w.relay.Deliver(t.Context(), j), "250", "a@s.x delivered", "b@s.x held")
	}
	if got := w.holds.held(); got != "backend-refused b@s.x lacking, evidence a@s.x original" || len(w.server("x").envelopes[1].To) != 1 {
		t.Errorf("held %s", got)
	}
}

// The one transaction of a submission has one body.
func TestSubmissionHasOneBody(t *testing.T) {
	w := newWorld(t)
	j := stripping(map[string]filter.Verdict{"s": kept(strip)}, "a@s.x", "b@s.y")
	j.Message.Direction, j.Login = filter.Outbound, &login{w: w}
	expect(t, w.relay.Deliver(t.Context(), j), "250", "a@s.x delivered", "b@s.y delivered")
	if w.got(t, "own", 0) != lacking || w.holds.held() != "evidence a@s.x original" {
		t.Errorf("held %s", w.holds.held())
	}
	w = newWorld(t)
	j = stripping(map[string]filter.Verdict{"s": strip, "p": accept}, "a@p.x", "b@s.y", "c@s.y")
	j.Message.Direction, j.Login = filter.Outbound, &login{w: w}
	o := w.relay.Deliver(t.Context(), j)
	expect(t, o, "250", "a@p.x delivered", "b@s.y held", "c@s.y held")
	if w.got(t, "own", 0) != without || w.holds.held() != "quarantine b@s.y original, quarantine c@s.y original" || o.Verdicts[1].Action != filter.Quarantine {
		t.Errorf("held %s", w.holds.held())
	}
	w = newWorld(t)
	j = stripping(map[string]filter.Verdict{"s": strip}, "b@s.y", "c@s.y")
	j.Bodies[1] = rebuilt(j.Message, lacking+"other\r\n")
	j.Message.Direction, j.Login = filter.Outbound, &login{w: w}
	expect(t, w.relay.Deliver(t.Context(), j), "250", "b@s.y held", "c@s.y held")
	if w.server("own").begun != 0 {
		t.Error("something went out")
	}
}
