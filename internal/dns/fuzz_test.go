package dns

import (
	"errors"
	"net"
	"testing"

	"github.com/miekg/dns"
)

// FuzzHostileAnswer reads whatever the fuzzer makes up behind the right ID as the answer to
// a question.
func FuzzHostileAnswer(f *testing.F) {
	const question1 = "\x01h\x07example\x03com\x00\x00\x10\x00\x01"
	f.Add(dns.TypeTXT, []byte("\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"+question1+"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x05\x00\x03\x02hi"))
	f.Add(dns.TypeTXT, []byte("\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00"+question1+"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x05\x00\x02\xc0\x0c\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x05\x00\x02\xc0\x0c"))
	f.Add(dns.TypeTXT, []byte("\x81\x80\x00\x01\xff\xff\xff\xff\xff\xff"+question1+"\xc0\xff"))
	f.Add(dns.TypeTXT, []byte("\x83\x80\x00\x01\x00\x00\x00\x00\x00\x00"+question1))
	f.Add(dns.TypeTXT, []byte("\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"+question1+"\xc0\x0c\x00\x41\x00\x01\x00\x00\x00\x05\x00\x07\x00\x01\x00\x00\x01\x00\xff"))
	f.Fuzz(func(t *testing.T, qtype uint16, raw []byte) {
		q := question{"h.example.com.", qtype}
		resp, err := parse(append([]byte{1, 2}, raw...), 0x0102, q)
		if err != nil {
			if !errors.Is(err, errForeign) && !errors.Is(err, errUnreadable) {
				t.Errorf("%v", err)
			}
			return
		}
		hops := 0
		a, next := read(resp, q, &hops)
		if (a == nil) == (next == "") || hops > maxChain+1 {
			t.Fatalf("%+v %q after %d hops", a, next, hops)
		}
		if a == nil {
			return
		}
		if a.ttl < failureTTL || a.ttl > maxTTL || a.size() > 4*len(raw)+100 {
			t.Errorf("kept %v, %d octets from %d", a.ttl, a.size(), len(raw))
		}
		var err2 error
		if e := a.err("h.example.com"); e != nil {
			err2 = e
			if e.IsNotFound == e.IsTemporary {
				t.Errorf("%+v", e)
			}
		}
		var dnsErr *net.DNSError
		if a.status != found && !errors.As(err2, &dnsErr) {
			t.Errorf("%+v", a)
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add("example.com.")
	f.Add("a\\.b.\"x y\".bücher.example")
	f.Fuzz(func(t *testing.T, name string) {
		wire, ok := wireName(name)
		if !ok {
			return
		}
		var buf [300]byte
		n, err := dns.PackDomainName(wire, buf[:], 0, nil, false)
		if err != nil || n > 255 {
			t.Fatalf("%q became %q: %d %v", name, wire, n, err)
		}
		back, _, err := dns.UnpackDomainName(buf[:n], 0)
		if err != nil || back != wire {
			t.Errorf("%q became %q, read back as %q: %v", name, wire, back, err)
		}
	})
}
