package canon

import (
	"bytes"
	"fmt"
	"strings"
)

// Tags is a tag=value list (RFC 6376 section 3.2), values without the blanks around them.
type Tags map[string]string

const blanks = " \t\r\n"

// ParseTags reads a tag list. Empty places between semicolons are passed over: key records
// and signatures in use have them.
func ParseTags(s string) (Tags, error) {
	t := Tags{}
	for part := range strings.SplitSeq(s, ";") {
		if strings.Trim(part, blanks) == "" {
			continue
		}
		if err := t.add(part); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// ParseTagsStrictly reads a tag list by the letter of its grammar: no empty places but behind
// the last semicolon, and every name begins with a letter.
func ParseTagsStrictly(s string) (Tags, error) {
	t := Tags{}
	parts := strings.Split(s, ";")
	for i, part := range parts {
		trimmed := strings.Trim(part, blanks)
		if trimmed == "" && i > 0 && i == len(parts)-1 {
			continue
		}
		if trimmed == "" || trimmed[0]|0x20 < 'a' || trimmed[0]|0x20 > 'z' {
			return nil, fmt.Errorf("%.40q is no tag", trimmed)
		}
		if err := t.add(part); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t Tags) add(part string) error {
	name, value, ok := strings.Cut(part, "=")
	name = strings.Trim(name, blanks)
	if !ok || name == "" || strings.ContainsAny(name, blanks) {
		return fmt.Errorf("%.40q is no tag", strings.Trim(part, blanks))
	}
	if _, twice := t[name]; twice {
		return fmt.Errorf("tag %.20s= is given twice", name)
	}
	t[name] = strings.Trim(value, blanks)
	return nil
}

// Squeeze removes all folding white space.
func Squeeze(s string) string {
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

// List splits a colon-separated list, blanks removed, lower case.
func List(s string) []string { return strings.Split(strings.ToLower(Squeeze(s)), ":") }

// WithoutValue is a signature field with the value of its b= tag taken out.
func WithoutValue(raw []byte) []byte {
	colon := bytes.IndexByte(raw, ':') + 1
	out := append(make([]byte, 0, len(raw)), raw[:colon]...)
	parts := bytes.Split(raw[colon:], []byte(";"))
	for i, part := range parts {
		if i > 0 {
			out = append(out, ';')
		}
		eq := bytes.IndexByte(part, '=')
		if eq < 0 || string(bytes.Trim(part[:eq], blanks)) != "b" {
			out = append(out, part...)
			continue
		}
		out = append(out, part[:eq+1]...)
		if i == len(parts)-1 && bytes.HasSuffix(part, []byte("\r\n")) {
			out = append(out, "\r\n"...) // the field's own end
		}
	}
	return out
}
