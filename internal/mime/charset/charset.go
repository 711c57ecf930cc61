// Package charset turns text of any declared charset into UTF-8, as leniently as mail
// programs do.
package charset

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// UTF8 returns b, declared to be in the named charset, as UTF-8. An empty or unknown name,
// and bytes that the name cannot explain, are read as UTF-8 where that is possible, otherwise as
// what their shape says, windows-1252 where it says nothing. known is false for a name no table has. The result may be b itself.
func UTF8(name string, b []byte) (text []byte, known bool) {
	name = clean(name)
	switch {
	case plainName(name):
		return guess(b), true
	case IsUTF7(name):
		return utf7(b), true
	case isWide(name):
		return wide(name, b), true
	case name == "hz-gb-2312":
		return transcode(simplifiedchinese.HZGB2312, b), true
	}
	enc := lookup(name)
	if enc == nil {
		return guess(b), false
	}
	if isASCII(b) && asciiCompatible(name) {
		return b, true
	}
	return transcode(enc, b), true
}

// plainName reports whether a name says ASCII, UTF-8 or nothing.
func plainName(name string) bool {
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit", "x-unknown", "7bit", "8bit", "binary":
		return true
	}
	return false
}

// IsUTF7 reports whether a name is one of UTF-7's. No mail program writes it any more; a few old
// ones still read it, so that it hides from others what they show.
func IsUTF7(name string) bool {
	switch clean(name) {
	case "utf-7", "unicode-1-1-utf-7", "utf7", "csunicode11utf7":
		return true
	}
	return false
}

func isWide(name string) bool {
	switch name {
	case "utf-16", "utf16", "ucs-2", "iso-10646-ucs-2", "unicode", "utf-16le", "utf-16be":
		return true
	}
	return false
}

// clean brings a charset name to the form of the tables: no quotes, no RFC 2231 language.
func clean(name string) string {
	name = strings.ToLower(strings.Trim(name, " \t\r\n\"'<>;,"))
	name, _, _ = strings.Cut(name, "*")
	if rest, ok := strings.CutPrefix(name, "charset="); ok {
		name = rest
	}
	return name
}

func lookup(name string) encoding.Encoding {
	if enc, err := htmlindex.Get(name); err == nil && enc != encoding.Replacement {
		if enc == simplifiedchinese.GBK {
			return simplifiedchinese.GB18030 // which has all of it, and what is sent under its name too
		}
		return enc
	}
	if enc, err := ianaindex.MIME.Encoding(name); err == nil && enc != nil && enc != encoding.Replacement {
		return enc
	}
	if rest, ok := strings.CutPrefix(name, "cp-"); ok {
		return lookup("windows-" + rest)
	}
	return nil
}

// asciiCompatible reports whether bytes below 0x80 always mean themselves.
func asciiCompatible(name string) bool {
	return !strings.HasPrefix(name, "iso-2022") && !strings.HasPrefix(name, "csiso2022") &&
		!strings.HasPrefix(name, "utf-") && !strings.Contains(name, "ebcdic") && !strings.HasPrefix(name, "ibm0")
}

func transcode(enc encoding.Encoding, b []byte) []byte {
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return bytes.ToValidUTF8(b, []byte("\ufffd")) // no decoder of the tables fails
	}
	return out
}

// guess reads undeclared bytes.
func guess(b []byte) []byte {
	switch {
	case unnamedWide(b):
		return wide("utf-16", b)
	case escaped(b):
		return transcode(japanese.ISO2022JP, b)
	case utf8.Valid(b):
		return b
	}
	if out, ok := lenientUTF8(b); ok {
		return out
	}
	return transcode(legacy(b), b)
}

// lenientUTF8 reads damaged UTF-8: overlong forms mean their character, stray bytes become
// U+FFFD. ok is false when sequences are the exception, so that this is no UTF-8 at all.
func lenientUTF8(b []byte) (out []byte, ok bool) {
	out = make([]byte, 0, len(b)+len(b)/8)
	good, bad := 0, 0
	for i := 0; i < len(b); {
		if b[i] < 0x80 {
			out = append(out, b[i])
			i++
			continue
		}
		if r, n := utf8.DecodeRune(b[i:]); r != utf8.RuneError || n > 1 {
			out = append(out, b[i:i+n]...)
			i += n
			good++
			continue
		}
		if r, n := overlong(b[i:]); n > 0 {
			out = utf8.AppendRune(out, r)
			i += n
			good++
			continue
		}
		out = utf8.AppendRune(out, utf8.RuneError)
		i++
		bad++
	}
	return out, good > bad
}

// overlong reads a sequence of continuation bytes without asking for the shortest form.
func overlong(b []byte) (r rune, n int) {
	switch {
	case b[0] >= 0xc0 && b[0] < 0xe0:
		r, n = rune(b[0]&0x1f), 2
	case b[0] >= 0xe0 && b[0] < 0xf0:
		r, n = rune(b[0]&0x0f), 3
	case b[0] >= 0xf0 && b[0] < 0xf8:
		r, n = rune(b[0]&0x07), 4
	default:
		return 0, 0
	}
	if len(b) < n {
		return 0, 0
	}
	for _, c := range b[1:n] {
		if c&0xc0 != 0x80 {
			return 0, 0
		}
		r = r<<6 | rune(c&0x3f)
	}
	return r, n
}

// wide reads UTF-16: it honours a byte order mark first, then the name, then where the zero bytes stand.
func wide(name string, b []byte) []byte {
	end := unicode.BigEndian
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		end, b = unicode.LittleEndian, b[2:]
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		b = b[2:]
	case name == "utf-16le":
		end = unicode.LittleEndian
	case name == "utf-16be":
	default:
		var even, odd int
		for i, c := range b[:min(len(b), 512)] {
			switch {
			case c != 0:
			case i%2 == 0:
				even++
			default:
				odd++
			}
		}
		if even == 0 && odd == 0 && isASCII(b) {
			return b // plain text under a wrong name
		}
		if odd > even {
			end = unicode.LittleEndian
		}
	}
	return transcode(unicode.UTF16(end, unicode.IgnoreBOM), b)
}

func isASCII(b []byte) bool {
	for len(b) >= 8 {
		if (b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7])&0x80 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// Known reports whether a table has the named charset.
func Known(name string) bool {
	_, known := UTF8(name, nil)
	return known
}
