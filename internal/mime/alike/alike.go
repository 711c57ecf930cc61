// Package alike says which names look the same to a reader: letters of other scripts that are
// drawn like Latin ones, digits in place of letters, pairs of letters that run into one.
package alike

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// drawn are letters of other scripts that are drawn like a Latin letter, beside those that
// compatibility decomposition finds (Unicode TS 39, the cases within these scripts).
var drawn = map[rune]string{
	// Cyrillic
	'а': "a", 'в': "b", 'с': "c", 'ԁ': "d", 'е': "e", 'һ': "h", 'н': "h", 'і': "i", 'ї': "i", 'ј': "j", 'к': "k", 'ӏ': "l", 'м': "m",
	'о': "o", 'р': "p", 'ԛ': "q", 'г': "r", 'ѕ': "s", 'т': "t", 'ѵ': "v", 'ԝ': "w", 'х': "x", 'у': "y", 'ү': "y", 'ё': "e", 'ѐ': "e", 'ɡ': "g",
	// Greek
	'α': "a", 'β': "b", 'ε': "e", 'η': "n", 'ι': "i", 'κ': "k", 'ν': "v", 'ο': "o", 'ρ': "p", 'τ': "t", 'υ': "u", 'χ': "x", 'ω': "w", 'γ': "y", 'σ': "o",
	// Latin that is more than its letter
	'ı': "i", 'ł': "l", 'ø': "o", 'đ': "d", 'ħ': "h", 'ŧ': "t", 'æ': "ae", 'œ': "oe", 'ß': "ss", 'ƅ': "b", 'ɑ': "a", 'ɩ': "i", 'ƿ': "p", 'ʏ': "y", 'ᴀ': "a", 'ᴏ': "o",
	// digits that stand for letters
	'0': "o", '1': "l", '3': "e", '5': "s", '|': "l",
}

// maxName bounds what is compared, in bytes; names of hosts are shorter.
const maxName = 255

// Skeleton is how a name looks: two names with the same skeleton are hard to tell apart. It is
// only good for comparing. Names of hosts may be in A-labels or U-labels.
func Skeleton(name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	if strings.Contains(name, "xn--") {
		if u, err := idna.ToUnicode(name); err == nil {
			name = u
		}
	}
	var sb strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		switch l, ok := drawn[r]; {
		case ok:
			sb.WriteString(l)
		case r >= 0x300 && r <= 0x36f: // an accent
		case r == 'i':
			sb.WriteByte('l')
		default:
			sb.WriteRune(r)
		}
	}
	return pairs.Replace(strings.ReplaceAll(sb.String(), "i", "l"))
}

// pairs run into one letter.
var pairs = strings.NewReplacer("rn", "m", "vv", "w", "cl", "d")

// minEdited is the length below which one edit makes a different word, in letters.
const minEdited = 6

// Name is a name made ready for comparing with many.
type Name struct{ written, looks []rune }

// Of makes a name ready.
func Of(name string) Name {
	return Name{[]rune(strings.ToLower(name)), []rune(Skeleton(name))}
}

// Close reports whether two different names could be taken for each other: they look the same,
// or one letter is added, left out, changed or swapped with the next. Short names must look
// the same.
func (a Name) Close(b Name) bool {
	if len(a.written) == 0 || len(b.written) == 0 || slices.Equal(a.written, b.written) {
		return false
	}
	if slices.Equal(a.looks, b.looks) {
		return true
	}
	if len(a.written) < minEdited || len(b.written) < minEdited {
		return false
	}
	return oneEdit(a.written, b.written) || oneEdit(a.looks, b.looks)
}

// Close is Name.Close of two names as written.
func Close(a, b string) bool { return Of(a).Close(Of(b)) }

// oneEdit reports whether one edit makes a of b: the rest behind the first difference is the
// same after one letter of either or both, or after two that changed places.
func oneEdit(a, b []rune) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a)-len(b) > 1 {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	switch {
	case len(a) > len(b):
		return slices.Equal(a[i+1:], b[i:])
	case i == len(a):
		return true
	case slices.Equal(a[i+1:], b[i+1:]):
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && slices.Equal(a[i+2:], b[i+2:])
}
