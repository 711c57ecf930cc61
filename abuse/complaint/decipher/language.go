package decipher

import (
	"strings"
	"unicode"
)

// languageMost bounds the text that is looked at.
const languageMost = 8 << 10

// Language is the language of a text by its script; of those in Latin letters only English
// is recognised. "" means unknown.
func Language(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), languageMost)], "")
	var han, kana, hangul, cyrillic, ukrainian, greek, latin int
	for _, r := range text {
		switch {
		case r < 0x80:
			if unicode.IsLetter(r) {
				latin++
			}
		case unicode.Is(unicode.Han, r):
			han++
		case unicode.In(r, unicode.Hiragana, unicode.Katakana):
			kana++
		case unicode.Is(unicode.Hangul, r):
			hangul++
		case unicode.Is(unicode.Cyrillic, r):
			cyrillic++
			if strings.ContainsRune("іїєґІЇЄҐ", r) {
				ukrainian++
			}
		case unicode.Is(unicode.Greek, r):
			greek++
		}
	}
	// One character of Han says as much as a few letters; addresses and product names are Latin everywhere.
	switch top := max(han*3, kana*3, hangul*3, cyrillic, greek); {
	case top < 3 || top*8 < latin:
		return english(text)
	case kana*10 >= han && kana > 0 && top <= max(han*3, kana*3):
		return "ja"
	case top == han*3:
		return "zh"
	case top == hangul*3:
		return "ko"
	case top == greek:
		return "el"
	case ukrainian*50 > cyrillic:
		return "uk"
	}
	return "ru"
}

// english looks for its small words.
func english(text string) string {
	seen, words, hits := map[string]bool{}, 0, 0
	for w := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' }) {
		words++
		switch w {
		case "the", "and", "this", "that", "your", "you", "from", "please", "is", "are", "has", "have", "been", "with", "for", "was", "not", "stop", "our", "my", "we", "i", "it", "to", "of":
			hits++
			seen[w] = true
		}
	}
	if len(seen) >= 2 && hits*8 >= words {
		return "en"
	}
	return ""
}

// Tag is the language of a Content-Language value, "" if it names none: the primary subtag
// of the first tag.
func Tag(value string) string {
	value, _, _ = strings.Cut(value, ",")
	value, _, _ = strings.Cut(strings.TrimSpace(value), "-")
	value, _, _ = strings.Cut(value, "_")
	value = strings.ToLower(strings.TrimSpace(value))
	if len(value) < 2 || len(value) > 3 || strings.Trim(value, "abcdefghijklmnopqrstuvwxyz") != "" {
		return ""
	}
	return value
}
