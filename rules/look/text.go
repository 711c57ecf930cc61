package look

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/filter"
	"postern/internal/mime"
	"postern/rules/pattern"
)

// overlap is how far stretches of the raw message reach into each other.
const overlap = 4 << 10

// paragraphs is the subject and the text, a paragraph a line: the lines of one are joined,
// runs of blanks are one blank. starts are those of the parts.
func paragraphs(tree *mime.Tree) (all string, starts []int) {
	text := tree.Text()
	parts, _ := tree.Starts()
	var b strings.Builder
	b.Grow(len(text) + 200)
	b.WriteString(strings.Join(strings.Fields(tree.Subject()), " "))
	b.WriteByte('\n')
	blank, ends := false, 0
	for i, r := range text {
		for len(parts) > 0 && i >= parts[0] {
			starts, parts = append(starts, b.Len()), parts[1:]
		}
		if unicode.IsSpace(r) {
			blank = true
			if r == '\n' {
				ends++
			}
			continue
		}
		switch {
		case ends > 1:
			b.WriteByte('\n')
		case blank:
			b.WriteByte(' ')
		}
		blank, ends = false, 0
		b.WriteRune(r)
	}
	return b.String(), starts
}

// address finds addresses of mail in text.
var address = regexp.MustCompile(`[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.)+[A-Za-z]{2,24}\b`)

// uris are the links with a scheme before those written without, and the addresses of mail in
// text and source as mailto links.
func uris(tree *mime.Tree) Shown {
	var out []string
	for _, u := range tree.URLs() {
		raw := u.Raw
		switch {
		case strings.HasPrefix(raw, "//"):
			raw = "http:" + raw
		case !strings.Contains(raw, ":"):
			raw = "http://" + raw
		}
		out = append(out, raw)
	}
	for _, text := range []string{tree.Text(), tree.HTMLText()} {
		for _, a := range address.FindAllString(cut(text, pattern.MaxText), MaxValues) {
			out = append(out, "mailto:"+a)
		}
	}
	return bounded(out)
}

// blanks are the characters that look like a blank and are none to an expression's \s.
var blanks = strings.NewReplacer("\u00a0", " ", "\u2002", " ", "\u2003", " ", "\u2007", " ", "\u2009", " ", "\u200a", " ", "\u202f", " ", "\u3000", " ")

// PlainBlanks makes them blanks. Most text has none of the bytes they begin with.
func PlainBlanks(text []byte) []byte {
	if bytes.IndexByte(text, 0xc2) < 0 && bytes.IndexByte(text, 0xe2) < 0 && bytes.IndexByte(text, 0xe3) < 0 {
		return text
	}
	return []byte(blanks.Replace(string(text)))
}

// raw reads the beginning of the message as received, in stretches that overlap.
func raw(m *filter.Message) (Shown, error) {
	b := make([]byte, min(m.Size, RawBytes))
	if n, err := m.Body.ReadAt(b, 0); err != nil && (n < len(b) || !errors.Is(err, io.EOF)) {
		return Shown{}, err
	}
	const step = pattern.MaxText - overlap
	var out []string
	for at := 0; at == 0 || at < len(b)-overlap; at += step {
		from := at
		for from > 0 && from < len(b) && !utf8.RuneStart(b[from]) {
			from++
		}
		out = append(out, string(b[from:min(at+pattern.MaxText, len(b))]))
	}
	return texts(out...), nil
}
