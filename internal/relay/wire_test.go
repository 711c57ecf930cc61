package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/mailtest"
	"postern/internal/relay"
	"postern/internal/relay/client"
)

// dialer connects afresh to a scripted server for each transaction.
type dialer map[string]*mailtest.Backend

func (d dialer) Begin(ctx context.Context, pool string, e client.Envelope) (relay.Conn, client.Begun, func(bool), error) {
	b := d[pool]
	protocol := client.SMTP
	if strings.HasPrefix(pool, "lmtp") {
		protocol = client.LMTP
	}
	c, err := client.Dial(ctx, client.Options{Addr: b.Addr(), Protocol: protocol, LocalName: "mx1.example.com"})
	if err != nil {
		return nil, client.Begun{}, nil, err
	}
	begun, err := c.Begin(ctx, e)
	if err != nil {
		c.Close()
		return nil, begun, nil, err
	}
	return c, begun, func(bool) { c.Close() }, nil
}

// wire is how a scripted server does what a behaviour says.
func wire(b behaviour) mailtest.Script {
	s := mailtest.Script{LMTP: b.said.lmtp, Steps: map[mailtest.Point]mailtest.Step{}}
	for at, text := range map[mailtest.Point]string{mailtest.AtMail: b.said.mail, mailtest.AtRcpt: b.said.rcpt, mailtest.AtData: b.said.data, mailtest.AtEnd: b.said.dot} {
		if text != "" {
			s.Steps[at] = mailtest.Step{Reply: text}
		}
	}
	steps := func(m map[string]string) map[string]mailtest.Step {
		out := map[string]mailtest.Step{}
		for to, text := range m {
			out[to] = mailtest.Step{Reply: text}
		}
		return out
	}
	s.RcptFor, s.EndFor = steps(b.said.rcptFor), steps(b.said.dotFor)
	switch {
	case b.said.lostDot:
		s.Steps[mailtest.AtEnd] = mailtest.Step{Do: mailtest.SendRST}
	case b.said.lostAt > 0:
		for to := range twos("") {
			s.EndFor[to] = mailtest.Step{Do: mailtest.CloseSilent}
		}
	}
	return s
}

// TestOverTheWire runs the behaviours that a real socket can show through our own client: the
// answer and the fates are those of the same oracle, and what arrived is what was judged.
func TestOverTheWire(t *testing.T) {
	var all []behaviour
	for _, b := range behaviours() {
		if !b.said.cutBody {
			all = append(all, b)
		}
	}
	backend := func(b behaviour) *mailtest.Backend {
		s := mailtest.NewBackend(t, wire(b))
		if b.said.connect {
			s.Stop()
		}
		return s
	}
	var xs, ys []*mailtest.Backend
	for _, b := range all {
		xs, ys = append(xs, backend(b)), append(ys, backend(b))
	}
	for i, x := range all {
		for k, y := range all {
			xs[i].Forget()
			ys[k].Forget()
			wireCase(t, x, y, xs[i], ys[k])
		}
	}
}

func wireCase(t *testing.T, x, y behaviour, bx, by *mailtest.Backend) {
	w := newWorld(t)
	name := func(b behaviour, s string) string {
		if b.said.lmtp {
			return "lmtp-" + s
		}
		return s
	}
	w.relay.Backends = dialer{name(x, "x"): bx, name(y, "y"): by}
	v := map[string]filter.Verdict{"p": accept, "q": keep}
	j := job(v, "one@p.x", "two@p.x", "one@p.y", "two@p.y", "held@q.x")
	var rs []rcpt
	for i := range j.Message.To {
		to := &j.Message.To[i]
		b := x
		if to.Backend == "y" {
			b = y
		}
		to.Backend = name(b, to.Backend)
		n := min(strings.Index("ot", to.Address[:1]), 1)
		r := rcpt{address: to.Address, action: j.Verdicts[i].Action, pre: '2', post: '2'}
		if n >= 0 {
			r.pre, r.post = b.pre[n], b.post[n]
		}
		rs = append(rs, r)
	}
	want := oracle(rs)
	o := w.relay.Deliver(t.Context(), j)
	if o.Reply[0] != want.class {
		t.Fatalf("x %s, y %s: %s\n%swant %c %v", x.name, y.name, o.Reply, fates(o), want.class, want.fate)
	}
	for _, f := range o.Fates {
		got := string(f.State)
		if f.State == filter.Held {
			got += " " + w.holds.byID[f.Hold].class
		}
		if f.State == filter.InOutbox && f.Ambiguous {
			got += " ambiguous"
		}
		if got != want.fate[f.Recipient] {
			t.Errorf("x %s, y %s: %s is told %q, want %q", x.name, y.name, f.Recipient, got, want.fate[f.Recipient])
		}
	}
	for _, b := range []*mailtest.Backend{bx, by} {
		for _, tx := range b.Transactions() {
			checkArrived(t, tx, want)
		}
	}
}

// checkArrived holds a transaction that reached its final dot against the message.
func checkArrived(t *testing.T, tx mailtest.Transaction, want ruling) {
	t.Helper()
	if !tx.Complete {
		return
	}
	if want.class != '2' && tx.Accepted() {
		t.Errorf("delivered to %v, yet the sender still owns it", tx.To)
	}
	if !bytes.HasSuffix(tx.Body, []byte("\r\n"+without)) || tx.BareEnds != 0 || tx.From != "a@sender.example" {
		t.Errorf("from %s came %q", tx.From, tx.Body)
	}
	sum := sha256.Sum256(tx.Body[len(tx.Body)-len(without):])
	ours := sha256.Sum256([]byte(without))
	if hex.EncodeToString(sum[:]) != hex.EncodeToString(ours[:]) {
		t.Error("digest")
	}
}
