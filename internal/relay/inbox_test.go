package relay_test

import (
	"testing"

	"postern/filter"
	"postern/internal/relay"
)

// inboxJob is a job whose recipients at ".inbox" are those of the test inbox.
func inboxJob(verdicts map[string]filter.Verdict, to ...string) relay.Job {
	j := job(verdicts, to...)
	for i := range j.Message.To {
		if j.Message.To[i].Backend == "inbox" {
			j.Message.To[i].Backend = relay.InboxBackend
		}
	}
	return j
}

// What anybody else's would be held is kept in the test inbox, and nothing of it in the quarantine.
func TestInboxKeepsWhatWouldBeHeld(t *testing.T) {
	for name, c := range map[string]struct {
		v     filter.Verdict
		reply string
		fate  string
		taken int
	}{
		"accepted": {accept, "250", "delivered", 1},
		"held":     {filter.Verdict{Action: filter.Quarantine, Score: 700}, "250", "delivered", 1},
		"refused":  {reject, "550", "rejected", 0},
		"later":    {wait, "4", "deferred", 0},
	} {
		w := newWorld(t)
		o := w.relay.Deliver(t.Context(), inboxJob(one(c.v), "a@p.inbox"))
		expect(t, o, c.reply, "a@p.inbox "+c.fate)
		s := w.server(relay.InboxBackend)
		if len(s.delivered) != c.taken || w.holds.held() != "" {
			t.Errorf("%s: %d taken, held %q", name, len(s.delivered), w.holds.held())
		}
		if c.taken > 0 && (s.envelopes[0].Verdict.Action != c.v.Action || s.envelopes[0].Verdict.Score != c.v.Score) {
			t.Errorf("%s: told %+v", name, s.envelopes[0].Verdict)
		}
	}
}

// Who signed in writes to a mailbox elsewhere and to a test domain: the server behind hears of
// the first alone.
func TestInboxBesideALogin(t *testing.T) {
	w := newWorld(t)
	j := inboxJob(one(accept), "a@p.x", "t@p.inbox")
	j.Message.Direction, j.Login = filter.Outbound, &login{w: w}
	expect(t, w.relay.Deliver(t.Context(), j), "250", "a@p.x delivered", "t@p.inbox delivered")
	own, inbox := w.server("own"), w.server(relay.InboxBackend)
	if len(own.envelopes) != 1 || len(own.envelopes[0].To) != 1 || own.envelopes[0].To[0] != "a@p.x" {
		t.Errorf("the login's server: %+v", own.envelopes)
	}
	if len(inbox.envelopes) != 1 || len(inbox.envelopes[0].To) != 1 || inbox.envelopes[0].To[0] != "t@p.inbox" {
		t.Errorf("the inbox: %+v", inbox.envelopes)
	}
	w = newWorld(t)
	j = inboxJob(one(accept), "t@p.inbox")
	j.Message.Direction, j.Login = filter.Outbound, &login{w: w}
	expect(t, w.relay.Deliver(t.Context(), j), "250", "t@p.inbox delivered")
	if own := w.server("own"); own.begun != 0 {
		t.Errorf("%d transactions with the login's server", own.begun)
	}
}
