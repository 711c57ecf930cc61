package sent

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"strings"
	"unicode"
)

// A likeness is the smallest of the hashes of all runs of three words, under this many
// orders: equal ones count how much two texts share (MinHash), whatever became of charset,
// line ends, transfer encoding and of addresses that were made unreadable.
const (
	likenessOrders  = 24
	likenessRun     = 3
	likenessVersion = "l1:"
	likenessText    = 256 << 10 // octets of text that are looked at
	likenessWord    = 64        // longer words are data
)

// Likeness is what a text is recognised by: "" where it has no words.
func Likeness(text string) string {
	words := words(text[:min(len(text), likenessText)])
	if len(words) == 0 {
		return ""
	}
	var least [likenessOrders]uint64
	for i := range least {
		least[i] = ^uint64(0)
	}
	for i := 0; i == 0 || i+likenessRun <= len(words); i++ {
		h := fnv.New64a()
		for _, w := range words[i:min(i+likenessRun, len(words))] {
			_, _ = h.Write([]byte(w))
			_, _ = h.Write([]byte{0})
		}
		sum := h.Sum64()
		for order := range least {
			least[order] = min(least[order], mix(sum+uint64(order)*0x9e3779b97f4a7c15))
		}
	}
	out := make([]byte, 0, 2*likenessOrders)
	for _, v := range least {
		out = binary.BigEndian.AppendUint16(out, uint16(v))
	}
	return likenessVersion + base64.RawStdEncoding.EncodeToString(out)
}

// mix scatters a hash over all 64 bits.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// words are the words of a text in small letters. Whatever holds an address, and what is no
// word, is left out: that is what gets redacted or rewritten on the way.
func words(text string) []string {
	var out []string
	for _, field := range strings.Fields(text) {
		if strings.ContainsRune(field, '@') {
			continue
		}
		for _, w := range strings.FieldsFunc(field, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if len(w) <= likenessWord {
				out = append(out, strings.ToLower(w))
			}
		}
	}
	return out
}

// Alike is how much of two texts is the same, in hundredths, by their likenesses; 0 where one
// of them has none.
func Alike(a, b string) int {
	x, okA := likenessOf(a)
	y, okB := likenessOf(b)
	if !okA || !okB {
		return 0
	}
	same := 0
	for i := 0; i < len(x); i += 2 {
		if x[i] == y[i] && x[i+1] == y[i+1] {
			same++
		}
	}
	return same * 100 / likenessOrders
}

func likenessOf(s string) ([]byte, bool) {
	text, ok := strings.CutPrefix(s, likenessVersion)
	if !ok {
		return nil, false
	}
	b, err := base64.RawStdEncoding.DecodeString(text)
	return b, err == nil && len(b) == 2*likenessOrders
}
