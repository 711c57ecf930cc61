package stamp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"net/netip"
	"slices"
	"strings"

	"postern/filter"
)

// received writes the trace field of RFC 5321 section 4.4. It names no recipient, so that
// one never learns of another.
func (s *Stamper) received(b *bytes.Buffer, m *filter.Message, to []string) {
	words := []string{"from", helo(m.Client.Helo), tcpInfo(m.Client)}
	if t := m.Client.TLS; t.Version != "" {
		words = append(words, fold+"(using "+atom(t.Version)+" with cipher "+atom(t.Cipher)+")")
	}
	words = append(words, fold+"by", atom(s.Names.Hostname), "(Postern)", "with", protocol(m), "id", atom(m.ID))
	words = append(words, s.tokens(m, to)...)
	words[len(words)-1] += ";"
	words = append(words, fold+m.Time.Format(dateForm))
	writeField(b, "Received", words)
}

// dateForm is a date of RFC 5322 section 3.3.
const dateForm = "Mon, 02 Jan 2006 15:04:05 -0700"

// helo is the client's own name for itself with nothing in it that could be read as
// structure.
func helo(s string) string {
	if s == "" {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-:[]", r):
			return r
		}
		return '?'
	}, cut(s, 255))
}

func tcpInfo(c filter.Client) string {
	name := ""
	if c.Name != "" {
		name = helo(strings.TrimSuffix(c.Name, ".")) + " "
	}
	return "(" + name + literal(c.IP) + ")"
}

// literal is an address literal of RFC 5321 section 4.1.3.
func literal(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	switch {
	case !ip.IsValid():
		return "[unknown]"
	case ip.Is4():
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}

// protocol is the "with" name of RFC 3848 and RFC 6531 section 4.3.
func protocol(m *filter.Message) string {
	p := "ESMTP"
	if m.SMTPUTF8 {
		p = "UTF8SMTP"
	}
	if m.Client.TLS.Version != "" {
		p += "S"
	}
	if m.Account != "" {
		p += "A"
	}
	return p
}

// tokens is a comment of one token per recipient. The message's ID is part of what is
// hashed, so that two messages to one person show no common token.
func (s *Stamper) tokens(m *filter.Message, to []string) []string {
	if len(s.Key) == 0 || len(to) == 0 {
		return nil
	}
	words := []string{"(trace"}
	for _, a := range to {
		words = append(words, s.token(m.ID, m.Listener, a))
	}
	words[len(words)-1] += ")"
	return words
}

func (s *Stamper) token(id, listener, recipient string) string {
	h := hmac.New(sha256.New, s.Key)
	for _, part := range []string{"trace", id, listener, strings.ToLower(recipient)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return strings.ToLower(base32.HexEncoding.EncodeToString(h.Sum(nil)[:5]))
}

// Bounds on what Passes looks at.
const (
	passFields = 200
	passTokens = 2000
)

// Passes counts for each recipient of m how often its Received fields prove that it went
// through this listener for that recipient before.
func (s *Stamper) Passes(m *filter.Message) []int {
	passes := make([]int, len(m.To))
	if len(s.Key) == 0 {
		return passes
	}
	seen, received := map[string]bool{}, 0
	_ = eachField(m.Open(), func(f rawField) bool {
		if !f.named("Received") {
			return true
		}
		received++
		id, tokens := parseTrace(f.value())
		if id == "" || seen[id] { // the same pass told twice is one pass
			return received < passFields
		}
		seen[id] = true
		for i, to := range m.To {
			if slices.Contains(tokens, s.token(id, m.Listener, to.Address)) {
				passes[i]++
			}
		}
		return received < passFields
	})
	return passes
}

// parseTrace finds our message ID and tokens in the value of a Received field.
func parseTrace(value []byte) (id string, tokens []string) {
	if !bytes.Contains(value, []byte("(trace")) {
		return "", nil
	}
	words := strings.Fields(string(value))
	for i, w := range words {
		switch {
		case w == "id" && i+1 < len(words) && filter.ValidID(words[i+1]):
			id = words[i+1]
		case w == "(trace" && tokens == nil:
			for _, t := range words[i+1:] {
				token, last := strings.CutSuffix(strings.TrimSuffix(t, ";"), ")")
				tokens = append(tokens, token)
				if last || len(tokens) == passTokens {
					break
				}
			}
		}
	}
	return id, tokens
}
