package limit_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/limit"
)

func outbound(account string, to ...string) *filter.Message {
	return message(func(m *filter.Message) {
		m.Direction, m.Account = filter.Outbound, account
		for _, a := range to {
			m.To = append(m.To, filter.Recipient{Address: a})
		}
	})
}

// walk runs the checks as a session does, one RCPT after the other, and settles. Recipients
// over the rate are refused.
func walk(t testing.TB, l *limit.Limiter, m *filter.Message, fate filter.FateState) (refused []string) {
	t.Helper()
	ask := func(c filter.Check, m *filter.Message) []filter.Finding {
		f, err := c.Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	whole := len(ask(l.Sender(), m)) > 0
	all := m.To
	m.To = nil
	var o filter.Outcome
	for _, to := range all {
		probe := *m
		probe.To = append(probe.To, to)
		if f := ask(l.Recipient(), &probe); whole || len(f) > 0 {
			refused = append(refused, to.Address)
			o.Fates = append(o.Fates, filter.Fate{Recipient: to.Address, State: filter.Deferred})
			continue
		}
		m.To = append(m.To, to)
	}
	state := fate
	if len(ask(l.Account(), m)) > 0 {
		state = filter.Deferred
	}
	for _, to := range m.To {
		o.Fates = append(o.Fates, filter.Fate{Recipient: to.Address, State: state})
	}
	if err := l.Done(t.Context(), m, o); err != nil {
		t.Fatal(err)
	}
	return refused
}

func TestRecipientsOfAnAccount(t *testing.T) {
	l := limit.New(limit.Config{AccountRecipients: limit.Rate{Hour: 5}}, start().now)
	if got := walk(t, l, outbound("ada@us.example", "a@x.example", "b@x.example", "c@x.example"), filter.Delivered); got != nil {
		t.Error(got)
	}
	// Two more fit into the hour, however many the message has.
	m := outbound("ada@us.example", "d@x.example", "e@x.example", "f@x.example", "g@x.example")
	if got := fmt.Sprint(walk(t, l, m, filter.Delivered)); got != "[f@x.example g@x.example]" {
		t.Error(got)
	}
	if got := walk(t, l, outbound("ADA@us.example", "h@x.example"), filter.Delivered); got == nil {
		t.Error("another spelling of the account is another account")
	}
	if got := walk(t, l, outbound("bob@us.example", "a@x.example"), filter.Delivered); got != nil {
		t.Errorf("another account pays: %s", got)
	}
	l = limit.New(limit.Config{AccountRecipients: limit.Rate{Hour: 2}}, start().now)
	for range 5 {
		if got := walk(t, l, outbound("ada@us.example", "a@x.example", "b@x.example"), filter.Rejected); got != nil {
			t.Errorf("refused mail used up the rate: %s", got)
		}
	}
}

func TestFindingNamesAccountAndRecipient(t *testing.T) {
	l := limit.New(limit.Config{AccountRecipients: limit.Rate{Minute: 1}}, start().now)
	f, err := l.Recipient().Check(t.Context(), outbound("ada@us.example", "a@x.example", "b@x.example"))
	if err != nil || len(f) != 1 || f[0].Symbol != limit.RateAccountRcpt || f[0].For != "b@x.example" || f[0].Detail != "account ada@us.example: 2 recipients in a minute" {
		t.Errorf("%+v %v", f, err)
	}
}

// Behind a local server the account may be known only when the header is read.
func TestAccountNamedByAHeader(t *testing.T) {
	l := limit.New(limit.Config{Account: limit.Rate{Hour: 2}, AccountRecipients: limit.Rate{Hour: 3}}, start().now)
	send := func(account string, to ...string) []filter.Finding {
		m := outbound("10.0.0.0/8", to...)
		for _, c := range []filter.Check{l.Sender(), l.Recipient()} {
			if f, err := c.Check(t.Context(), m); err != nil || len(f) > 0 {
				t.Fatal(f, err)
			}
		}
		m.Account = account
		f, err := l.Account().Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		o := filter.Outcome{}
		for _, a := range to {
			o.Fates = append(o.Fates, filter.Fate{Recipient: a, State: filter.Delivered})
		}
		if err := l.Done(t.Context(), m, o); err != nil {
			t.Fatal(err)
		}
		return f
	}
	for range 2 {
		if f := send("ada@us.example", "a@x.example"); len(f) > 0 {
			t.Error(f)
		}
	}
	if f := send("bob@us.example", "a@x.example"); len(f) > 0 {
		t.Errorf("the network's messages count for each of its accounts: %v", f)
	}
	if f := send("ada@us.example", "a@x.example"); len(f) != 1 || f[0].Symbol != limit.RateAccount {
		t.Error(f)
	}
	if f := send("eve@us.example", "a@x.example", "b@x.example", "c@x.example"); len(f) != 0 {
		t.Error(f)
	}
	if f := send("eve@us.example", "d@x.example"); len(f) != 1 || f[0].Symbol != limit.RateAccountRcpt || f[0].For != "d@x.example" {
		t.Error(f)
	}
	if f, err := l.Account().Check(t.Context(), message(nil)); f != nil || err != nil {
		t.Error(f, err)
	}
}

func TestRecipientHoweverItIsWritten(t *testing.T) {
	l := limit.New(limit.Config{Recipient: limit.Rate{Minute: 1}}, start().now)
	for i, to := range []string{"ann@us.example", "Ann@US.example", "ann+x@us.example", `"ann"@us.example`} {
		m := message(func(m *filter.Message) { m.To = []filter.Recipient{{Address: to}} })
		if got := walk(t, l, m, filter.Delivered); (got != nil) != (i > 0) {
			t.Errorf("%s: %s", to, got)
		}
	}
}

// A message that one recipient took counts for that one, not for the others.
func TestEachRecipientByItsOwnFate(t *testing.T) {
	l := limit.New(limit.Config{Recipient: limit.Rate{Minute: 1}}, start().now)
	m := message(func(m *filter.Message) {
		m.To = []filter.Recipient{{Address: "a@us.example"}, {Address: "b@us.example"}}
	})
	if _, err := l.Recipient().Check(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	o := filter.Outcome{Fates: []filter.Fate{{Recipient: "a@us.example", State: filter.Delivered}, {Recipient: "b@us.example", State: filter.Rejected}}}
	if err := l.Done(t.Context(), m, o); err != nil {
		t.Fatal(err)
	}
	again := message(func(n *filter.Message) { n.To = m.To })
	if got := fmt.Sprint(walk(t, l, again, filter.Delivered)); got != "[a@us.example]" {
		t.Error(got)
	}
}

func TestErrors(t *testing.T) {
	l := limit.New(limit.Config{Errors: limit.Rate{Hour: 4}}, start().now)
	end := func(m *filter.Message, o filter.Outcome) {
		t.Helper()
		if err := l.Done(context.Background(), m, o); err != nil {
			t.Fatal(err)
		}
	}
	symbols := func(m *filter.Message) string {
		f, err := l.Sender().Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, x := range f {
			s = append(s, x.Symbol+": "+x.Detail)
		}
		return strings.Join(s, " ")
	}
	spam := "550 5.7.1 The message was judged to be spam (ref x)"
	unknown := "550 5.1.1 no such user"
	// One answer to DATA for two recipients, one answer at RCPT; a deferral is no error.
	m := message(func(m *filter.Message) { m.SHA256 = "ab" })
	end(m, filter.Outcome{Reply: spam, Fates: []filter.Fate{
		{State: filter.Rejected, Reply: spam}, {State: filter.Rejected, Reply: spam}, {State: filter.Rejected, Reply: unknown}, {State: filter.Deferred, Reply: "451 4.7.1 later"}}})
	if got := symbols(message(nil)); got != "" {
		t.Errorf("2 errors: %s", got)
	}
	// Without DATA each refused RCPT had its own answer.
	end(message(nil), filter.Outcome{Reply: unknown, Fates: []filter.Fate{{State: filter.Rejected, Reply: unknown}, {State: filter.Rejected, Reply: unknown}}})
	if got := symbols(message(nil)); got != "" {
		t.Errorf("4 errors: %s", got)
	}
	l.Refused(netip.MustParseAddr("192.0.2.7"))
	if got, want := symbols(message(nil)), "RATE_ERRORS: address 192.0.2.7: 5 refusals in an hour"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := symbols(message(func(m *filter.Message) { m.Client.IP = netip.MustParseAddr("192.0.2.8") })); got != "" {
		t.Errorf("another address pays: %s", got)
	}
	out := outbound("ada@us.example")
	end(out, filter.Outcome{Reply: spam, Fates: []filter.Fate{{State: filter.Rejected, Reply: spam}}})
	if got := symbols(out); got != "" {
		t.Errorf("a local server pays for what its users wrote: %s", got)
	}
}

// A transaction that was given up leaves no reservation; one that was not there is no matter.
func TestAbandoned(t *testing.T) {
	l := limit.New(limit.Config{IP: limit.Rate{Minute: 1}, Recipient: limit.Rate{Minute: 1}}, start().now)
	for range 5 {
		m := message(func(m *filter.Message) { m.To = []filter.Recipient{{Address: "ann@us.example"}} })
		for _, c := range []filter.Check{l.Sender(), l.Recipient()} {
			if f, err := c.Check(t.Context(), m); len(f) > 0 || err != nil {
				t.Fatal(f, err)
			}
		}
		l.Abandoned(m)
		l.Abandoned(m)
	}
	if l.Open() != 0 {
		t.Errorf("%d open", l.Open())
	}
}
