package decode

import "bytes"

// Quoted returns the readings of quoted-printable input (RFC 2045 section 6.7), the plain
// one first: an escape that is none stays as it stands, blanks between "=" and the line end
// count as a soft break. Damaged input adds a reading in which an escape may be split by a
// line end and a stray "=" vanishes.
func Quoted(src []byte) (readings [][]byte, d Damage) {
	if bytes.IndexByte(src, '=') < 0 {
		return [][]byte{src}, 0
	}
	plain, d := quoted(src, false)
	readings = append(readings, plain)
	if d != 0 {
		loose, _ := quoted(src, true)
		readings = add(readings, loose)
	}
	return readings, d
}

func quoted(src []byte, loose bool) (out []byte, d Damage) {
	out = make([]byte, 0, len(src))
	for {
		i := bytes.IndexByte(src, '=')
		if i < 0 {
			return append(out, src...), d
		}
		out = append(out, src[:i]...)
		src = src[i+1:]
		if n := softBreak(src); n >= 0 {
			src = src[n:]
			continue
		}
		if len(src) >= 2 && hex(src[0]) >= 0 && hex(src[1]) >= 0 {
			out = append(out, byte(hex(src[0])<<4|hex(src[1])))
			src = src[2:]
			continue
		}
		d |= Junk
		if !loose {
			out = append(out, '=')
			continue
		}
		if v, n := splitEscape(src); n > 0 {
			out = append(out, v)
			src = src[n:]
		}
	}
}

// softBreak returns how many bytes of a line end, blanks before it included, src begins
// with; -1 if with none. The end of input is a line end.
func softBreak(src []byte) int {
	for i := 0; i < len(src); i++ {
		switch src[i] {
		case ' ', '\t':
		case '\n':
			return i + 1
		case '\r':
			if i+1 < len(src) && src[i+1] == '\n' {
				return i + 2
			}
			return i + 1
		default:
			return -1
		}
	}
	return len(src)
}

// splitEscape reads two hex digits with a line end between them.
func splitEscape(src []byte) (v byte, n int) {
	var digits [2]int
	k := 0
	for i, c := range src[:min(len(src), 6)] {
		if h := hex(c); h >= 0 {
			digits[k] = h
			if k++; k == 2 {
				return byte(digits[0]<<4 | digits[1]), i + 1
			}
		} else if c != '\r' && c != '\n' && c != '=' && c != ' ' {
			break
		}
	}
	return 0, 0
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
