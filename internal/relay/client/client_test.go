package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/filter"
	"postern/internal/mailtest"
	"postern/internal/relay/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type steps = map[mailtest.Point]mailtest.Step

const body = "Subject: hello\r\n\r\n.first dot\r\n..two\r\n.\r\ntext\r\n"

func options(b *mailtest.Backend) client.Options {
	return client.Options{Addr: b.Addr(), LocalName: "gw.example.org"}
}

// patient bounds a test that hangs.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, o client.Options) *client.Conn {
	t.Helper()
	c, err := client.Dial(patient(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func envelope(to ...string) client.Envelope {
	return client.Envelope{From: "a@example.org", To: to, Size: int64(len(body))}
}

// send runs a whole transaction.
func send(ctx context.Context, c *client.Conn, e client.Envelope, text string) (client.Begun, []client.Reply, error) {
	b, err := c.Begin(ctx, e)
	if err != nil || !b.OK() {
		return b, nil, err
	}
	if err := c.Body(ctx, strings.NewReader(text)); err != nil {
		return b, nil, err
	}
	r, err := c.End(ctx)
	return b, r, err
}

func mustSend(t *testing.T, c *client.Conn, e client.Envelope) []client.Reply {
	t.Helper()
	b, r, err := send(patient(t), c, e, body)
	if err != nil || !b.OK() || len(r) == 0 || !r[0].OK() {
		t.Fatalf("begun %+v, replies %v, error %v", b, r, err)
	}
	return r
}

func asError(t testing.TB, err error) *client.Error {
	t.Helper()
	var e *client.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %T %v, want *client.Error", err, err)
	}
	if p := e.Public(); p.Code != 451 || strings.Contains(p.String(), "127.0.0.1") {
		t.Errorf("public face of %v is %v", err, p)
	}
	return e
}

func TestBytesArriveAsTheyAre(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	c := dial(t, options(b))
	for range 3 {
		r := mustSend(t, c, envelope("b@example.com", "c@example.com"))
		if len(r) != 1 || r[0].Enhanced != "2.0.0" || !strings.HasPrefix(r[0].Text, "queued as ") {
			t.Errorf("replies %+v", r)
		}
	}
	txs := b.WaitTransactions(t, 3)
	for _, tx := range txs {
		if string(tx.Body) != body || tx.BareEnds != 0 || tx.Helo != "gw.example.org" {
			t.Errorf("recorded %+v", tx)
		}
		if fmt.Sprint(tx.From, tx.FromParams, tx.To) != "a@example.org[SIZE=46] [b@example.com c@example.com]" {
			t.Errorf("envelope %v %v %v", tx.From, tx.FromParams, tx.To)
		}
	}
	if _, _, total := b.Connections(); total != 1 || c.Uses() != 3 {
		t.Errorf("%d connections, %d uses", total, c.Uses())
	}
}

func TestPipeliningOnlyWhereOffered(t *testing.T) {
	for _, offered := range []bool{true, false} {
		s := mailtest.Script{Extensions: []string{"SIZE 1000000"}}
		if offered {
			s.Extensions = append(s.Extensions, "pipelining")
		}
		b := mailtest.NewBackend(t, s)
		mustSend(t, dial(t, options(b)), envelope("b@example.com", "c@example.com"))
		got := 0
		for _, cmd := range b.Commands() {
			if cmd.Pipelined {
				got++
			}
		}
		if want := map[bool]int{true: 3, false: 0}[offered]; got != want {
			t.Errorf("offered %v: %d commands were pipelined, want %d", offered, got, want)
		}
	}
}

func TestManyRecipients(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{RcptFor: map[string]mailtest.Step{"u205@example.com": {Reply: "550 5.1.1 no"}}})
	var to []string
	for i := range 350 {
		to = append(to, fmt.Sprintf("u%d@example.com", i))
	}
	begun, _, err := send(patient(t), dial(t, options(b)), envelope(to...), body)
	if err != nil || !begun.OK() {
		t.Fatal(begun.Data, err)
	}
	for i, r := range begun.Rcpt {
		if r.OK() == (i == 205) {
			t.Errorf("recipient %d: %v", i, r)
		}
	}
	if tx := b.WaitTransactions(t, 1)[0]; len(tx.To) != 349 || len(tx.Refused) != 1 {
		t.Errorf("%d taken, %d refused", len(tx.To), len(tx.Refused))
	}
}

func TestHeloFallback(t *testing.T) {
	for _, c := range []struct {
		reply string
		ok    bool
	}{
		{"500 5.5.1 what", true}, {"501 no", true}, {"502 5.5.1 not implemented", true}, {"504 no", true},
		{"421 go away", false}, {"450 later", false}, {"550 5.7.1 you may not", false}, {"554 no", false}, {"220 odd", false},
	} {
		t.Run(c.reply, func(t *testing.T) {
			b := mailtest.NewBackend(t, mailtest.Script{Steps: steps{mailtest.AtHello: {Reply: c.reply}}})
			conn, err := client.Dial(patient(t), options(b))
			if !c.ok {
				if e := asError(t, err); e.Stage != client.StageHello || e.Reply.Code == 0 {
					t.Errorf("error %v", e)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if x := conn.Extensions(); x.Pipelining || x.SizeOffered {
				t.Errorf("a HELO session offers %+v", x)
			}
			mustSend(t, conn, envelope("b@example.com"))
			if got := b.Lines()[:2]; fmt.Sprint(got) != "[EHLO gw.example.org HELO gw.example.org]" {
				t.Errorf("greeted with %q", got)
			}
		})
	}
	b := mailtest.NewBackend(t, mailtest.Script{Steps: steps{mailtest.AtHello: {Reply: "502 no"}, mailtest.AtHelo: {Reply: "550 no"}}})
	_, err := client.Dial(patient(t), options(b))
	if e := asError(t, err); e.Reply.Code != 550 {
		t.Errorf("refused HELO: %v", err)
	}
}

func TestEnvelopeParameters(t *testing.T) {
	for _, c := range []struct {
		name string
		ext  []string
		env  client.Envelope
		want string // parameters of MAIL, or the refusal
	}{
		{"all", []string{"SIZE", "8BITMIME", "SMTPUTF8"}, client.Envelope{Size: 5, EightBit: true, UTF8: true}, "[SIZE=5 BODY=8BITMIME SMTPUTF8]"},
		{"lower case keywords", []string{"size 1000", "8bitmime", "smtputf8"}, client.Envelope{Size: 5, EightBit: true, UTF8: true}, "[SIZE=5 BODY=8BITMIME SMTPUTF8]"},
		{"none offered", []string{"HELP"}, client.Envelope{Size: 5, EightBit: true}, "[]"},
		{"plain mail", nil, client.Envelope{Size: 5}, "[SIZE=5]"},
		{"size unknown", nil, client.Envelope{}, "[]"},
		{"utf8 address", nil, client.Envelope{From: "ü@example.org"}, "[BODY=8BITMIME SMTPUTF8]"},
		{"utf8 not offered", []string{"8BITMIME"}, client.Envelope{UTF8: true}, "550 5.6.7"},
		{"utf8 sender not offered", []string{"8BITMIME"}, client.Envelope{From: "ü@example.org"}, "550 5.6.7"},
		{"too large", []string{"SIZE 4"}, client.Envelope{Size: 5}, "552 5.3.4"},
		{"fits exactly", []string{"SIZE 5"}, client.Envelope{Size: 5}, "[SIZE=5]"},
		{"no limit", []string{"SIZE 0"}, client.Envelope{Size: 5}, "[SIZE=5]"},
		{"silly limit", []string{"SIZE 99999999999999999999"}, client.Envelope{Size: 5}, "[SIZE=5]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := mailtest.NewBackend(t, mailtest.Script{Extensions: c.ext})
			conn := dial(t, options(b))
			c.env.To = []string{"b@example.com"}
			begun, _, err := send(patient(t), conn, c.env, body)
			if err != nil {
				t.Fatal(err)
			}
			if begun.OK() {
				if got := fmt.Sprint(b.WaitTransactions(t, 1)[0].FromParams); got != c.want {
					t.Errorf("parameters %s, want %s", got, c.want)
				}
				return
			}
			if !strings.HasPrefix(begun.Mail.String(), c.want) || len(b.Lines()) != 1 {
				t.Errorf("refused %v after %q, want %s", begun.Mail, b.Lines(), c.want)
			}
			if !conn.Idle() {
				t.Error("the connection cannot be used again")
			}
		})
	}
}

// H-J02: what stands in an address never becomes a parameter or a command.
func TestAddressesNeverInject(t *testing.T) {
	bad := []string{
		"x> ORCPT=rfc822;v@other <y", "a@example.com>\r\nRCPT TO:<v@other", "a@example.com\r\nDATA", "a b@example.com",
		"a@example.com SIZE=1", "<a@example.com>", "a\x00@example.com", "\x1b[2J@example.com", "@route:a@b.example", "", "nobody",
	}
	for _, addr := range bad {
		b := mailtest.NewBackend(t, mailtest.Script{})
		c := dial(t, options(b))
		begun, err := c.Begin(patient(t), client.Envelope{From: "a@example.org", To: []string{addr}})
		if err != nil || begun.OK() || len(begun.Rcpt) != 1 || begun.Rcpt[0].Code != 501 {
			t.Errorf("recipient %q: %+v %v", addr, begun, err)
		}
		if addr != "" {
			begun, err = c.Begin(patient(t), client.Envelope{From: addr, To: []string{"b@example.com"}})
			if err != nil || begun.Mail.Code != 501 {
				t.Errorf("sender %q: %+v %v", addr, begun, err)
			}
		}
		if n := len(b.Lines()); n != 1 {
			t.Errorf("%q: said %q", addr, b.Lines())
		}
		mustSend(t, c, envelope("b@example.com"))
	}
}

func TestQuotedAddressesStayQuoted(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	to := []string{`"victim@other.org> "@example.com`, `"a\"b"@example.com`, `"plain"@example.com`, "bad address@x", "o'hara+tag@Example.COM"}
	begun, _, err := send(patient(t), dial(t, options(b)), envelope(to...), body)
	if err != nil || !begun.OK() || begun.Rcpt[3].Code != 501 {
		t.Fatal(begun, err)
	}
	tx := b.WaitTransactions(t, 1)[0]
	want := []string{`"victim@other.org> "@example.com`, `"a\"b"@example.com`, "plain@example.com", "o'hara+tag@example.com"}
	if fmt.Sprint(tx.To) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", tx.To, want)
	}
}

func TestLocalNameIsChecked(t *testing.T) {
	for _, name := range []string{"", "a b", "a\r\nRSET", "ü.example"} {
		if _, err := client.Dial(patient(t), client.Options{Addr: "127.0.0.1:1", LocalName: name}); asError(t, err).Stage != client.StageHello {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestConnectRefused(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	b.Stop()
	_, err := client.Dial(patient(t), options(b))
	if e := asError(t, err); e.Stage != client.StageConnect {
		t.Errorf("error %v", e)
	}
}

func TestDialThroughAnotherNetwork(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	o := options(b)
	o.Addr = "unix:/run/dovecot/lmtp"
	o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network != "unix" || addr != "/run/dovecot/lmtp" {
			t.Errorf("dialled %s %s", network, addr)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", b.Addr())
	}
	mustSend(t, dial(t, o), envelope("b@example.com"))
}

func TestXClient(t *testing.T) {
	ext := []string{"PIPELINING", "XCLIENT NAME ADDR PORT PROTO HELO LOGIN", "XFORWARD NAME ADDR IDENT SOURCE"}
	b := mailtest.NewBackend(t, mailtest.Script{Extensions: ext})
	o := options(b)
	o.XClient, o.XForward = true, true
	c := dial(t, o)
	e := envelope("b@example.com")
	e.Client = filter.Client{IP: netip.MustParseAddr("2001:db8::1"), Port: 1234, Helo: "evil\r\nMAIL FROM:<x> a=b+c"}
	e.Account, e.ID = "jo@example.org", "0123"
	mustSend(t, c, e)
	e.Client, e.Account = filter.Client{IP: netip.MustParseAddr("::ffff:192.0.2.1"), Name: "mx.example.net"}, ""
	mustSend(t, c, e)
	txs := b.WaitTransactions(t, 2)
	want := []map[string]string{
		{"ADDR": "IPV6:2001:db8::1", "PORT": "1234", "PROTO": "ESMTP", "LOGIN": "jo@example.org", "NAME": "[UNAVAILABLE]", "HELO": "evil\r\nMAIL FROM:<x> a=b+c"},
		{"ADDR": "192.0.2.1", "PORT": "[UNAVAILABLE]", "PROTO": "ESMTP", "LOGIN": "[UNAVAILABLE]", "NAME": "mx.example.net", "HELO": "[UNAVAILABLE]"},
	}
	for i, tx := range txs {
		if fmt.Sprint(tx.XClient) != fmt.Sprint(want[i]) {
			t.Errorf("transaction %d: XCLIENT %q, want %q", i, tx.XClient, want[i])
		}
		if tx.XForward["SOURCE"] != "REMOTE" || tx.XForward["IDENT"] != "0123" || len(tx.XForward) != 4 {
			t.Errorf("XFORWARD %q", tx.XForward)
		}
	}
	if !c.Impersonated() {
		t.Error("the connection does not know that it carried XCLIENT")
	}
}

func TestXClientRefusedOrNotOffered(t *testing.T) {
	e := envelope("b@example.com")
	e.Client.IP = netip.MustParseAddr("192.0.2.1")
	b := mailtest.NewBackend(t, mailtest.Script{})
	o := options(b)
	o.XClient, o.XForward = true, true
	mustSend(t, dial(t, o), e)

	b.Set(mailtest.Script{Extensions: []string{"XCLIENT ADDR", "XFORWARD ADDR"}, Steps: steps{mailtest.AtXClient: {Reply: "550 5.7.1 not you"}}})
	_, err := dial(t, o).Begin(patient(t), e)
	if got := asError(t, err); got.Stage != client.StageXClient || got.Reply.Code != 550 {
		t.Errorf("refused XCLIENT: %v", err)
	}
	b.Set(mailtest.Script{Extensions: []string{"XFORWARD ADDR"}, Steps: steps{mailtest.AtXForward: {Reply: "550 5.7.1 not you"}}})
	mustSend(t, dial(t, o), e)
}

func TestProbe(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: []string{"known@example.com"}})
	c := dial(t, options(b))
	begun, err := c.Probe(patient(t), "known@example.com", "unknown@example.com")
	if err != nil || !begun.Mail.OK() || !begun.Rcpt[0].OK() || begun.Rcpt[1].Code != 550 {
		t.Fatalf("%+v %v", begun, err)
	}
	want := "[EHLO gw.example.org MAIL FROM:<> RCPT TO:<known@example.com> RCPT TO:<unknown@example.com> RSET]"
	if got := fmt.Sprint(b.Lines()); got != want {
		t.Errorf("said %s", got)
	}
	mustSend(t, c, envelope("known@example.com"))
	if len(b.WaitTransactions(t, 1)) != 1 {
		t.Error("a probe reached DATA")
	}
}

// Postfix loses patience after 20 errors or 100 RSETs on one connection.
func TestWorn(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: []string{"known@example.com"}})
	c := dial(t, options(b))
	for i := range client.MaxRefusals {
		if c.Worn() {
			t.Fatalf("worn after %d refusals", i)
		}
		c.Probe(patient(t), "unknown@example.com")
	}
	if !c.Worn() {
		t.Error("not worn by refusals")
	}
	c = dial(t, options(b))
	for i := range client.MaxProbes {
		if c.Worn() {
			t.Fatalf("worn after %d probes", i)
		}
		c.Probe(patient(t), "known@example.com")
	}
	if !c.Worn() {
		t.Error("not worn by probes")
	}
}

func TestOutOfOrder(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	c := dial(t, options(b))
	if _, err := c.End(patient(t)); asError(t, err).Ambiguous {
		t.Error("a dot that was never sent is ambiguous")
	}
	if c.Idle() || c.Err() == nil {
		t.Error("the connection goes on after a call out of order")
	}
	if err := c.Body(patient(t), strings.NewReader("")); err == nil {
		t.Error("a body on a closed connection")
	}
	if _, err := c.Probe(patient(t), "a@b.example"); err == nil {
		t.Error("a probe on a closed connection")
	}
}

func TestAbortDeliversNothing(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	c := dial(t, options(b))
	begun, err := c.Begin(patient(t), envelope("b@example.com"))
	if err != nil || !begun.OK() {
		t.Fatal(begun, err)
	}
	if err := c.Body(patient(t), strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	c.Abort(patient(t))
	if tx := b.WaitTransactions(t, 1)[0]; tx.Complete || string(tx.Body) != body {
		t.Errorf("after Abort: %+v", tx)
	}
	c = dial(t, options(b))
	c.Abort(patient(t))
	mustSend(t, c, envelope("b@example.com"))
}
