package charset

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// sampled is how much of a text is looked at for what charset it may be in, in bytes.
const sampled = 8 << 10

// legacy is the charset that 8-bit bytes are most likely in which are no UTF-8 and carry no name.
// It is windows-1252 unless they have the shape of another one.
func legacy(b []byte) encoding.Encoding {
	b = b[:min(len(b), sampled)]
	if enc := eastern(b); enc != nil {
		return enc
	}
	high, letters, lower, upper, accents := 0, 0, 0, 0, 0
	for i, c := range b {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			letters++
		case c >= 0xe0:
			lower++
		case c >= 0xc0:
			upper++
			if c >= 0xdc && i > 0 && b[i-1] >= 0xe0 {
				accents++ // Greek vowels with an accent stand where Russian has capitals
			}
		}
		if c >= 0xb8 {
			high++
		}
	}
	switch {
	case high < 8 || high < letters:
		return charmap.Windows1252 // accents here and there
	case accents*40 > high && lower > upper:
		return charmap.Windows1253
	case lower > 2*upper:
		return charmap.Windows1251
	case upper > 2*lower:
		return charmap.KOI8R
	}
	return charmap.Windows1252
}

// leastPairs is how many characters of two bytes are enough to tell.
const leastPairs = 4

// pairs count the characters of two bytes by the row that the first one names.
type pairs struct{ all, kana, common, korean, small int }

// eastern is the charset of two bytes that b may be in; nil for none.
func eastern(b []byte) encoding.Encoding {
	if p, ok := count(b, 0xa1, 0xfe, 0xa1); ok {
		switch {
		case p.kana*10 > p.all*3:
			return japanese.EUCJP
		case p.korean*100 > p.all*95 && p.all > 2*leastPairs:
			return korean.EUCKR
		case p.common*10 > p.all*5:
			return simplifiedchinese.GB18030
		}
	}
	if p, ok := shiftJIS(b); ok && p.kana*10 > p.all*3 {
		return japanese.ShiftJIS
	}
	if p, ok := count(b, 0xa1, 0xf9, 0x40); ok && p.small*10 > p.all && p.small < p.all {
		return traditionalchinese.Big5
	}
	if p, ok := count(b, 0x81, 0xfe, 0x40); ok && p.common*10 > p.all*5 {
		return simplifiedchinese.GB18030
	}
	return nil
}

// count counts pairs whose first byte lies between from and to, and whose second is at least so
// large. ok is false when other bytes above 0x7f are there, or too few pairs.
func count(b []byte, from, to, second byte) (p pairs, ok bool) {
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c < 0x80 {
			continue
		}
		if i++; i == len(b) {
			break // the sample ends within one
		}
		d := b[i]
		if c < from || c > to || d < second || d == 0x7f || d == 0xff {
			return p, false
		}
		p.all++
		switch {
		case c == 0xa4 || c == 0xa5:
			p.kana++
		case c >= 0xb0 && c <= 0xd7:
			p.common++
		}
		if c >= 0xb0 && c <= 0xc8 {
			p.korean++
		}
		if d < 0x80 && c >= 0xa4 && c <= 0xc6 {
			p.small++
		}
	}
	return p, p.all >= leastPairs
}

func shiftJIS(b []byte) (p pairs, ok bool) {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c < 0x80, c >= 0xa1 && c <= 0xdf:
			continue
		case c == 0x80 || c == 0xa0 || c > 0xfc:
			return p, false
		}
		if i++; i == len(b) {
			break
		}
		if d := b[i]; d < 0x40 || d == 0x7f || d > 0xfc {
			return p, false
		}
		if p.all++; c == 0x82 || c == 0x83 {
			p.kana++
		}
	}
	return p, p.all >= leastPairs
}

// leastWide is how many bytes tell that text is UTF-16 without saying so.
const leastWide = 8

// unnamedWide reports whether bytes that claim to be plain are UTF-16: they begin with its mark, or
// every second one is NUL.
func unnamedWide(b []byte) bool {
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}) {
		return true
	}
	b = b[:min(len(b), 512)]
	var nul [2]int
	for i, c := range b {
		if c == 0 {
			nul[i%2]++
		}
	}
	less, more := min(nul[0], nul[1]), max(nul[0], nul[1])
	return len(b) >= leastWide && more*3 > len(b) && less*20 < len(b)
}

// escaped reports whether 7-bit bytes switch to Japanese characters as ISO-2022-JP does.
func escaped(b []byte) bool {
	return bytes.Contains(b, []byte("\x1b$B")) || bytes.Contains(b, []byte("\x1b$@")) || bytes.Contains(b, []byte("\x1b$(D"))
}

// longUTF8 reports whether b is UTF-8 but for forms that are longer than their character needs.
func longUTF8(b []byte) bool {
	if utf8.Valid(b) {
		return false
	}
	for i := 0; i+1 < len(b); i++ {
		c, d := b[i], b[i+1]
		if d&0xc0 == 0x80 && (c == 0xc0 || c == 0xc1 || c == 0xe0 && d < 0xa0 || c == 0xf0 && d < 0x90) {
			_, ok := lenientUTF8(b)
			return ok
		}
	}
	return false
}

// Recode is text of the named charset in UTF-8, where it can say something in ASCII that who looks
// for it in the bytes does not find: by escapes, wide characters and forms of UTF-8 that are longer
// than need be. shifts is false where it cannot. Bytes that claim to be ASCII or UTF-8, or nothing,
// are looked at themselves.
func Recode(name string, b []byte) (text []byte, shifts bool) {
	switch name = clean(name); {
	case plainName(name), !Known(name):
		if unnamedWide(b) || escaped(b) || longUTF8(b) {
			text, _ = UTF8(name, b)
			return text, true
		}
	case IsUTF7(name), isWide(name), name == "hz-gb-2312", !asciiCompatible(name):
		text, _ = UTF8(name, b)
		return text, !bytes.Equal(text, b)
	}
	return nil, false
}
