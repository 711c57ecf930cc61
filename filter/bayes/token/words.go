package token

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"postern/internal/mime/fold"
)

// text adds the words of a text and the pairs of those that are near each other, at most so
// many words. Links and addresses are left out: links have tokens of their own, and addresses
// are those of recipients more often than not.
func (b *bag) text(k kind, text string, most int) {
	if !norm.NFKC.IsNormalString(text) {
		text = norm.NFKC.String(text)
	}
	text = read(text)
	s := scan{bag: b, kind: k, left: most}
	for len(text) > 0 && s.left > 0 {
		var chunk string
		chunk, text = field(text)
		if chunk == "" || strings.Contains(chunk, "://") || strings.IndexByte(chunk, '@') >= 0 {
			s.gap()
			continue
		}
		s.chunk(chunk)
	}
}

// read is the text in the letters that people take it for.
func read(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return text
	}
	return string(fold.Text([]byte(text)))
}

// field splits off what stands before the first white space.
func field(s string) (first, rest string) {
	for i, r := range s {
		if unicode.IsSpace(r) {
			return s[:i], s[i+utf8.RuneLen(r):]
		}
	}
	return s, ""
}

// scan is a walk over the words of a text.
type scan struct {
	*bag
	kind kind
	left int       // words that may still come
	near [2]uint64 // the last two, the later one first
	have int       // how many of near there are
	word []byte
	size int  // runes of word
	num  int  // digits at its end
	han  rune // the last rune of a script without spaces, or 0
}

func (s *scan) gap() { s.have = 0 }

// chunk adds the words between two white spaces.
func (s *scan) chunk(chunk string) {
	for _, r := range chunk {
		if s.left <= 0 {
			return
		}
		switch {
		case bigram(r):
			s.end()
			s.ideograph(r)
			continue
		case unicode.IsDigit(r):
			s.num++
		case unicode.IsLetter(r):
			s.digits()
			s.rune(unicode.ToLower(r))
		case joins(r) && s.size > 0:
			s.digits()
			s.rune(r)
		case unicode.Is(unicode.Sc, r), r == '!', r == '%': // money, shouting, shares
			s.end()
			s.take(string(r))
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r): // what is not seen takes no word apart
		default:
			s.end()
		}
		s.han = 0
	}
	s.end()
	s.han = 0
}

func joins(r rune) bool { return r == '\'' || r == '-' || r == '_' || r == '’' }

func (s *scan) rune(r rune) {
	if s.size++; s.size <= maxWord {
		s.word = utf8.AppendRune(s.word, r)
	}
}

// digits puts down how many there were, and not which: no year is a token.
func (s *scan) digits() {
	if s.num > 0 {
		s.rune('#')
		s.rune(rune('0' + min(s.num, 9)))
		s.num = 0
	}
}

// end ends a word.
func (s *scan) end() {
	s.digits()
	if s.size > maxWord {
		s.take("long " + strconv.Itoa(s.size/8))
	} else if w := strings.Trim(string(s.word), "'-_’"); w != "" {
		s.take(w)
	}
	s.word, s.size = s.word[:0], 0
}

func (s *scan) take(word string) {
	if s.left <= 0 {
		return
	}
	s.left--
	h := s.add(s.kind, word)
	pairs := s.kind + 1
	if s.have > 0 {
		s.pair(pairs, s.near[0], h, 0)
	}
	if s.have > 1 {
		s.pair(pairs, s.near[1], h, 1)
	}
	s.near = [2]uint64{h, s.near[0]}
	s.have = min(s.have+1, 2)
}

// ideograph adds the bigram that ends in r.
func (s *scan) ideograph(r rune) {
	if s.han != 0 {
		s.left--
		s.add(s.kind, string([]rune{s.han, r}))
	}
	s.han = r
	s.gap()
}

// bigram reports the scripts that are written without spaces, or with few.
func bigram(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}
