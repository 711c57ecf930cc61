// Package decode undoes transfer encodings. Where damaged input can be read in several ways
// it returns every reading, so that a scanner can see what any mail program would see.
package decode

import (
	"bytes"
)

const (
	skip = 0x80 // not in the alphabet
	blnk = 0x81 // line ends and blanks, which every decoder skips
	padc = 0x82
)

// sextets maps a byte to its value or to one of the marks above.
var sextets = makeSextets()

func makeSextets() (t [256]byte) {
	for i := range t {
		t[i] = skip
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	for _, c := range " \t\r\n" {
		t[c] = blnk
	}
	t['='] = padc
	return t
}

// Damage says what was wrong with encoded input.
type Damage uint8

// The kinds of damage.
const (
	Junk       Damage = 1 << iota // bytes outside the alphabet, or escapes that are none
	EarlyEnd                      // data goes on after padding or an end mark
	NoPadding                     // the last group is incomplete
	Incomplete                    // a single left-over sextet, a missing end line
)

// Base64 returns the readings of src, the plain one first: junk skipped, the end at the
// first complete padding (RFC 2045 section 6.8). Damaged input adds: padding as a mere gap between streams,
// padding ignored, the end at the first junk byte, and the URL alphabet.
func Base64(src []byte) (readings [][]byte, d Damage) {
	plain, d, rest := base64Until(room(src), src, true, false)
	readings = append(readings, plain)
	if d&(Junk|EarlyEnd) == 0 {
		return readings, d
	}
	if d&EarlyEnd != 0 {
		joined := append(room(src), plain...)
		for len(rest) > 0 {
			joined, _, rest = base64Until(joined, rest, true, false)
		}
		readings = add(readings, joined)
		all, _, _ := base64Until(room(src), src, false, false)
		readings = add(readings, all)
	}
	if d&Junk != 0 {
		short, _, _ := base64Until(nil, src, true, true)
		readings = add(readings, short)
		if bytes.ContainsAny(src, "-_") {
			url := bytes.Map(urlToStd, src)
			alt, _, _ := base64Until(room(src), url, true, false)
			readings = add(readings, alt)
		}
	}
	return readings, d
}

// room makes a buffer for what src decodes to.
func room(src []byte) []byte { return make([]byte, 0, len(src)/4*3+3) }

func urlToStd(r rune) rune {
	switch r {
	case '-':
		return '+'
	case '_':
		return '/'
	}
	return r
}

// add appends a reading that is not there yet and not empty.
func add(readings [][]byte, r []byte) [][]byte {
	if len(r) == 0 {
		return readings
	}
	for _, old := range readings {
		if bytes.Equal(old, r) {
			return readings
		}
	}
	return append(readings, r)
}

// base64Until appends to out what src decodes to, up to complete padding (if stopPad) or the
// first junk byte (if stopJunk), and returns what is left after that.
func base64Until(out, src []byte, stopPad, stopJunk bool) (_ []byte, d Damage, rest []byte) {
	var acc uint32
	n := 0 // sextets in acc
	for i := 0; i < len(src); i++ {
		if n == 0 {
			for i+4 <= len(src) {
				a, b, c, e := sextets[src[i]], sextets[src[i+1]], sextets[src[i+2]], sextets[src[i+3]]
				if (a|b|c|e)&0x80 != 0 {
					break
				}
				out = append(out, a<<2|b>>4, b<<4|c>>2, c<<6|e)
				i += 4
			}
			if i >= len(src) {
				break
			}
		}
		switch v := sextets[src[i]]; v {
		case blnk:
		case skip:
			d |= Junk
			if stopJunk {
				return flush(out, acc, n), d, nil
			}
		case padc:
			if !stopPad {
				continue
			}
			if n < 2 { // padding where none can be
				d |= Junk
				continue
			}
			i++
			if n == 2 {
				i = skipPad(src, i)
			}
			out = flush(out, acc, n)
			rest = src[i:]
			if hasData(rest) {
				d |= EarlyEnd
			} else {
				rest = nil
			}
			return out, d, rest
		default:
			acc = acc<<6 | uint32(v)
			if n++; n == 4 {
				out = append(out, byte(acc>>16), byte(acc>>8), byte(acc))
				acc, n = 0, 0
			}
		}
	}
	switch {
	case n == 1:
		d |= Incomplete
	case n > 1:
		d |= NoPadding
	}
	return flush(out, acc, n), d, nil
}

// skipPad steps over the second "=" of a pair and the blanks before it.
func skipPad(src []byte, i int) int {
	for j := i; j < len(src); j++ {
		switch sextets[src[j]] {
		case blnk:
		case padc:
			return j + 1
		default:
			return i
		}
	}
	return i
}

func flush(out []byte, acc uint32, n int) []byte {
	switch n {
	case 2:
		out = append(out, byte(acc>>4))
	case 3:
		out = append(out, byte(acc>>10), byte(acc>>2))
	}
	return out
}

// hasData reports whether anything that decodes is left.
func hasData(b []byte) bool {
	for _, c := range b {
		if sextets[c] < skip {
			return true
		}
	}
	return false
}
