package header

import (
	"bytes"
	"strings"

	"postern/internal/mime/charset"
	"postern/internal/mime/decode"
)

// Words decodes the encoded words of s (RFC 2047) wherever they stand, as mail programs do:
// inside quotes, with blanks in them, with a character split between neighbours. Raw 8-bit
// bytes are read as UTF-8 where possible; line ends become blanks.
func Words(s string) string {
	if strings.Contains(s, "=?") {
		s = words(s)
	} else if !ascii(s) {
		b, _ := charset.UTF8("", []byte(s))
		s = string(b)
	}
	if strings.ContainsAny(s, "\r\n") {
		s = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(s)
	}
	return s
}

// word is one encoded word.
type word struct {
	charset string
	data    []byte
}

func words(s string) string {
	var out strings.Builder
	out.Grow(len(s))
	var pending word // decoded bytes whose last character may be split
	flush := func() {
		if pending.data != nil {
			b, _ := charset.UTF8(pending.charset, pending.data)
			out.Write(b)
			pending = word{}
		}
	}
	plain := func(t string) {
		if t == "" || pending.data != nil && strings.Trim(t, " \t\r\n") == "" {
			return
		}
		flush()
		b, _ := charset.UTF8("", []byte(t))
		out.Write(b)
	}
	last := strings.LastIndex(s, "?=") // no word can begin behind it
	for size := len(s); size-len(s) < last; {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		w, n := parseWord(s[i:])
		plain(s[:i])
		if n == 0 {
			n = 2
			flush()
			out.WriteString("=?")
		} else {
			if pending.data != nil && !strings.EqualFold(pending.charset, w.charset) {
				flush()
			}
			pending.charset = w.charset
			pending.data = append(pending.data, w.data...)
			if pending.data == nil {
				pending.data = []byte{}
			}
		}
		s = s[i+n:]
	}
	plain(s)
	flush()
	return out.String()
}

// parseWord reads the encoded word s begins with; n is its length, 0 = none.
func parseWord(s string) (w word, n int) {
	const maxName = 64
	cs := strings.IndexByte(s[2:min(len(s), 2+maxName)], '?')
	if cs <= 0 {
		return w, 0
	}
	at := 2 + cs + 1
	if at+1 >= len(s) || s[at+1] != '?' {
		return w, 0
	}
	if strings.IndexByte("bBqQ", s[at]) < 0 {
		return w, 0
	}
	text := s[at+2:]
	end := strings.Index(text, "?=")
	if end < 0 {
		return w, 0
	}
	n = at + 2 + end + 2
	w.charset = s[2 : 2+cs]
	text = text[:end]
	switch s[at] {
	case 'b', 'B':
		readings, _ := decode.Base64([]byte(text))
		w.data = readings[0]
		if len(readings) > 1 { // words glued together inside one
			w.data = readings[1]
		}
	default:
		readings, _ := decode.Quoted(bytes.ReplaceAll([]byte(text), []byte{'_'}, []byte{' '}))
		w.data = readings[0]
	}
	return w, n
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
