// Package received reads the Received fields of a message (RFC 5321 section 4.4) for two
// questions: how many are there, and who was the first untrusted hop.
package received

import (
	"bytes"
	"net/netip"
	"strings"
)

// Bounds of what is read.
const (
	HeadBytes = 1 << 20 // callers pass at most this much of the message
	MaxHops   = 20      // trusted relays in a row
	maxValues = 10
	maxField  = 4 << 10 // octets of one field that are looked at
)

// Fields returns the values of the Received fields at the top of a message, newest first
// and unfolded, at most limit of them, and the number of all. head is the start of the
// message with CRLF line ends. The header ends at the first line that is no field.
func Fields(head []byte, limit int) (values []string, count int) {
	each(head, "received", func(value []byte) {
		if count++; count <= limit {
			values = append(values, unfold(value))
		}
	})
	return values, count
}

// Values returns the unfolded values of up to ten fields of any name.
func Values(head []byte, name string) (values []string) {
	each(head, name, func(value []byte) {
		if len(values) < maxValues {
			values = append(values, unfold(value))
		}
	})
	return values
}

func each(head []byte, name string, do func(value []byte)) {
	for len(head) > 0 {
		field, rest := nextField(head)
		n, value, ok := bytes.Cut(field, []byte(":"))
		if !ok || len(bytes.TrimRight(field, "\r\n")) == 0 {
			return
		}
		if strings.EqualFold(string(bytes.TrimRight(n, " \t")), name) {
			do(value)
		}
		head = rest
	}
}

// nextField cuts one field with its folded lines off head.
func nextField(head []byte) (field, rest []byte) {
	end := 0
	for end < len(head) {
		i := bytes.IndexByte(head[end:], '\n')
		if i < 0 {
			return head, nil
		}
		end += i + 1
		if end == len(head) || head[end] != ' ' && head[end] != '\t' {
			break
		}
	}
	return head[:end], head[end:]
}

func unfold(value []byte) string {
	if len(value) > maxField {
		value = value[:maxField]
	}
	return strings.Join(strings.Fields(string(value)), " ")
}

// Hop is who handed a message to the relay that wrote a Received field.
type Hop struct {
	IP   netip.Addr
	Name string // the reverse name the relay found, or ""
	Helo string
}

// FirstUntrusted walks the fields of trusted relays from the newest down and returns the
// first hop that is not trusted. Each field must have been written by a trusted host: the
// caller has checked that the connecting peer is. ok is false when a field cannot be read
// for certain or all hops are trusted; then nobody knows the client.
func FirstUntrusted(values []string, trusted func(netip.Addr) bool) (Hop, bool) {
	for i, v := range values {
		if i == MaxHops {
			break
		}
		h, ok := Parse(v)
		if !ok {
			return Hop{}, false
		}
		if !trusted(h.IP) && !h.IP.IsLoopback() {
			return h, true
		}
	}
	return Hop{}, false
}

// Parse reads "from HELO (NAME [IP]) ..." as Postfix, Sendmail and Exchange write it, and
// Exim's "from NAME ([IP] helo=HELO)" and "from [IP] (helo=HELO)". HELO and NAME are
// chosen by strangers: whatever could be read in two ways is not ok.
func Parse(value string) (Hop, bool) {
	rest, ok := cutFold(value, "from ")
	if !ok {
		return Hop{}, false
	}
	first, rest, ok := strings.Cut(rest, " ")
	if !ok || !plainToken(first) {
		return Hop{}, false
	}
	comment, after, ok := comment(rest)
	if !ok || after != "" && !strings.HasPrefix(strings.ToLower(after), " by ") && !strings.HasPrefix(after, " (") && after[0] != ';' {
		return Hop{}, false
	}
	if strings.HasPrefix(after, " (") && !tlsNote(after) {
		return Hop{}, false
	}
	return hop(first, comment)
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// plainToken: an address literal, or a name without brackets of any kind.
func plainToken(s string) bool {
	if in, ok := strings.CutPrefix(s, "["); ok {
		s = strings.TrimSuffix(in, "]")
	}
	return s != "" && !strings.ContainsAny(s, "()[]<>\"\\;")
}

// comment takes the parenthesised text s starts with; parentheses nest.
func comment(s string) (in, after string, ok bool) {
	if s == "" || s[0] != '(' {
		return "", "", false
	}
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '\\', '"':
			return "", "", false
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return s[1:i], s[i+1:], true
			}
		}
	}
	return "", "", false
}

// tlsNote reports whether what follows are comments a relay adds itself and then "by".
func tlsNote(s string) bool {
	for strings.HasPrefix(s, " (") {
		in, after, ok := comment(s[1:])
		if !ok || strings.ContainsAny(in, "[]") {
			return false
		}
		s = after
	}
	return strings.HasPrefix(strings.ToLower(s), " by ")
}

func hop(first, note string) (Hop, bool) {
	before, helo, exim := strings.Cut(note, "helo=")
	helo, _, _ = strings.Cut(helo, " ")
	if strings.Contains(before, "[") {
		name, rest, _ := strings.Cut(before, "[")
		literal, rest, _ := strings.Cut(rest, "]")
		ip, ok := parseIP(literal)
		if !ok || rest != "" && rest[0] != ' ' && rest[0] != ':' || strings.ContainsAny(name+rest, "[]") || strings.Contains(strings.TrimSpace(name), " ") {
			return Hop{}, false
		}
		if exim {
			return Hop{ip, known(first), helo}, true
		}
		if strings.Contains(rest, "may be forged") {
			name = ""
		}
		return Hop{ip, known(strings.TrimSpace(name)), first}, true
	}
	if strings.HasPrefix(first, "[") && (exim || strings.HasPrefix(before, "port=")) {
		ip, ok := parseIP(strings.Trim(first, "[]"))
		return Hop{ip, "", helo}, ok
	}
	ip, ok := parseIP(before)
	return Hop{ip, "", first}, ok && !exim
}

// known drops the words relays write where there is no confirmed name.
func known(name string) string {
	switch strings.ToLower(name) {
	case "unknown", "unverified", "may", "":
		return ""
	}
	if strings.HasPrefix(name, "[") {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

func parseIP(s string) (netip.Addr, bool) {
	if six, ok := cutFold(s, "ipv6:"); ok {
		s = six
	}
	ip, err := netip.ParseAddr(strings.TrimSpace(s))
	return ip.Unmap(), err == nil && ip.Zone() == ""
}
