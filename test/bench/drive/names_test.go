package main

import (
	"net"
	"testing"

	"github.com/miekg/dns"
)

func TestNames(t *testing.T) {
	n, err := newNames("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string, kind uint16) *dns.Msg {
		q := new(dns.Msg)
		q.SetQuestion(name, kind)
		a, err := dns.Exchange(q, n.addr())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	rev := ask("9.2.0.192.in-addr.arpa.", dns.TypePTR).Answer[0].(*dns.PTR).Ptr
	if got := ask(rev, dns.TypeA).Answer[0].(*dns.A).A; !got.Equal(net.IPv4(192, 0, 2, 9)) {
		t.Errorf("%s leads to %s", rev, got)
	}
	if a := ask("2.0.0.127.list.bench.test.", dns.TypeA); len(a.Answer) != 1 {
		t.Error("the list fails the test of RFC 5782")
	}
	for _, name := range []string{"1.0.0.127.list.bench.test.", "9.2.0.192.zen.spamhaus.org.", "x.multi.surbl.org."} {
		if a := ask(name, dns.TypeA); a.Rcode != dns.RcodeNameError {
			t.Errorf("%s: %s", name, dns.RcodeToString[a.Rcode])
		}
	}
	if all, kinds := n.count(); all != 6 || kinds["A"] != 5 {
		t.Errorf("%d questions %v", all, kinds)
	}
}
