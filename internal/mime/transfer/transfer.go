// Package transfer recognises transfer encodings (RFC 2045 section 6) as loosely as mail
// programs do, and undoes them.
package transfer

import (
	"strings"

	"postern/internal/mime/decode"
	"postern/internal/mime/param"
)

// The transfer encodings. Identity stands for 7bit, 8bit and binary.
const (
	Identity = "identity"
	Base64   = "base64"
	Quoted   = "quoted-printable"
	UU       = "x-uuencode"
)

// Name recognises the value of Content-Transfer-Encoding; "" = none that is known. exact is
// false if only a tolerant reader would recognise it.
func Name(value string) (name string, exact bool) {
	v := strings.ToLower(strings.TrimSpace(value))
	if n := known(v); n != "" {
		return n, true
	}
	v = param.Parse(v).Main // comments and parameters gone
	v = strings.Trim(v, " \t\"';,.")
	if i := strings.IndexAny(v, " \t;,\""); i > 0 {
		v = v[:i]
	}
	v = strings.TrimRight(v, "\x00")
	n := known(v)
	if n == "" && strings.HasPrefix(strings.ReplaceAll(v, "-", ""), "base64") {
		n = Base64
	}
	return n, false
}

func known(v string) string {
	switch v {
	case "", "7bit", "8bit", "binary", "7-bit", "8-bit", "7bits", "8bits", "none", Identity:
		return Identity
	case Base64, Quoted:
		return v
	case UU, "uuencode", "x-uue", "uue":
		return UU
	}
	return ""
}

// Conflict reports whether two encodings give a scanner different content rather than text
// that looks odd.
func Conflict(a, b string) bool {
	return a != b && (a == Base64 || b == Base64 || a == UU || b == UU)
}

// Undo decodes body, the plain reading first.
func Undo(name string, body []byte) ([][]byte, decode.Damage) {
	switch name {
	case Base64:
		return decode.Base64(body)
	case Quoted:
		return decode.Quoted(body)
	case UU:
		f, _ := decode.UU(body)
		return [][]byte{f.Data}, f.Damage
	}
	return [][]byte{body}, 0
}
