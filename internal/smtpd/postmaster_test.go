package smtpd_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"postern/filter"
	"postern/filter/limit"
	"postern/internal/mailtest"
	"postern/internal/relay"
	"postern/internal/relay/backend"
	"postern/internal/relay/outbox/outboxtest"
	"postern/internal/smtpd"
	"postern/internal/stamp"
	"postern/rules"
)

// finds is a step that finds symbols.
func finds(stage filter.Stage, symbols ...string) filter.Step {
	return check(stage, func(*filter.Message) []filter.Finding {
		var all []filter.Finding
		for _, s := range symbols {
			all = append(all, find(s)...)
		}
		return all
	})
}

// Who is blocked can ask why, however the mailbox is written; everybody else is out of reach.
func TestPostmasterTakesFromTheBlocked(t *testing.T) {
	w := start(t, func(w *world) {
		judged(t, w)
		w.steps = []filter.Step{finds(filter.OnConnect, "OWN_BLOCK")}
	})
	c := w.dial()
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	const blocked = "550 5.7.1 This sender is on the postmaster's block list (ref "
	for _, to := range []string{"to@example.com", "postmasters@example.com", "notabuse@example.com", "webmaster@example.com"} {
		c.cmd("RCPT TO:<"+to+">", blocked)
	}
	reach := []string{"PostMaster", "postmaster@example.com", "POSTMASTER+1@example.com", "abuse@example.com", "Abuse@EXAMPLE.com", "aBuSe+case.7@example.com", `"abuse"@example.com`}
	for _, to := range reach {
		c.cmd("RCPT TO:<"+to+">", "250")
	}
	c.cmd("RCPT TO:<abuse@elsewhere.test>", "550 5.7.1 relaying denied")
	c.cmd("MAIL FROM:<postmaster>", "503")
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.only(); g.msg.To[0].Address != "postmaster@example.com" || g.msg.To[0].Policy != "postmaster" {
		t.Fatalf("to %+v", g.msg.To)
	}
	c.cmd("MAIL FROM:<postmaster>", "501")
}

// A recipient that is always taken is refused by no rule at RCPT, and its neighbours are.
func TestRecipientsThatAreAlwaysTaken(t *testing.T) {
	w := start(t, func(w *world) {
		judged(t, w)
		w.steps = []filter.Step{finds(filter.OnConnect, "OWN_BLOCK"), finds(filter.OnRecipient, "RATE_IP")}
		w.always = func(to filter.Recipient) bool { return strings.HasPrefix(to.Address, "desk@") }
	})
	c := w.dial()
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	c.cmd("RCPT TO:<to@example.com>", "550")
	c.cmd("RCPT TO:<postmaster@example.com>", "451")
	c.cmd("RCPT TO:<desk@example.com>", "250")
	c.cmd("RCPT TO:<desk@elsewhere.test>", "550 5.7.1 relaying denied")
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.only(); len(g.msg.To) != 1 || g.msg.To[0].Address != "desk@example.com" {
		t.Fatalf("to %+v", g.msg.To)
	}
}

// Rates are no content: they hold for the postmaster's mailbox too.
func TestRatesHoldForPostmaster(t *testing.T) {
	w := limited(t, limit.Config{IP: limit.Rate{Hour: 1}})
	for _, want := range []string{"250", "451 4.7.1 Too many messages from this host"} {
		for _, to := range []string{"postmaster", "abuse@example.com"} {
			c := w.as("192.0.2.5")
			c.cmd("MAIL FROM:<a@sender.test>", "250")
			c.cmd("RCPT TO:<"+to+">", want)
			if to != "postmaster" && want == "250" {
				c.cmd("DATA", "354")
				c.send("\r\n.\r\n")
				c.want("250")
			}
			c.cmd("QUIT", "221")
			c.closed()
		}
	}
}

// kept notes holds instead of writing them.
type kept struct {
	mu   sync.Mutex
	held []string
}

func (k *kept) Provisional(_ context.Context, h relay.HoldRequest) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = append(k.held, h.Recipient.Address+" "+h.Class)
	return h.Message.ID + "-01", nil
}

func (*kept) Confirm(context.Context, []string) error { return nil }
func (*kept) Drop(context.Context, []string) error    { return nil }
func (*kept) Ended(context.Context, string) (string, bool, error) {
	return "", false, nil
}

// relaying puts the real relay behind the server.
func relaying(t *testing.T, set *rules.Set, steps ...filter.Step) (*world, *mailtest.Backend, *kept) {
	t.Helper()
	behind, holds := mailtest.NewBackend(t, mailtest.Script{}), &kept{}
	w := start(t, func(w *world) {
		w.judge, w.policy, w.steps = set.Judge, set.PolicyFor, steps
		pools := backend.New(backend.Config{LocalName: "mx.test", Pools: map[string][]backend.Server{"mail": {{Addr: behind.Addr()}}}}, w.now, nil)
		t.Cleanup(func() { _ = pools.Close() })
		r := &relay.Relay{
			Backends: relay.Pools{Pools: pools}, Holds: holds, Outbox: outboxtest.NewMemory(), Now: w.now,
			Stamper: &stamp.Stamper{Names: stamp.DefaultNames("mx.test"), Key: []byte("k")},
		}
		w.deliver = func(ctx context.Context, d smtpd.Delivery) filter.Outcome {
			return r.Deliver(ctx, relay.Job{Message: d.Message, Report: d.Report, Verdicts: filter.Verdicts(set, d.Message, d.Report), Received: d.Times.Received, Abort: d.Abort})
		}
	})
	return w, behind, holds
}

// What a message says gets it refused to others, and tagged to the postmaster.
func TestContentToPostmaster(t *testing.T) {
	set, err := rules.LoadFS(rules.Layer{Name: "mine", FS: fstest.MapFS{"r.yaml": {Data: []byte("symbols: {T_NO: {action: reject, describe: Refused by itself}, T_SPAM: {score: 40, describe: Spam}}")}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		symbol, to, want string
		got, held        string // recipients
	}{
		{"T_NO", "to@example.com", "550 5.7.1 Refused by itself", "", ""},
		{"T_NO", "postmaster", "250", "postmaster@example.com", ""},
		{"T_SPAM", "Abuse+x@example.com", "250", "Abuse+x@example.com", ""},
		{"T_SPAM", "to@example.com", "550 5.7.1 The message was judged to be spam", "", ""},
		{"T_NO", "postmaster to@example.com", "250", "postmaster@example.com", "to@example.com rejected-beside"},
		{"T_SPAM", "to@example.com abuse@example.com", "250", "abuse@example.com", "to@example.com rejected-beside"},
		{"VIRUS", "postmaster", "250", "", "postmaster@example.com quarantine"},
		{"VIRUS", "postmaster to@example.com", "250", "", "postmaster@example.com quarantine|to@example.com rejected-beside"},
	} {
		t.Run(c.symbol+" "+c.to, func(t *testing.T) {
			w, behind, holds := relaying(t, set, finds(filter.OnData, c.symbol))
			cl := w.dial()
			cl.cmd("MAIL FROM:<a@sender.test>", "250")
			for to := range strings.FieldsSeq(c.to) {
				cl.cmd("RCPT TO:<"+to+">", "250")
			}
			cl.cmd("DATA", "354")
			cl.send("From: a@sender.test\r\nSubject: x\r\n\r\nb\r\n.\r\n")
			cl.want(c.want)
			var got []string
			for _, tx := range behind.Transactions() {
				got = append(got, tx.To...)
				if !strings.Contains(string(tx.Body), "\r\nX-Postern-Verdict: tag;") {
					t.Errorf("not tagged: %s", tx.Body)
				}
			}
			// What is refused to everybody keeps its evidence, if any, beside.
			var held []string
			for _, h := range holds.held {
				if !strings.HasSuffix(h, " evidence") {
					held = append(held, h)
				}
			}
			if strings.Join(got, "|") != c.got || strings.Join(held, "|") != c.held {
				t.Errorf("delivered to %v, want %s; held %v, want %s", got, c.got, held, c.held)
			}
		})
	}
}
