package style

import "bytes"

// scale is what one is in the fixed point that numbers of styles are kept in.
const scale = 100

// most bounds a number before the scale.
const most = 1_000_000

// unit is what a length is counted in.
type unit uint8

const (
	plain  unit = iota // a number alone
	pixels             // other absolute units are turned into these
	share              // of what is around, em and per cent
	root               // of the usual size
)

// length is a number of hundredths of its unit.
type length struct {
	n    int
	unit unit
}

// of is the size in tenths of a pixel of letters within letters of another size.
func (l length) of(around int32) int32 {
	switch l.unit {
	case share:
		return int32(min(int64(around)*int64(l.n)/scale, most))
	case root:
		return int32(min(int64(usual)*int64(l.n)/scale, most))
	}
	return int32(l.n / (scale / 10))
}

// number reads a number at the beginning, in hundredths, and what follows it.
func number(b []byte) (n int, negative bool, rest []byte) {
	i := 0
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		negative = b[i] == '-'
		i++
	}
	begin := i
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		n = min(n*10+int(b[i]-'0'), most)
	}
	n *= scale
	digits := i - begin
	if i+1 < len(b) && b[i] == '.' && b[i+1] >= '0' && b[i+1] <= '9' {
		for worth := scale / 10; i+1 < len(b) && b[i+1] >= '0' && b[i+1] <= '9'; i++ {
			n += int(b[i+1]-'0') * worth
			worth /= 10
			digits++
		}
		i++
	}
	if digits == 0 {
		return 0, false, b
	}
	return n, negative, b[i:]
}

// parseLength reads a length that is not negative, in lower case.
func parseLength(v []byte) (length, bool) {
	n, negative, rest := number(v)
	if negative || len(rest) == len(v) {
		return length{}, false
	}
	if i := bytes.IndexAny(rest, " \t,)"); i >= 0 {
		rest = rest[:i]
	}
	switch string(rest) {
	case "":
		return length{n, plain}, true
	case "px":
		return length{n, pixels}, true
	case "pt":
		return length{n * 4 / 3, pixels}, true
	case "em":
		return length{n, share}, true
	case "%":
		return length{n / 100, share}, true
	case "rem":
		return length{n, root}, true
	}
	return length{}, false
}

// far is how many pixels beyond its edge nothing of a page is seen.
const far = 900

// farAway reports a length that moves its element off the page.
func farAway(v []byte) bool {
	n, negative, rest := number(v)
	if !negative || len(rest) == len(v) {
		return false
	}
	switch string(rest) {
	case "px", "pt", "":
		return n >= far*scale
	case "em", "rem":
		return n >= far/16*scale
	case "%":
		return n >= 200*scale
	}
	return false
}

// noRect reports a rectangle of nothing: rect(0 0 0 0), rect(1px, 1px, 1px, 1px).
func noRect(v []byte) bool {
	rest, ok := bytes.CutPrefix(v, []byte("rect("))
	for ok && len(rest) > 0 && rest[0] != ')' {
		rest = bytes.TrimLeft(rest, " ,")
		n, negative, after := number(rest)
		if len(after) == len(rest) || negative || n > scale {
			return false
		}
		rest = bytes.TrimPrefix(after, []byte("px"))
	}
	return ok
}

// lower copies as much of b as fits, its letters in lower case.
func lower(to, b []byte) []byte {
	n := copy(to, b)
	for i, c := range to[:n] {
		if c >= 'A' && c <= 'Z' {
			to[i] = c | 0x20
		}
	}
	return to[:n]
}
