// Package simhash names a text by 64 bits that differ little where the text differs little
// (Charikar's SimHash over words and pairs of words), and says where to look for near ones.
package simhash

import (
	"math"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Near is how many bits the prints of two copies of one campaign may differ in. Those of
// unrelated texts differ in 32, give or take 4.
const Near = 9

// Bounds of what is looked at.
const (
	MaxText = 64 << 10 // octets
	Least   = 20       // different words: of fewer nothing can be told
	maxWord = 32       // runes; longer ones are data
)

// Print is what a text is recognised by; zero stands for a text with too few words.
type Print uint64

// Apart is the number of bits in which two prints differ.
func Apart(a, b Print) int { return bits.OnesCount64(uint64(a ^ b)) }

// Of is the print of a text that a reader sees. Addresses, links, and whatever has a digit in
// it are left out: that is what differs between the copies of a campaign.
func Of(text string) Print {
	text = text[:min(len(text), MaxText)]
	if !norm.NFKC.IsNormalString(text) {
		text = norm.NFKC.String(text)
	}
	s := sum{seen: make(map[uint64]struct{}, 1024)}
	for field := range strings.FieldsSeq(text) {
		if strings.IndexByte(field, '@') >= 0 || strings.Contains(field, "://") || strings.HasPrefix(field, "www.") {
			continue
		}
		s.field(field)
	}
	if s.words < Least {
		return 0
	}
	return s.print()
}

// sum adds up features, each once however often it stands there.
type sum struct {
	seen  map[uint64]struct{}
	words int    // different ones
	last  uint64 // hash of the word before, 0 if none

	features int
	ones     [64]int   // how many features have each bit
	packed   [8]uint64 // the same for the last few, a byte each
	waiting  int       // how many these are, fewer than a byte can count
}

// field adds the words between two white spaces.
func (s *sum) field(field string) {
	h, n, digits := uint64(offset), 0, false
	end := func() {
		if n > 1 && n <= maxWord && !digits {
			s.word(h)
		}
		h, n, digits = offset, 0, false
	}
	for _, r := range field {
		switch {
		case ideograph(r): // has no white space: each is a word
			end()
			s.word(add(offset, r))
		case unicode.IsLetter(r):
			h, n = add(h, unicode.ToLower(r)), n+1
		case unicode.IsDigit(r):
			h, n, digits = add(h, r), n+1, true
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r), r == '\'', r == '’': // take no word apart
		default:
			end()
		}
	}
	end()
}

func ideograph(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
}

// The constants of FNV-1a.
const (
	offset = 14695981039346656037
	prime  = 1099511628211
)

func add(h uint64, r rune) uint64 {
	if r < utf8.RuneSelf {
		return (h ^ uint64(r)) * prime
	}
	for ; r > 0; r >>= 8 {
		h = (h ^ uint64(r&0xff)) * prime
	}
	return h
}

func (s *sum) word(h uint64) {
	if s.feature(mix(h)) {
		s.words++
	}
	if s.last != 0 {
		s.feature(mix(s.last*prime ^ h))
	}
	s.last = h
}

// feature reports whether it is a new one.
func (s *sum) feature(h uint64) bool {
	if _, ok := s.seen[h]; ok {
		return false
	}
	s.seen[h] = struct{}{}
	for k := range s.packed {
		s.packed[k] += spread(byte(h >> (8 * k)))
	}
	s.features++
	if s.waiting++; s.waiting == math.MaxUint8 {
		s.unpack()
	}
	return true
}

// spread puts each bit of b into a byte of its own.
func spread(b byte) uint64 {
	const each, own = 0x0101010101010101, 0x8040201008040201
	return (uint64(b)*each&own + 0x7f*each) >> 7 & each
}

// unpack adds what waits in bytes.
func (s *sum) unpack() {
	for i := range s.ones {
		s.ones[i] += int(s.packed[i/8] >> (i % 8 * 8) & 0xff)
	}
	s.packed, s.waiting = [8]uint64{}, 0
}

func (s *sum) print() (p Print) {
	s.unpack()
	for i, n := range s.ones {
		if 2*n > s.features {
			p |= 1 << i
		}
	}
	return max(p, 1)
}

// mix scatters a hash over all 64 bits.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
