package policy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/abuse"
	"postern/abuse/connect/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const asked = "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\ninstance=4d2.1\nsender=a@x.example\nrecipient=b=c@y.example\n" +
	"recipient_count=0\nclient_address=192.0.2.1\nclient_port=51514\nsasl_method=plain\nsasl_username=anna@x.example\npolicy_context=submission\n\n"

func read(text string) (policy.Request, error) {
	return policy.Read(bufio.NewReader(strings.NewReader(text)))
}

func TestRead(t *testing.T) {
	q, err := read(asked)
	want := policy.Request{State: "RCPT", Instance: "4d2.1", Login: "anna@x.example", Sender: "a@x.example", Recipient: "b=c@y.example", Client: "192.0.2.1", Port: 51514}
	if err != nil || q != want {
		t.Errorf("%+v %v", q, err)
	}
	for text, want := range map[string]error{
		"":    io.EOF,
		"\n":  policy.ErrForm,
		"x\n": policy.ErrForm, "=x\n\n": policy.ErrForm, "a=b\n\n": policy.ErrForm,
		"request=other\n\n": policy.ErrForm, "protocol_state=RCPT\nprotocol_state=DATA\n\n": policy.ErrForm, "protocol_state=RCPT\nrecipient_count=-1\n\n": policy.ErrForm,
		"protocol_state=RCPT\n": io.ErrUnexpectedEOF, "protocol_state=RC": io.ErrUnexpectedEOF,
		"x=" + strings.Repeat("y", policy.MaxLine) + "\n\n": policy.ErrTooLong,
	} {
		if _, err := read(text); !errors.Is(err, want) {
			t.Errorf("%.30q: %v, want %v", text, err, want)
		}
	}
	var many strings.Builder
	for i := range policy.MaxAttributes + 1 {
		many.WriteString("x" + strings.Repeat("y", i) + "=1\n")
	}
	if _, err := read(many.String() + "\n"); !errors.Is(err, policy.ErrTooLong) {
		t.Errorf("%v", err)
	}
}

func TestDecide(t *testing.T) {
	force := map[string]abuse.Account{
		"m1": {Name: "m1", Level: abuse.M1, Case: "A-2026-000007"}, "m2": {Name: "m2", Level: abuse.M2}, "m3": {Name: "m3", Level: abuse.M3, State: abuse.Suspended, Case: "A-2026-000042\r\naction=OK"},
		"old": {Name: "old", State: abuse.Suspended}, "m0": {Name: "m0"}, "m6": {Name: "@x", Level: abuse.M6, State: abuse.Suspended},
	}
	beyond, slow := true, error(nil)
	d := &policy.Decider{Force: func(a string) abuse.Account { return force[a] }, Help: "https://help.example/", Slow: func(context.Context, string, string) (bool, error) { return beyond, slow }}
	ask := func(login, state string) string {
		return d.Decide(t.Context(), policy.Request{Login: login, State: state})
	}
	for _, c := range []struct{ login, state, want string }{
		{"", "RCPT", "DUNNO"}, {"unknown", "RCPT", "DUNNO"}, {"m0", "RCPT", "DUNNO"},
		{"m1", "RCPT", "DEFER_IF_PERMIT 4.7.1 this account sends too much, try again later, case A-2026-000007, see https://help.example/"}, {"m1", "END-OF-MESSAGE", "DUNNO"},
		{"m2", "RCPT", "HOLD, see https://help.example/"}, {"old", "DATA", "REJECT 5.7.1 sending is suspended, see https://help.example/"},
		{"m3", "RCPT", "REJECT 5.7.1 sending is suspended, case A-2026-000042action=OK, see https://help.example/"}, {"m6", "RCPT", "REJECT 5.7.1 sending is suspended, see https://help.example/"},
	} {
		if got := ask(c.login, c.state); got != c.want {
			t.Errorf("%s at %s: %q", c.login, c.state, got)
		}
	}
	slow = errors.New("the counters are away")
	if got := ask("m1", "RCPT"); got != policy.Dunno {
		t.Errorf("in doubt: %q", got)
	}
	if slow, beyond = nil, false; ask("m1", "RCPT") != policy.Dunno {
		t.Error("a throttled account may send its share")
	}
}

// A message that Postfix puts on hold by our answer is told of by its ID, as soon as it has one:
// also where only its first recipient was answered so.
func TestHeld(t *testing.T) {
	level := abuse.M2
	var told []string
	d := &policy.Decider{
		Force: func(a string) abuse.Account { return abuse.Account{Name: a, Level: level} },
		Held:  func(id, login string) { told = append(told, id+" "+login) },
	}
	ask := func(instance, id, state string) string {
		return d.Decide(t.Context(), policy.Request{Login: "anna", State: state, Instance: instance, QueueID: id})
	}
	if got := ask("1", "", "RCPT"); got != "HOLD" || len(told) > 0 {
		t.Errorf("%q, %v", got, told)
	}
	ask("1", "A1", "RCPT")
	ask("1", "A1", "END-OF-MESSAGE")
	ask("2", "", "RCPT")
	ask("", "", "RCPT")
	level = abuse.M0
	for _, c := range [][2]string{{"2", "A2"}, {"3", "A3"}, {"", "A4"}} {
		if got := ask(c[0], c[1], "END-OF-MESSAGE"); got != policy.Dunno {
			t.Errorf("%q", got)
		}
	}
	level = abuse.M3
	ask("4", "A5", "RCPT")
	if want := "A1 anna,A1 anna,A2 anna"; strings.Join(told, ",") != want {
		t.Errorf("told of %v, want %s", told, want)
	}
}

// Where Postfix never asks at the end of a message nobody learns what is on hold: that is told once,
// and taken back when it does.
func TestUnasked(t *testing.T) {
	var told []bool
	d := &policy.Decider{
		Force:   func(a string) abuse.Account { return abuse.Account{Name: a, Level: abuse.M2} },
		Held:    func(string, string) {},
		Unasked: func(unasked bool) { told = append(told, unasked) },
	}
	ask := func(instance, id, state string) {
		d.Decide(t.Context(), policy.Request{Login: "anna", State: state, Instance: instance, QueueID: id})
	}
	for range 20 {
		ask("1", "", "RCPT") // one message to many
	}
	for i := range 4 {
		ask(string(rune('a'+i)), "", "RCPT")
	}
	if len(told) > 0 {
		t.Fatalf("told %v of five messages", told)
	}
	for i := range 10 {
		ask(string(rune('k'+i)), "", "RCPT")
	}
	if !slices.Equal(told, []bool{true}) {
		t.Fatalf("told %v", told)
	}
	ask("z", "A9", "END-OF-MESSAGE")
	for i := range 10 {
		ask(string(rune('A'+i)), "", "RCPT")
	}
	if !slices.Equal(told, []bool{true, false}) {
		t.Errorf("told %v", told)
	}
}

func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	s := &policy.Server{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Decide: func(_ context.Context, q policy.Request) string {
		if q.Login == "panic" {
			panic("x")
		}
		return "REJECT " + q.Login
	}}
	go func() { done <- s.Serve(ctx, l) }()
	dial := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		return c, bufio.NewReader(c)
	}
	c, r := dial()
	for range 3 { // one connection, many requests
		if _, err := io.WriteString(c, asked); err != nil {
			t.Fatal(err)
		}
		line, err := r.ReadString('\n')
		empty, err2 := r.ReadString('\n')
		if line != "action=REJECT anna@x.example\n" || empty != "\n" || err != nil || err2 != nil {
			t.Fatalf("%q %q %v %v", line, empty, err, err2)
		}
	}
	for name, bad := range map[string]string{"no request": "EHLO x\n\n", "panic": strings.Replace(asked, "anna@x.example", "panic", 1), "long": strings.Repeat("x", policy.MaxLine*2)} {
		b, r := dial()
		if _, err := io.WriteString(b, bad); err != nil && name != "long" {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); len(got) > 0 {
			t.Errorf("%s is answered: %q %v", name, got, err)
		}
		_ = b.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection outlives the service")
	}
	_ = c.Close()
}

func FuzzRead(f *testing.F) {
	f.Add(asked)
	f.Add("protocol_state=RCPT\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := read(text)
		if err == nil && (q.State == "" || len(q.Login) > policy.MaxLine || strings.ContainsAny(q.Login+q.Recipient, "\n")) {
			t.Errorf("%+v", q)
		}
	})
}
