package dns

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// How long answers are kept, whatever they say themselves.
const (
	minTTL     = 10 * time.Second
	maxTTL     = time.Hour
	maxNegTTL  = 15 * time.Minute
	noSOATTL   = time.Minute     // a negative answer that does not say
	failureTTL = 5 * time.Second // a question no server could answer
)

// Bounds on what one answer may hold.
const (
	maxChain   = 10   // CNAMEs on the way to the data
	maxRecords = 1000 // records of the type asked for
)

type status uint8

const (
	found status = iota
	noData
	noName
	failed
)

// answer is what is known about a question. It is never changed once shared.
type answer struct {
	status  status
	reason  string // of a failure
	cause   error  // of a failure, or nil
	timeout bool   // of a failure: nobody answered
	ttl     time.Duration

	texts []string
	addrs []netip.Addr
	mx    []MX
	names []string
}

func (a *answer) size() int {
	n := 24*len(a.addrs) + 24*len(a.mx)
	for _, s := range a.texts {
		n += 16 + len(s)
	}
	for _, s := range a.names {
		n += 16 + len(s)
	}
	for _, m := range a.mx {
		n += len(m.Host)
	}
	return n
}

func failure(reason string, cause error, timeout bool) *answer {
	return &answer{status: failed, reason: reason, cause: cause, timeout: timeout, ttl: failureTTL}
}

// read takes the answer to q out of a response. next is the name at the end of a CNAME
// chain that has to be asked for in a further question; the chain is bounded by hops, which
// counts over all questions.
func read(resp *dns.Msg, q question, hops *int) (a *answer, next string) {
	name, ttl := q.name, maxTTL
	for {
		cname := findCNAME(resp.Answer, name, q.qtype)
		if cname == nil {
			break
		}
		if *hops++; *hops > maxChain {
			return failure("too many CNAMEs", nil, false), ""
		}
		ttl = min(ttl, seconds(cname.Hdr.Ttl))
		name = strings.ToLower(cname.Target)
	}
	a = &answer{ttl: ttl}
	n := 0
	for _, rr := range resp.Answer {
		h := rr.Header()
		if h.Rrtype != q.qtype || h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
			continue
		}
		if n++; n > maxRecords {
			return failure("too many records", nil, false), ""
		}
		a.ttl = min(a.ttl, seconds(h.Ttl))
		a.add(rr)
	}
	if n > 0 {
		a.ttl = max(a.ttl, minTTL)
		slices.SortStableFunc(a.mx, func(x, y MX) int { return int(x.Pref) - int(y.Pref) })
		return a, ""
	}
	neg, said := negativeTTL(resp)
	if name != q.name && resp.Rcode == dns.RcodeSuccess && !said {
		return nil, name
	}
	a.status, a.ttl = noData, neg
	if resp.Rcode == dns.RcodeNameError {
		a.status = noName
	}
	return a, ""
}

func (a *answer) add(rr dns.RR) {
	switch rr := rr.(type) {
	case *dns.A:
		if ip, ok := netip.AddrFromSlice(rr.A); ok {
			a.addrs = append(a.addrs, ip.Unmap())
		}
	case *dns.AAAA:
		if ip, ok := netip.AddrFromSlice(rr.AAAA); ok {
			a.addrs = append(a.addrs, ip)
		}
	case *dns.TXT:
		var b strings.Builder
		for _, s := range rr.Txt {
			b.WriteString(unescape(s))
		}
		a.texts = append(a.texts, b.String())
	case *dns.MX:
		a.mx = append(a.mx, MX{Pref: rr.Preference, Host: plainName(rr.Mx)})
	case *dns.PTR:
		a.names = append(a.names, plainName(rr.Ptr))
	}
}

func findCNAME(rrs []dns.RR, name string, qtype uint16) *dns.CNAME {
	if qtype == dns.TypeCNAME {
		return nil
	}
	for _, rr := range rrs {
		if c, ok := rr.(*dns.CNAME); ok && c.Hdr.Class == dns.ClassINET && strings.EqualFold(c.Hdr.Name, name) {
			return c
		}
	}
	return nil
}

// negativeTTL is how long "there is none" holds (RFC 2308 section 5); said is false when no
// SOA says so.
func negativeTTL(resp *dns.Msg) (ttl time.Duration, said bool) {
	for _, rr := range resp.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(max(min(seconds(soa.Hdr.Ttl), seconds(soa.Minttl)), minTTL), maxNegTTL), true
		}
	}
	return noSOATTL, false
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
