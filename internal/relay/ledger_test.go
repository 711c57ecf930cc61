package relay_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/breaker"
	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/internal/relay"
	"postern/internal/relay/backend"
	"postern/internal/relay/client"
)

// into writes what a scripted server took into the book.
func into(l *ledger.Ledger) func(tx mailtest.Transaction) {
	return func(tx mailtest.Transaction) {
		for i, to := range tx.To {
			r := tx.Replies
			// No reply: the server has the message and the connection broke.
			if len(r) == 0 || strings.HasPrefix(r[min(i, len(r)-1)], "2") {
				l.Arrived([]string{to}, tx.Body)
			}
		}
	}
}

// moody is a server that fails at every point now and then, until it is told not to.
func moody(calm *atomic.Bool) func(at mailtest.Point, conn int, arg string) (mailtest.Step, bool) {
	return func(at mailtest.Point, _ int, _ string) (mailtest.Step, bool) {
		if calm.Load() || at == mailtest.AtRset || at == mailtest.AtQuit || rand.IntN(12) > 0 {
			return mailtest.Step{}, false
		}
		switch n := rand.IntN(6); {
		case n == 0:
			return mailtest.Step{Do: mailtest.SendRST}, true
		case n == 1:
			return mailtest.Step{Do: mailtest.CloseSilent}, true
		case n == 2 && at != mailtest.AtBanner && at != mailtest.AtHello:
			return mailtest.Step{Reply: "550 5.7.1 no"}, true
		default:
			return mailtest.Step{Reply: "451 4.3.0 later"}, true
		}
	}
}

// TestNothingIsLost sends a load through the relay to two servers that fail at random, over
// the real pools, comes again after each 4xx as a sender does, and balances the book.
func TestNothingIsLost(t *testing.T) {
	book := ledger.New()
	var calm atomic.Bool
	b1 := mailtest.NewBackend(t, mailtest.Script{Hook: moody(&calm), Done: into(book), DropBodies: false})
	b2 := mailtest.NewBackend(t, mailtest.Script{LMTP: true, Hook: moody(&calm), Done: into(book)})
	pools := backend.New(backend.Config{
		LocalName: "mx1.example.com", Rest: breaker.Config{Rest: time.Millisecond, MaxRest: time.Millisecond},
		Pools: map[string][]backend.Server{
			"x": {{Addr: b1.Addr(), Protocol: client.SMTP}},
			"y": {{Addr: b2.Addr(), Protocol: client.LMTP}},
		},
	}, time.Now, slog.New(slog.DiscardHandler))
	defer pools.Close()
	w := newWorld(t)
	w.relay.Backends = relay.Pools{Pools: pools}
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for n := k; n < 240; n += 4 {
				deliverOnce(t, w, book, n)
			}
		})
	}
	wg.Wait()
	calm.Store(true)
	empty(t, w)
	var kept []ledger.Copy
	for _, h := range w.holds.byID {
		if h.confirmed {
			kept = append(kept, ledger.Copy{SHA256: h.sha, Recipient: h.to})
		} else if !h.dropped {
			t.Errorf("hold %s was left provisional", h.id)
		}
	}
	r := book.Report(kept...)
	t.Log(r)
	if !r.OK() || r.Taken == 0 || r.Kept == 0 || r.Delivered == 0 || len(r.Ambiguous) > 0 {
		t.Errorf("%s", r)
	}
	if len(r.Unfinished) != 0 {
		t.Errorf("%d copies without an end", len(r.Unfinished))
	}
}

// deliverOnce sends message n until it has an answer for good.
func deliverOnce(t *testing.T, w *world, book *ledger.Ledger, n int) {
	m := ledger.Make(11, n, "s@load.example", []string{"a@p.x", "b@p.x", "c@p.y", "d@p.y", "e@q.x", "f@q.y"}, 8<<10)
	book.Send(m)
	verdicts := map[string]filter.Verdict{"p": accept, "q": []filter.Verdict{accept, tag, keep, reject}[n/8%4]}
	for try := range 500 {
		j := job(verdicts, m.To...)
		j.Message.ID = fmt.Sprintf("01hf7yat00zzzzzzzzzz%03d%03d", n, try)
		j.Message.From, j.Message.SHA256 = m.From, m.SHA256
		j.Message.Body, j.Message.Size = strings.NewReader(string(m.Body)), m.Size
		o := w.relay.Deliver(t.Context(), j)
		book.Answer(m.ID, m.To, o.Reply)
		for _, f := range o.Fates {
			if f.Ambiguous {
				book.Excuse(m.ID, f.Recipient)
			}
		}
		if o.Reply[0] != '4' {
			return
		}
		time.Sleep(time.Millisecond) // a sender's pause, so that the servers' rests end
	}
	t.Errorf("message %d has no answer after 500 tries", n)
}

// empty sends what the outbox owes until nothing is left.
func empty(t *testing.T, w *world) {
	for range 100 {
		e, _, ok, err := w.outbox.Claim(context.Background(), time.Now().Add(24*time.Hour), time.Minute)
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
		left := e.To[:0:0]
		for i, res := range w.relay.Send(context.Background(), e, body) {
			if res.Refused {
				t.Errorf("refused: %s", res.Reply)
			}
			if !res.Done {
				left = append(left, e.To[i])
			}
		}
		e.To = left
		write := w.outbox.End
		if len(left) > 0 {
			write = w.outbox.Retry
		}
		if err := write(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.outbox.Len(); n != 0 {
		t.Errorf("%d entries are still owed", n)
	}
}
