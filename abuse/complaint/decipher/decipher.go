// Package decipher makes text of strangers readable: by the charset it declares where that
// explains the bytes, by the one they look like where it does not. The bytes stay as they are.
package decipher

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"postern/internal/mime/charset"
)

// Result is a text and how it was read.
type Result struct {
	Text    string
	Charset string // what it was read as
	Problem string // "" if the declaration and the bytes agree
}

// sampleMost bounds the bytes that are tried in every charset.
const sampleMost = 8 << 10

// Text reads b, which declares itself to be in the named charset ("" = says nothing).
func Text(declared string, b []byte) Result {
	name := strings.ToLower(strings.Trim(declared, " \t\"'"))
	switch {
	case name == "utf-7" || name == "utf7" || name == "unicode-1-1-utf-7":
		out, _ := charset.UTF8(name, b)
		return Result{string(out), "utf-7", "the text is in UTF-7, in which markup can hide"}
	case name == "gb2312" || name == "gbk" || name == "gb18030" || name == "x-gbk" || name == "cp936" || name == "gb_2312-80":
		return checked("gb18030", name, b)
	case trusted(name):
		return checked(name, name, b)
	}
	if isASCII(b) {
		if bytes.Contains(b, []byte("\x1b$")) {
			out, _ := charset.UTF8("iso-2022-jp", b)
			return Result{Text: string(out), Charset: "iso-2022-jp"}
		}
		return Result{Text: string(b), Charset: "us-ascii"}
	}
	if utf8.Valid(b) {
		return Result{Text: string(b), Charset: "utf-8"}
	}
	return guessed(name, b)
}

// Lines returns a reader of single lines of a text: the charset is found out once, from the
// whole of it.
func Lines(declared string, text []byte) func(line []byte) string {
	name := Text(declared, text[:min(len(text), 16*sampleMost)]).Charset
	return func(line []byte) string {
		if isASCII(line) && name != "iso-2022-jp" && name != "utf-7" {
			return string(line)
		}
		out, _ := charset.UTF8(name, line)
		return string(out)
	}
}

// trusted reports whether a declaration is taken at its word. Those that programs write
// when they know nothing are not.
func trusted(name string) bool {
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "iso-8859-1", "latin1", "windows-1252", "cp1252", "iso-8859-15", "unknown-8bit", "x-unknown", "binary", "8bit", "7bit":
		return false
	}
	return charset.Known(name)
}

// checked reads b as declared, unless much of it makes no sense that way.
func checked(as, declared string, b []byte) Result {
	out, _ := charset.UTF8(as, b)
	if bad := bytes.Count(out, []byte("\uFFFD")); bad*50 > len(out)/2+50 {
		if r := guessed(declared, b); strings.Count(r.Text, "\uFFFD")*2 < bad {
			return r
		}
	}
	return Result{Text: string(out), Charset: as}
}

// guessed reads b as what it looks like.
func guessed(declared string, b []byte) Result {
	if isASCII(b) || utf8.Valid(b) {
		return Result{Text: string(b), Charset: "utf-8", Problem: told(declared, "utf-8")}
	}
	if binary(b) {
		return Result{Charset: "binary", Problem: "what should be text is data of another kind"}
	}
	best, top := -1, 0
	sample := head(b)
	for i, c := range candidates() {
		if s := c.score(sample); best < 0 || s > top {
			best, top = i, s
		}
	}
	c := candidates()[best]
	out, err := c.enc.NewDecoder().Bytes(b)
	if err != nil || top <= 0 {
		out, _ = charset.UTF8("", b)
		return Result{Text: string(out), Charset: "unknown", Problem: "the charset of the text could not be found out"}
	}
	return Result{Text: string(out), Charset: c.name, Problem: told(declared, c.name)}
}

// binary reports whether bytes are no text in any charset.
func binary(b []byte) bool {
	b = b[:min(len(b), sampleMost)]
	controls := 0
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b {
			controls++
		}
	}
	return controls*20 > len(b)
}

func told(declared, found string) string {
	if declared == "" {
		return "the text names no charset; it is read as " + found
	}
	return "the text names a charset that does not fit; it is read as " + found
}

// head is the part of b with the bytes that matter: lines with none are passed over.
func head(b []byte) []byte {
	out := make([]byte, 0, min(len(b), sampleMost))
	for l := range bytes.Lines(b) {
		if isASCII(l) {
			continue
		}
		if out = append(out, l[:min(len(l), sampleMost-len(out))]...); len(out) >= sampleMost {
			break
		}
	}
	return out
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// candidate is a charset that undeclared bytes may be in.
type candidate struct {
	name string
	enc  encoding.Encoding
}

// candidates are in the order that decides between equals.
func candidates() []candidate {
	return []candidate{
		{"gb18030", simplifiedchinese.GB18030}, {"big5", traditionalchinese.Big5}, {"windows-1251", charmap.Windows1251},
		{"koi8-r", charmap.KOI8R}, {"iso-8859-7", charmap.ISO8859_7}, {"shift_jis", japanese.ShiftJIS},
		{"euc-jp", japanese.EUCJP}, {"euc-kr", korean.EUCKR}, {"windows-1252", charmap.Windows1252},
	}
}

// score says how much the sample looks like text, in hundredths per byte beyond ASCII.
func (c candidate) score(sample []byte) int {
	out, err := c.enc.NewDecoder().Bytes(sample)
	if err != nil {
		return -1 << 20
	}
	high := 0
	for _, b := range sample {
		if b >= 0x80 {
			high++
		}
	}
	sum, before := 0, ' '
	for _, r := range string(out) {
		if r >= 0x80 {
			sum += weigh(r, before)
		}
		before = r
	}
	return sum * 100 / max(high, 1)
}

// Characters that are frequent in running text of their language, and in complaints.
const (
	commonHan = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日者意无力它与长把机十第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应向头文体相见被等产新身加月话合回特代内信表化给位次度任常先通原提立及比员解名真处各入认条平系气题打变总何电数安少报才结受目太再做接必件管期直资命金指许统区保至社便决记品住告类求据件邮垃圾举收请谢您附封址箱广骗投诉" +
		"這個們來為國說時會對發過後經學現當沒動還進樣開實無與長機間問頭體見產將業點關條題變電數報結處認氣從號請謝您郵垃圾舉收附封廣騙訴寄貴司網址帳號濫發信箱內容"
	commonCyrillic = "оеаинтсрвлкмдпуя"
	commonGreek    = "αοιετσνηυρπκςάέήίόύώ"
)

// weigh is what a character says for a reading, given the one before it.
func weigh(r, before rune) int {
	switch {
	case r == utf8.RuneError:
		return -20
	case r < 0xa0:
		return -10
	case r >= 0xe000 && r <= 0xf8ff, r >= 0x3400 && r <= 0x4dbf, r >= 0x20000:
		return -8
	case unicode.Is(unicode.Han, r):
		if strings.ContainsRune(commonHan, r) {
			return 8
		}
		return 1
	case unicode.In(r, unicode.Hiragana):
		return 8
	case r >= 0xff61 && r <= 0xff9f: // half-width kana, one byte each in Shift_JIS
		return -2
	case unicode.In(r, unicode.Katakana):
		return 5
	case unicode.Is(unicode.Hangul, r):
		return 5
	case unicode.Is(unicode.Cyrillic, r):
		return cased(r, before, commonCyrillic)
	case unicode.Is(unicode.Greek, r):
		return cased(r, before, commonGreek)
	case r >= 0x3013 && r <= 0x303f: // where other double-byte charsets have letters
		return -4
	case r >= 0x3000 && r <= 0x3012 || r >= 0xff00 && r <= 0xff5e:
		return 3
	case r >= 0xc0 && r < 0x180:
		if before < 0x80 && (unicode.IsLetter(before) || before == ' ') {
			return 2
		}
		return -2
	case unicode.IsLetter(r):
		return -3
	case r == 0xa0 || r >= 0x2010 && r <= 0x2030 || r == 0xab || r == 0xbb:
		return 1
	}
	return -2
}

func cased(r, before rune, common string) int {
	switch {
	case before < 0x80 && unicode.IsLetter(before): // no word is in two scripts
		return -6
	case unicode.IsUpper(r) && unicode.IsLower(before):
		return -3
	case strings.ContainsRune(common, r):
		return 4
	case unicode.IsLower(r):
		return 2
	}
	return 1
}
