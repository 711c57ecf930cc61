package mailtest

import (
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxChain bounds the CNAMEs the server follows for one question; a loop is answered as far
// as it was followed, as real resolvers do.
const maxChain = 12

// answer makes the packets that answer one packet; none means silence.
func (d *DNS) answer(packet []byte, tcp bool) [][]byte {
	var q dns.Msg
	if err := q.Unpack(packet); err != nil || len(q.Question) != 1 {
		return nil
	}
	question := q.Question[0]
	name := strings.ToLower(question.Name)
	d.mu.Lock()
	d.log = append(d.log, Query{Name: strings.TrimSuffix(name, "."), Type: dns.TypeToString[question.Qtype], TCP: tcp})
	fault := d.faultOf(name, question.Qtype)
	silent := d.silent
	resp := d.resolve(&q, name, question.Qtype)
	d.mu.Unlock()

	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-d.done:
			return nil
		}
	}
	if silent || fault.Silent || fault.NoTCP && tcp {
		return nil
	}
	return [][]byte{spoil(packet, &q, resp, fault, tcp)}
}

// spoil packs the answer and applies the faults that change it.
func spoil(packet []byte, q, resp *dns.Msg, f DNSFault, tcp bool) []byte {
	if f.Rcode != 0 {
		resp.Rcode, resp.Answer, resp.Ns = f.Rcode, nil, nil
	}
	if f.WrongID {
		resp.Id++
	}
	if f.WrongName {
		resp.Question = []dns.Question{{Name: "other.invalid.", Qtype: resp.Question[0].Qtype, Qclass: dns.ClassINET}}
	}
	switch {
	case f.Garbage:
		return append(packet[:2:2], "not a message"...)
	case f.Raw != nil:
		return append(packet[:2:2], f.Raw...)
	case f.Truncate && !tcp:
		resp.Truncated, resp.Answer = true, nil
	}
	resp.Compress = true
	out, err := resp.Pack()
	size := dns.MinMsgSize
	if opt := q.IsEdns0(); opt != nil {
		size = max(size, int(opt.UDPSize()))
	}
	if tcp {
		size = dns.MaxMsgSize
	}
	if err == nil && len(out) <= size {
		return out
	}
	resp.Answer, resp.Truncated = nil, !tcp
	if tcp {
		resp.Rcode = dns.RcodeServerFailure
	}
	out, _ = resp.Pack()
	return out
}

func (d *DNS) faultOf(name string, qtype uint16) DNSFault {
	for _, n := range []string{name, d.wildcard(name), "*."} {
		for _, f := range d.faults[n] {
			if f.Type == "" || f.Type == dns.TypeToString[qtype] {
				return f
			}
		}
	}
	return DNSFault{}
}

// wildcard is the nearest "*.name" above name that has records or faults, or "".
func (d *DNS) wildcard(name string) string {
	for up := name; ; {
		i, end := dns.NextLabel(up, 0)
		if end {
			return ""
		}
		up = up[i:]
		w := "*." + up
		if d.records[w] != nil || d.faults[w] != nil {
			return w
		}
	}
}

func (d *DNS) find(name string) ([]dns.RR, bool) {
	if rr, ok := d.records[name]; ok {
		return rr, true
	}
	if rr, ok := d.records[d.wildcard(name)]; ok {
		return rr, true
	}
	for known := range d.records { // an empty non-terminal exists
		if strings.HasSuffix(known, "."+name) {
			return nil, true
		}
	}
	return nil, false
}

func (d *DNS) resolve(q *dns.Msg, name string, qtype uint16) *dns.Msg {
	resp := new(dns.Msg)
	resp.SetReply(q)
	resp.RecursionAvailable = true
	owner := q.Question[0].Name
	for range maxChain {
		records, exists := d.find(name)
		if !exists {
			resp.Rcode = dns.RcodeNameError
			break
		}
		var target string
		for _, rr := range records {
			switch {
			case rr.Header().Rrtype == qtype:
				resp.Answer = append(resp.Answer, d.own(rr, owner))
			case rr.Header().Rrtype == dns.TypeCNAME:
				resp.Answer = append(resp.Answer, d.own(rr, owner))
				target = rr.(*dns.CNAME).Target
			}
		}
		if target == "" || qtype == dns.TypeCNAME {
			break
		}
		name, owner = target, target
	}
	if len(resp.Answer) == 0 {
		resp.Ns = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: d.ttl},
			Ns:  "ns.invalid.", Mbox: "root.invalid.", Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: d.ttl,
		}}
	}
	return resp
}

// own copies a record for the name it was asked under.
func (d *DNS) own(rr dns.RR, owner string) dns.RR {
	c := dns.Copy(rr)
	c.Header().Name, c.Header().Ttl = owner, d.ttl
	return c
}
