package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// names answers for the whole Internet, at once: every domain has an SPF record, a DMARC
// record and an MX, every address a confirmed reverse name, and nothing is listed.
type names struct {
	conn  net.PacketConn
	texts map[string]string // DKIM keys

	mu    sync.Mutex
	asked map[string]int
}

func newNames(addr, keys string) (*names, error) {
	n := &names{texts: map[string]string{}, asked: map[string]int{}}
	if keys != "" {
		f, err := os.Open(keys)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		for in := bufio.NewScanner(f); in.Scan(); {
			name, text, _ := strings.Cut(in.Text(), "\t")
			n.texts[strings.ToLower(dns.Fqdn(name))] = text
		}
	}
	var err error
	if n.conn, err = net.ListenPacket("udp", addr); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", n.conn.LocalAddr().String())
	if err != nil {
		return nil, err
	}
	for _, srv := range []*dns.Server{{PacketConn: n.conn, Handler: n}, {Listener: l, Handler: n}} {
		go func() {
			if err := srv.ActivateAndServe(); err != nil {
				fmt.Fprintln(os.Stderr, "drive: name server:", err)
			}
		}()
	}
	return n, nil
}

func (n *names) addr() string { return n.conn.LocalAddr().String() }

func (n *names) reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.asked)
}

func (n *names) count() (int64, map[string]int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all, kinds := int64(0), map[string]int{}
	for k, v := range n.asked {
		all += int64(v)
		kinds[k] = v
	}
	return all, kinds
}

// ServeDNS implements dns.Handler.
func (n *names) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	a := new(dns.Msg)
	a.SetReply(q)
	a.RecursionAvailable = true
	for _, question := range q.Question {
		n.mu.Lock()
		n.asked[dns.TypeToString[question.Qtype]]++
		n.mu.Unlock()
		rrs, exists := n.answer(strings.ToLower(question.Name), question.Qtype)
		a.Answer = append(a.Answer, rrs...)
		if !exists {
			a.Rcode = dns.RcodeNameError
		}
	}
	if len(a.Answer) == 0 { // RFC 2308: a negative answer names its zone
		a.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 300},
			Ns: "ns.bench.test.", Mbox: "hostmaster.bench.test.", Serial: 1, Refresh: 300, Retry: 300, Expire: 300, Minttl: 300}}
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		a.Truncate(size)
	}
	_ = w.WriteMsg(a)
}

func (n *names) answer(name string, kind uint16) ([]dns.RR, bool) {
	head := dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 300}
	text := func(s string) []dns.RR {
		var parts []string
		for len(s) > 250 {
			parts, s = append(parts, s[:250]), s[250:]
		}
		return []dns.RR{&dns.TXT{Hdr: head, Txt: append(parts, s)}}
	}
	switch {
	case isList(name): // only RFC 5782's test point is listed
		if kind == dns.TypeA && name == "2.0.0.127.list.bench.test." {
			return []dns.RR{&dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 2)}}, true
		}
		return nil, false
	case strings.Contains(name, "._domainkey."):
		if s, ok := n.texts[name]; ok && kind == dns.TypeTXT {
			return text(s), true
		}
		return nil, false
	case strings.HasPrefix(name, "_dmarc."):
		if kind == dns.TypeTXT {
			return text("v=DMARC1; p=none"), true
		}
	case strings.HasPrefix(name, "_"), strings.HasSuffix(name, ".ip6.arpa."):
		return nil, false
	case strings.HasSuffix(name, ".in-addr.arpa."):
		b := strings.Split(name, ".")
		if kind == dns.TypePTR && len(b) >= 4 {
			return []dns.RR{&dns.PTR{Hdr: head, Ptr: hostName(net.ParseIP(strings.Join([]string{b[3], b[2], b[1], b[0]}, "."))) + "."}}, true
		}
	case kind == dns.TypeTXT:
		return text("v=spf1 a mx ip4:198.51.100.0/24 ?all"), true
	case kind == dns.TypeMX:
		return []dns.RR{&dns.MX{Hdr: head, Preference: 10, Mx: "mx." + name}}, true
	case kind == dns.TypeA:
		ip := addressOf(name)
		return []dns.RR{&dns.A{Hdr: head, A: ip}}, true
	}
	return nil, true
}

// lists are the zones of DNS lists: ours, and those that Rspamd asks as it is shipped.
var lists = []string{
	"list.bench.test.", "virusfree.cz.", "blocklist.de.", "spameatingmonkey.net.", "senderscore.com.", "spamhaus.org.", "dnswl.org.",
	"msbl.org.", "rspamd.com.", "manitu.net.", "surbl.org.", "uribl.com.", "mailspike.net.",
}

func isList(name string) bool {
	for _, zone := range lists {
		if strings.HasSuffix(name, "."+zone) {
			return true
		}
	}
	return false
}

// hostName is the reverse name of an address: its half bytes as letters a to p.
func hostName(ip net.IP) string {
	name := []byte("mx-")
	for _, b := range ip.To4() {
		name = append(name, 'a'+b>>4, 'a'+b&15)
	}
	return string(name) + ".bench.test"
}

// addressOf undoes hostName; every other name has one address.
func addressOf(name string) net.IP {
	s, own := strings.CutPrefix(name, "mx-")
	s, _, _ = strings.Cut(s, ".")
	if !own || len(s) != 8 {
		return net.IPv4(198, 51, 100, 10).To4()
	}
	ip := make(net.IP, 4)
	for i := range ip {
		ip[i] = (s[2*i]-'a')<<4 | (s[2*i+1]-'a')&15
	}
	return ip
}
