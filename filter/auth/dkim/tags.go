package dkim

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// tags is a tag=value list (RFC 6376 section 3.2).
type tags map[string]string

const blanks = " \t\r\n"

func parseTags(s string) (tags, error) {
	t := tags{}
	for part := range strings.SplitSeq(s, ";") {
		if strings.Trim(part, blanks) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.Trim(name, blanks)
		if !ok || name == "" || strings.ContainsAny(name, blanks) {
			return nil, fmt.Errorf("%.40q is no tag", strings.Trim(part, blanks))
		}
		if _, twice := t[name]; twice {
			return nil, fmt.Errorf("tag %.20s= is given twice", name)
		}
		t[name] = strings.Trim(value, blanks)
	}
	return t, nil
}

// squeeze removes all folding white space.
func squeeze(s string) string {
	if !strings.ContainsAny(s, blanks) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(blanks, r) {
			return -1
		}
		return r
	}, s)
}

// list splits a colon-separated list, blanks removed, lower case.
func list(s string) []string {
	parts := strings.Split(strings.ToLower(squeeze(s)), ":")
	return parts
}

// signature is a parsed DKIM-Signature field.
type signature struct {
	index           int // of its field in the message
	alg             string
	domain          string // lower case
	selector        string
	identity        string // domain of i=, lower case
	names           []string
	bodyHash, value []byte
	relaxedHeader   bool
	relaxedBody     bool
	length          int64 // of l=; -1 = none
}

// parse fills s from a field's value. What is found before an error stays, so that the
// result can name it.
func (s *signature) parse(value string, now time.Time) error {
	s.length = -1
	t, err := parseTags(value)
	if err != nil {
		return err
	}
	s.alg = strings.ToLower(t["a"])
	s.domain = strings.ToLower(strings.TrimSuffix(t["d"], "."))
	s.selector = t["s"]
	var berr error
	s.value, berr = base64.StdEncoding.DecodeString(squeeze(t["b"]))
	for _, name := range []string{"v", "a", "b", "bh", "d", "h", "s"} {
		if t[name] == "" {
			return fmt.Errorf("tag %s= is missing", name)
		}
	}
	if t["v"] != "1" {
		return fmt.Errorf("version %.20q", t["v"])
	}
	if berr != nil {
		return errors.New("b= is no base64")
	}
	switch s.alg {
	case "rsa-sha256", "ed25519-sha256":
	case "rsa-sha1":
		return errors.New("rsa-sha1 is no longer valid")
	default:
		return fmt.Errorf("algorithm %.30q", s.alg)
	}
	if s.bodyHash, err = base64.StdEncoding.DecodeString(squeeze(t["bh"])); err != nil || len(s.bodyHash) != 32 {
		return errors.New("bh= is no SHA-256")
	}
	for _, step := range []func(tags) error{s.parseCanon, s.parseDomains, s.parseNames, s.parseLength} {
		if err := step(t); err != nil {
			return err
		}
	}
	return checkTimes(t, now)
}

func (s *signature) parseCanon(t tags) error {
	if q := t["q"]; q != "" && !strings.Contains(":"+strings.ToLower(squeeze(q))+":", ":dns/txt:") {
		return fmt.Errorf("query method %.30q", q)
	}
	header, body, both := strings.Cut(strings.ToLower(squeeze(t["c"])), "/")
	if !both {
		body = "simple"
	}
	for i, c := range []string{header, body} {
		switch c {
		case "relaxed":
			s.relaxedHeader, s.relaxedBody = s.relaxedHeader || i == 0, s.relaxedBody || i == 1
		case "simple":
		case "":
			if i == 1 || both {
				return errors.New("c= is incomplete")
			}
		default:
			return fmt.Errorf("canonicalization %.30q", c)
		}
	}
	return nil
}

func (s *signature) parseDomains(t tags) error {
	if err := checkDomain(s.domain); err != nil {
		return err
	}
	s.identity = s.domain
	if i, ok := t["i"]; ok {
		at := strings.LastIndexByte(i, '@')
		if at < 0 {
			return errors.New("i= is no address")
		}
		s.identity = strings.ToLower(strings.TrimSuffix(i[at+1:], "."))
		if s.identity != s.domain && !strings.HasSuffix(s.identity, "."+s.domain) {
			return errors.New("i= is outside of d=")
		}
	}
	return nil
}

// checkDomain refuses what nobody may sign for: a public suffix, and an A-label that is
// none and only looks like another name.
func checkDomain(d string) error {
	if len(d) > 253 || !strings.Contains(d, ".") {
		return fmt.Errorf("d=%.60s is no signer's domain", d)
	}
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || len(label) > 63 {
			return errors.New("d= is no domain")
		}
		for i := range len(label) {
			c := label[i]
			if c < 0x80 && c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return errors.New("d= is no domain")
			}
		}
		if strings.HasPrefix(label, "xn--") && !trueALabel(label) {
			return fmt.Errorf("d= holds %.63s, which is no A-label", label)
		}
	}
	if suffix, icann := publicsuffix.PublicSuffix(d); icann && suffix == d {
		return fmt.Errorf("d=%s is a public suffix", d)
	}
	return nil
}

func trueALabel(label string) bool {
	u, err := idna.Punycode.ToUnicode(label)
	if err != nil {
		return false
	}
	ascii := true
	for _, r := range u {
		if !unicode.IsGraphic(r) {
			return false
		}
		ascii = ascii && r < 0x80
	}
	back, err := idna.Punycode.ToASCII(u)
	return !ascii && err == nil && back == label
}

func (s *signature) parseNames(t tags) error {
	h := t["h"]
	if strings.Count(h, ":") >= maxNames {
		return fmt.Errorf("h= has more than %d names", maxNames)
	}
	s.names = list(h)
	for _, n := range s.names {
		if n == "from" {
			return nil
		}
	}
	return errors.New("h= leaves From unsigned")
}

func (s *signature) parseLength(t tags) error {
	l, ok := t["l"]
	if !ok {
		return nil
	}
	n, err := strconv.ParseInt(l, 10, 64)
	if err != nil || n < 0 {
		return errors.New("l= is no length")
	}
	s.length = n
	return nil
}

// skew is how far a signer's clock may be off.
const skew = 300 * time.Second

func checkTimes(t tags, now time.Time) error {
	var at [2]int64
	for i, name := range []string{"t", "x"} {
		v, ok := t[name]
		if !ok {
			at[i] = -1
			continue
		}
		if len(v) == 0 || strings.Trim(v, "0123456789") != "" {
			return fmt.Errorf("%s= is no time", name)
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n > 1<<40 {
			n = 1 << 40 // RFC 6376: up to 12 digits are to be taken
		}
		at[i] = n
	}
	switch signed, expires := at[0], at[1]; {
	case signed >= 0 && time.Unix(signed, 0).After(now.Add(skew)):
		return errors.New("signed in the future")
	case expires >= 0 && signed >= 0 && expires <= signed:
		return errors.New("expires before it was signed")
	case expires >= 0 && now.After(time.Unix(expires, 0).Add(skew)):
		return errors.New("expired")
	}
	return nil
}

// withoutValue is a signature field with the value of its b= tag taken out.
func withoutValue(raw []byte) []byte {
	colon := bytes.IndexByte(raw, ':') + 1
	out := append(make([]byte, 0, len(raw)), raw[:colon]...)
	for i, part := range bytes.Split(raw[colon:], []byte(";")) {
		if i > 0 {
			out = append(out, ';')
		}
		eq := bytes.IndexByte(part, '=')
		if eq >= 0 && string(bytes.Trim(part[:eq], blanks)) == "b" {
			out = append(out, part[:eq+1]...)
			if bytes.HasSuffix(part, []byte("\r\n")) && i == bytes.Count(raw[colon:], []byte(";")) {
				out = append(out, "\r\n"...) // the field's own end
			}
			continue
		}
		out = append(out, part...)
	}
	return out
}
