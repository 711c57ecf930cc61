package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/internal/relay/client"
)

// where says how far a transaction came: the stage of the error or of the refusal.
func where(ctx context.Context, o client.Options) (stage client.Stage, r client.Reply, err error, reusable bool) {
	c, err := client.Dial(ctx, o)
	if err != nil {
		var e *client.Error
		errors.As(err, &e)
		return e.Stage, e.Reply, err, false
	}
	defer c.Close()
	b, replies, err := send(ctx, c, envelope("b@example.com"), body)
	var e *client.Error
	switch {
	case errors.As(err, &e):
		return e.Stage, e.Reply, err, c.Idle()
	case !b.Mail.OK():
		return client.StageMail, b.Mail, nil, c.Idle()
	case !b.Rcpt[0].OK():
		return client.StageRcpt, b.Rcpt[0], nil, c.Idle()
	case !b.OK():
		return client.StageData, b.Data, nil, c.Idle()
	case err != nil:
		return "", client.Reply{}, err, c.Idle()
	}
	return client.StageEnd, replies[0], nil, c.Idle()
}

var points = map[mailtest.Point]client.Stage{
	mailtest.AtBanner: client.StageBanner, mailtest.AtHello: client.StageHello, mailtest.AtMail: client.StageMail,
	mailtest.AtRcpt: client.StageRcpt, mailtest.AtData: client.StageData, mailtest.AtEnd: client.StageEnd,
}

// eachWay runs f for both protocols, with and without pipelining, and every point.
func eachWay(t *testing.T, f func(t *testing.T, s mailtest.Script, o client.Options, at mailtest.Point)) {
	for _, p := range []client.Protocol{client.SMTP, client.LMTP} {
		for _, ext := range [][]string{{"PIPELINING"}, {"8BITMIME"}} {
			for at := range points {
				t.Run(fmt.Sprintf("%s/%s/%s", p, ext[0], at), func(t *testing.T) {
					f(t, mailtest.Script{LMTP: p == client.LMTP, Extensions: ext}, client.Options{Protocol: p, LocalName: "gw.example.org"}, at)
				})
			}
		}
	}
}

// F21: the code of a refusal is kept at every stage; before MAIL it is a broken link.
func TestRefusalAtEachStage(t *testing.T) {
	eachWay(t, func(t *testing.T, s mailtest.Script, o client.Options, at mailtest.Point) {
		for _, code := range []int{421, 450, 451, 452, 550, 552, 554} {
			enhanced := fmt.Sprintf("%d.7.9", code/100)
			s.Steps = steps{at: {Reply: fmt.Sprintf("%d-%s not\n%d %s now\x1b[2J\x07", code, enhanced, code, enhanced)}}
			b := mailtest.NewBackend(t, s)
			o.Addr = b.Addr()
			stage, r, err, reusable := where(patient(t), o)
			if stage != points[at] || r.Code != code || r.Enhanced != enhanced || r.Text != "not now?[2J?" {
				t.Errorf("%d: at %s: %+v, error %v", code, stage, r, err)
			}
			early := at == mailtest.AtBanner || at == mailtest.AtHello
			if (err != nil) != early {
				t.Errorf("%d: error %v", code, err)
			}
			if early {
				asError(t, err)
			} else if reusable != (code != 421) {
				t.Errorf("%d: reusable %v", code, reusable)
			}
			for _, tx := range b.Transactions() {
				if tx.Accepted() {
					t.Errorf("%d: delivered", code)
				}
			}
		}
	})
}

// A refusal leaves the connection good for the next transaction.
func TestNextMailAfterRefusal(t *testing.T) {
	eachWay(t, func(t *testing.T, s mailtest.Script, o client.Options, at mailtest.Point) {
		if at == mailtest.AtBanner || at == mailtest.AtHello {
			return
		}
		s.Steps = steps{at: {Reply: "550 5.1.1 no"}}
		b := mailtest.NewBackend(t, s)
		o.Addr = b.Addr()
		c := dial(t, o)
		send(patient(t), c, envelope("b@example.com"), body)
		b.Change(func(s *mailtest.Script) { s.Steps = nil })
		mustSend(t, c, envelope("b@example.com"))
		if _, _, total := b.Connections(); total != 1 {
			t.Errorf("%d connections", total)
		}
	})
}

// F20, F22, F24: a server that stalls, breaks off or talks nonsense is an error at that
// stage, ambiguous only after the dot, and the connection is not used again.
func TestBrokenServerAtEachStage(t *testing.T) {
	faults := map[string]mailtest.Step{
		"hang":     {Do: mailtest.Hang},
		"half":     {Do: mailtest.HalfReply},
		"cut":      {Do: mailtest.HalfThenClose},
		"close":    {Do: mailtest.CloseSilent},
		"rst":      {Do: mailtest.SendRST},
		"garbage":  {Do: mailtest.SendGarbage},
		"bare LF":  {Do: mailtest.SendBareLF},
		"bare CR":  {Raw: "250 ok\r250 ok\r\r\n\n"},
		"endless":  {Raw: strings.Repeat("250-more and more and more\r\n", 1<<12)},
		"long":     {Raw: "250 " + strings.Repeat("x", 1<<20) + "\r\n"},
		"mixed":    {Raw: "250-a\r\n550 b\r\n"},
		"no code":  {Raw: "hello\r\n"},
		"code 199": {Raw: "199 hm\r\n"},
		"code 600": {Raw: "600 hm\r\n"},
		"code 333": {Raw: "333 hm\r\n"},
		"tail":     {Raw: "2500 hm\r\n"},
		"empty":    {Raw: "\r\n"},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, s mailtest.Script, o client.Options, at mailtest.Point) {
				t.Parallel()
				mailtest.Steady(t, -1, func(t testing.TB, scale time.Duration) {
					s.Steps = steps{at: fault}
					b := mailtest.NewBackend(t, s)
					o.Addr = b.Addr()
					o.Timeouts = client.Timeouts{Reply: scale * 50 * time.Millisecond, End: scale * 50 * time.Millisecond}
					stage, _, err, reusable := where(patient(t), o)
					e := asError(t, err)
					if stage == client.StageConnect && at == mailtest.AtBanner {
						stage = client.StageBanner // an RST may be faster than connect
					}
					if stage != points[at] || reusable || e.Ambiguous != (at == mailtest.AtEnd) {
						t.Errorf("at %s, ambiguous %v, reusable %v: %v", stage, e.Ambiguous, reusable, err)
					}
				})
			})
		})
	}
}

// The code of one stage is no good answer at another.
func TestWrongCodes(t *testing.T) {
	for at, reply := range map[mailtest.Point]string{
		mailtest.AtBanner: "250 ok", mailtest.AtHello: "354 go", mailtest.AtMail: "354 go", mailtest.AtRcpt: "354 go", mailtest.AtData: "250 ok", mailtest.AtEnd: "354 go",
	} {
		for _, ext := range []string{"PIPELINING", "HELP"} {
			b := mailtest.NewBackend(t, mailtest.Script{Extensions: []string{ext}, Steps: steps{at: {Reply: reply}}})
			stage, _, err, _ := where(patient(t), options(b))
			if err == nil || stage != points[at] {
				t.Errorf("%s %s: at %s: %v", at, ext, stage, err)
			}
			asError(t, err)
		}
	}
}

// F24: two replies at once would make every later answer belong to another command.
func TestTwoRepliesAtOnce(t *testing.T) {
	for at := range points {
		b := mailtest.NewBackend(t, mailtest.Script{Extensions: []string{"HELP"}, Steps: steps{at: {Do: mailtest.ReplyTwice}}})
		stage, _, err, reusable := where(patient(t), options(b))
		e := asError(t, err)
		if !errors.Is(err, client.ErrProtocol) || stage != points[at] || reusable || e.Ambiguous != (at == mailtest.AtEnd) {
			t.Errorf("%s: at %s: %v", at, stage, err)
		}
	}
	b := mailtest.NewBackend(t, mailtest.Script{Steps: steps{mailtest.AtRcpt: {Do: mailtest.ReplyTwice}}})
	if _, _, err, _ := where(patient(t), options(b)); !errors.Is(err, client.ErrProtocol) {
		t.Errorf("pipelined: %v", err)
	}
}

// A pipelined extra reply must not be taken for that of the dot.
func TestReplyBeforeEndOfData(t *testing.T) {
	for _, text := range []string{"250 2.0.0 queued already", "552 5.3.4 too big", "421 4.3.2 bye"} {
		b := mailtest.NewBackend(t, mailtest.Script{Early: &mailtest.Step{Reply: text}})
		var nc net.Conn
		o := options(b)
		o.Dial = func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
			nc, err = new(net.Dialer).DialContext(ctx, network, addr)
			return nc, err
		}
		c := dial(t, o)
		if begun, err := c.Begin(patient(t), envelope("b@example.com")); err != nil || !begun.OK() {
			t.Fatal(begun, err)
		}
		r, w := io.Pipe()
		go func() {
			io.WriteString(w, "Subject: x\r\n")
			// The second half follows once the server has had its say.
			for client.Quiet(nc) {
				runtime.Gosched()
			}
			io.WriteString(w, "\r\nbody\r\n")
			w.Close()
		}()
		if err := c.Body(patient(t), r); err != nil {
			t.Fatal(err)
		}
		_, err := c.End(patient(t))
		e := asError(t, err)
		if e.Ambiguous || e.Reply.String() != text || c.Idle() {
			t.Errorf("%s: %v", text, err)
		}
		c.Close()
		if tx := b.WaitTransactions(t, 1)[0]; tx.Complete {
			t.Errorf("%s: the dot was sent", text)
		}
	}
}

func TestFarewellBeforeACommand(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{Steps: steps{mailtest.AtNoop: {}}})
	c := dial(t, options(b))
	if !c.Alive() {
		t.Fatal("a fresh connection is not alive")
	}
	b.Drop(true)
	b.Wait(t, "the drop", func() bool { open, _, _ := b.Connections(); return open == 0 })
	if c.Alive() {
		t.Error("a closed connection is alive")
	}
	_, err := c.Begin(patient(t), envelope("b@example.com"))
	asError(t, err)
}

// Hundreds of odd texts: nothing but printable ASCII comes through, bounded (H-J08).
func TestReplyTextsAreSafe(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{Extensions: []string{"HELP"}})
	c := dial(t, options(b))
	for i := range 300 {
		text := fmt.Sprintf("550 5.7.1 \x1b]0;%d\x07 caf\xc3\xa9 \x00 %s", i, strings.Repeat("long ", i))
		b.Change(func(s *mailtest.Script) { s.Steps = steps{mailtest.AtMail: {Reply: text}} })
		begun, err := c.Begin(patient(t), envelope("b@example.com"))
		if err != nil {
			t.Fatal(err)
		}
		got := begun.Mail.String()
		if len(got) > 450 || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) || !strings.HasPrefix(got, "550 5.7.1 ?]0;") {
			t.Fatalf("%d: %q", i, got)
		}
	}
}

// A context that ends cuts any stage short.
func TestContextEndsEveryStage(t *testing.T) {
	eachWay(t, func(t *testing.T, s mailtest.Script, o client.Options, at mailtest.Point) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(context.Background())
		reason := errors.New("client has gone")
		s.Steps = steps{at: {Do: mailtest.Hang}}
		s.Hook = func(p mailtest.Point, _ int, _ string) (mailtest.Step, bool) {
			if p == at {
				cancel(reason)
			}
			return mailtest.Step{}, false
		}
		b := mailtest.NewBackend(t, s)
		o.Addr = b.Addr()
		stage, _, err, reusable := where(ctx, o)
		early := stage == client.StageConnect || stage == client.StageMail || stage == client.StageRcpt // answers still unread
		if !errors.Is(err, reason) || stage != points[at] && !early || reusable {
			t.Errorf("at %s: %v", stage, err)
		}
	})
}

func TestContextAlreadyOver(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := dial(t, options(b))
	cancel()
	if _, err := client.Dial(ctx, options(b)); !errors.Is(err, context.Canceled) {
		t.Errorf("dial: %v", err)
	}
	if _, err := c.Begin(ctx, envelope("b@example.com")); !errors.Is(err, context.Canceled) {
		t.Errorf("begin: %v", err)
	}
	if c.Idle() {
		t.Error("still idle")
	}
}

// A server that stops reading in the middle of a body: each write has its deadline.
func TestBodyToAServerThatStopsReading(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{DropBodies: true, Early: &mailtest.Step{Delay: time.Hour}})
	o := options(b)
	o.Timeouts.Write = 100 * time.Millisecond
	c := dial(t, o)
	if begun, err := c.Begin(patient(t), envelope("b@example.com")); err != nil || !begun.OK() {
		t.Fatal(begun, err)
	}
	line := strings.Repeat("x", 998) + "\r\n"
	err := c.Body(patient(t), strings.NewReader(strings.Repeat(line, 64<<10)))
	if e := asError(t, err); e.Stage != client.StageBody || e.Ambiguous {
		t.Errorf("error %v", err)
	}
}

func TestBodyReadError(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	c := dial(t, options(b))
	c.Begin(patient(t), envelope("b@example.com"))
	spool := errors.New("disk gone")
	err := c.Body(patient(t), io.MultiReader(strings.NewReader("a\r\n"), failing{spool}))
	if e := asError(t, err); e.Stage != client.StageBody || !errors.Is(err, spool) {
		t.Errorf("error %v", err)
	}
	if tx := b.WaitTransactions(t, 1)[0]; tx.Complete {
		t.Error("delivered")
	}
	c = dial(t, options(b))
	c.Begin(patient(t), envelope("b@example.com"))
	if err := c.Body(patient(t), failing{nil}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// I8: what two servers could read differently never reaches one; it is the caller's error.
func TestMalformedBodiesAreNotSent(t *testing.T) {
	for what, text := range map[string]string{
		"bare LF": "a\r\nb\n.\r\nc\r\n", "bare CR": "a\r\n\r.\r\n", "NUL": "a\r\n\x00.\r\n", "last line without CRLF": "a\r\nb",
	} {
		b := mailtest.NewBackend(t, mailtest.Script{})
		c := dial(t, options(b))
		_, _, err := send(patient(t), c, envelope("b@example.com"), text)
		var bad *client.BodyError
		if !errors.As(err, &bad) || bad.What != what || c.Idle() {
			t.Errorf("%s: %v", what, err)
		}
		if tx := b.WaitTransactions(t, 1)[0]; tx.Complete {
			t.Errorf("%s: delivered %q", what, tx.Raw)
		}
	}
}

func TestAllRecipientsRefused(t *testing.T) {
	for _, ext := range []string{"PIPELINING", "HELP"} {
		b := mailtest.NewBackend(t, mailtest.Script{Extensions: []string{ext}, Mailboxes: []string{"c@example.com"}})
		c := dial(t, options(b))
		begun, err := c.Begin(patient(t), envelope("b@example.com", "d@example.com"))
		if err != nil || begun.OK() || begun.Data.Code != 0 || begun.Rcpt[0].Code != 550 || begun.Rcpt[1].Code != 550 || !c.Idle() {
			t.Errorf("%s: %+v %v", ext, begun, err)
		}
		mustSend(t, c, envelope("c@example.com"))
	}
}

// A server that says 354 although nobody takes the mail must not get a final dot.
func TestDataWithoutRecipients(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{Hook: func(at mailtest.Point, _ int, arg string) (mailtest.Step, bool) {
		return mailtest.Step{Raw: "550 5.1.1 no\r\n354 go on\r\n"}, at == mailtest.AtRcpt
	}, Steps: steps{mailtest.AtData: {Do: mailtest.Hang}}})
	c := dial(t, options(b))
	begun, err := c.Begin(patient(t), envelope("b@example.com"))
	if begun.OK() || c.Idle() {
		t.Errorf("%+v %v", begun, err)
	}
}

// A 421 in the middle of a pipelined group answers for all that is left.
func TestFarewellInsideAGroup(t *testing.T) {
	for at, want := range map[mailtest.Point]string{mailtest.AtMail: "421 [] 0", mailtest.AtData: "250 [250 250] 421"} {
		b := mailtest.NewBackend(t, mailtest.Script{Steps: steps{at: {Reply: "421 4.3.2 going down", Do: mailtest.CloseAfter}}})
		begun, err := dial(t, options(b)).Begin(patient(t), envelope("b@example.com", "c@example.com"))
		if got := codes(begun); got != want || err != nil {
			t.Errorf("%s: %s %v", at, got, err)
		}
	}
	b := mailtest.NewBackend(t, mailtest.Script{RcptFor: map[string]mailtest.Step{"c@example.com": {Reply: "421 4.3.2 going down", Do: mailtest.CloseAfter}}})
	begun, err := dial(t, options(b)).Begin(patient(t), envelope("b@example.com", "c@example.com", "d@example.com"))
	if got := codes(begun); got != "250 [250 421 421] 421" || err != nil {
		t.Errorf("rcpt: %s %v", got, err)
	}
}

func codes(b client.Begun) string {
	rcpt := []int{}
	for _, r := range b.Rcpt {
		rcpt = append(rcpt, r.Code)
	}
	return fmt.Sprint(b.Mail.Code, rcpt, b.Data.Code)
}

// LMTP answers for each recipient; a connection lost between the answers keeps the first.
func TestLMTPMixedAnswers(t *testing.T) {
	script := mailtest.Script{LMTP: true, RcptFor: map[string]mailtest.Step{"no@x.example": {Reply: "550 5.1.1 no"}}}
	o := client.Options{Protocol: client.LMTP, LocalName: "gw.example.org"}
	for name, c := range map[string]struct {
		end       map[string]mailtest.Step
		want      string
		ambiguous bool
	}{
		"all":   {nil, "250 250 250", false},
		"mixed": {map[string]mailtest.Step{"b@x.example": {Reply: "452 4.2.2 over quota"}, "c@x.example": {Reply: "550 5.7.1 no"}}, "250 452 550", false},
		"lost":  {map[string]mailtest.Step{"b@x.example": {Do: mailtest.CloseSilent}}, "250", true},
		"421":   {map[string]mailtest.Step{"b@x.example": {Reply: "421 4.3.2 bye", Do: mailtest.CloseAfter}}, "250 421 421", false},
		"more":  {map[string]mailtest.Step{"c@x.example": {Do: mailtest.ReplyTwice}}, "250 250", true},
	} {
		t.Run(name, func(t *testing.T) {
			script.EndFor = c.end
			b := mailtest.NewBackend(t, script)
			o.Addr = b.Addr()
			begun, replies, err := send(patient(t), dial(t, o), envelope("a@x.example", "no@x.example", "b@x.example", "c@x.example"), body)
			var got []string
			for _, r := range replies {
				got = append(got, fmt.Sprint(r.Code))
			}
			if strings.Join(got, " ") != c.want || begun.Rcpt[1].Code != 550 {
				t.Errorf("got %v, begun %s, error %v", got, codes(begun), err)
			}
			if c.ambiguous != (err != nil) {
				t.Errorf("error %v", err)
			}
			if err != nil && !asError(t, err).Ambiguous {
				t.Errorf("not ambiguous: %v", err)
			}
		})
	}
}

func TestAnswersByteByByte(t *testing.T) {
	s := mailtest.Script{Steps: steps{}}
	for at := range points {
		s.Steps[at] = mailtest.Step{Do: mailtest.ReplyBytewise}
	}
	mustSend(t, dial(t, options(mailtest.NewBackend(t, s))), envelope("b@example.com"))
}
