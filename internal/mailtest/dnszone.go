package mailtest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/miekg/dns"
)

// Zone maps a name (no final dot; "*.name" is a wildcard) to its records, each "TYPE data":
//
//	"A 192.0.2.1"  "AAAA 2001:db8::1"  "MX 10 mail.example.com"  "PTR host.example.com"
//	"CNAME other.example.com"  "NS ns.example.com"  "TXT any bytes to the end, split by 255"
//	"!servfail"  "!refused"  "!silent"  "!truncate"  "!delay 2s"  "!wrongid"  "!wrongname"  "!garbage"
//
// The last line are faults of the name; a fault may end in a record type ("!servfail TXT")
// and then strikes only questions for it. Names are matched without case.
type Zone map[string][]string

// ParseZone reads a Zone from YAML: a map of names to lists of records.
func ParseZone(text string) (Zone, error) {
	z := Zone{}
	if err := yaml.Unmarshal([]byte(text), &z); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	for name, records := range z {
		for _, r := range records {
			if _, err := parseEntry(name, r); err != nil {
				return nil, err
			}
		}
	}
	return z, nil
}

// ReverseName is the name under which a PTR record of ip stands.
func ReverseName(ip string) string {
	name, err := dns.ReverseAddr(ip)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(name, ".")
}

// DNSFault says how the server misbehaves for a name. The zero value is no fault.
type DNSFault struct {
	Type      string        // only questions of this type; "" = all
	Delay     time.Duration // before the answer
	Rcode     int           // answer with this response code (2 SERVFAIL, 5 REFUSED)
	Silent    bool          // never answer
	Truncate  bool          // UDP answers are empty with TC set
	NoTCP     bool          // TCP connections are closed without an answer
	WrongID   bool          // the answer carries another ID
	WrongName bool          // the answer carries another question
	Garbage   bool          // the answer is no DNS message
	Raw       []byte        // answer exactly these bytes, the ID of the question put in front
}

// entry is one parsed record or fault of a name.
type entry struct {
	rr    dns.RR
	fault *DNSFault
}

func parseEntry(name, text string) (entry, error) {
	if f, ok := strings.CutPrefix(text, "!"); ok {
		fault, err := parseFault(f)
		if err != nil {
			return entry{}, fmt.Errorf("zone: %s: %w", name, err)
		}
		return entry{fault: fault}, nil
	}
	rr, err := parseRecord(wireName(name), text)
	if err != nil {
		return entry{}, fmt.Errorf("zone: %s: %q: %w", name, text, err)
	}
	return entry{rr: rr}, nil
}

func parseFault(text string) (*DNSFault, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, fmt.Errorf("a fault without a name")
	}
	var f DNSFault
	rest := words[1:]
	switch words[0] {
	case "servfail":
		f.Rcode = dns.RcodeServerFailure
	case "refused":
		f.Rcode = dns.RcodeRefused
	case "silent":
		f.Silent = true
	case "truncate":
		f.Truncate = true
	case "wrongid":
		f.WrongID = true
	case "wrongname":
		f.WrongName = true
	case "garbage":
		f.Garbage = true
	case "delay":
		if len(rest) == 0 {
			return nil, fmt.Errorf("delay: how long?")
		}
		d, err := time.ParseDuration(rest[0])
		if err != nil {
			return nil, err
		}
		f.Delay, rest = d, rest[1:]
	default:
		return nil, fmt.Errorf("unknown fault %q", words[0])
	}
	if len(rest) > 0 {
		f.Type = strings.ToUpper(rest[0])
	}
	return &f, nil
}

// wireName turns a plain name into the presentation form the library gives names it has
// read from the wire: lower case, final dot, special characters escaped.
func wireName(name string) string {
	plain := strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(name, "."), `\`, `\\`)) + "."
	var buf [256]byte
	n, err := dns.PackDomainName(plain, buf[:], 0, nil, false)
	if err != nil {
		return plain
	}
	out, _, err := dns.UnpackDomainName(buf[:n], 0)
	if err != nil {
		return plain
	}
	return out
}

func parseRecord(owner, text string) (dns.RR, error) {
	kind, data, _ := strings.Cut(text, " ")
	head := func(t uint16) dns.RR_Header {
		return dns.RR_Header{Name: owner, Rrtype: t, Class: dns.ClassINET, Ttl: 300}
	}
	switch strings.ToUpper(kind) {
	case "A", "AAAA":
		ip, err := netip.ParseAddr(data)
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(kind, "A") {
			return &dns.A{Hdr: head(dns.TypeA), A: ip.AsSlice()}, nil
		}
		return &dns.AAAA{Hdr: head(dns.TypeAAAA), AAAA: ip.AsSlice()}, nil
	case "MX":
		pref, host, _ := strings.Cut(data, " ")
		n, err := strconv.ParseUint(pref, 10, 16)
		if err != nil {
			return nil, err
		}
		return &dns.MX{Hdr: head(dns.TypeMX), Preference: uint16(n), Mx: wireName(host)}, nil
	case "PTR":
		return &dns.PTR{Hdr: head(dns.TypePTR), Ptr: wireName(data)}, nil
	case "CNAME":
		return &dns.CNAME{Hdr: head(dns.TypeCNAME), Target: wireName(data)}, nil
	case "NS":
		return &dns.NS{Hdr: head(dns.TypeNS), Ns: wireName(data)}, nil
	case "TXT":
		return &dns.TXT{Hdr: head(dns.TypeTXT), Txt: txtStrings(data)}, nil
	}
	return nil, fmt.Errorf("unknown record type %q", kind)
}

// txtStrings cuts raw text into strings of 255 octets in the library's escaped form.
func txtStrings(raw string) []string {
	var out []string
	for {
		n := min(len(raw), 255)
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `\%03d`, raw[i])
		}
		out = append(out, b.String())
		if raw = raw[n:]; raw == "" {
			return out
		}
	}
}
