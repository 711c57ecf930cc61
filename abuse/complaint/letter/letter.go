// Package letter writes reports of ours as mail: words for a person, fields for a program, and
// what they are about (RFC 5965, RFC 6522).
package letter

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
	"unicode/utf8"

	"postern/abuse/complaint/claim"
)

// Letter is a multipart/report of the type feedback-report.
type Letter struct {
	From, To  string // addresses
	MessageID string // with angle brackets
	Date      time.Time
	Subject   string
	Words     string // of the first part; all Fields are written below them
	Language  string // of Words, such as "zh"; "" = not said
	Fields    []Field
	Type      string // media type of the third part
	Body      []byte // of the third part
	Base64    bool   // for bodies that are no message
	Note      string // a last line of the first part
}

// Field is one field of the second part.
type Field struct{ Name, Value string }

// ErrAddress means that an address or a message ID has characters that would end its field.
var ErrAddress = errors.New("letter: an address or a message ID has characters it cannot have")

// subjectMost bounds the subject, which a stranger chose.
const subjectMost = 300

// Write makes the letter a message: its lines end in CRLF and are at most 998 bytes long if
// those of Body are.
func Write(l Letter) ([]byte, error) {
	if !addressable(l.From) || !addressable(l.To) || strings.ContainsAny(l.MessageID, "\r\n\x00 ") {
		return nil, ErrAddress
	}
	fields := l.fields()
	words := l.words(fields)
	body, coding := l.Body, bits(l.Body)
	if l.Base64 {
		body, coding = lines64(l.Body), "base64"
	}
	boundary := boundaryFor(words, fields, body)
	var b bytes.Buffer
	l.head(&b, boundary, coding)
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n", boundary)
	if lang := Token(l.Language); lang != "" {
		fmt.Fprintf(&b, "Content-Language: %s\r\n", lang)
	}
	fmt.Fprintf(&b, "\r\n%s\r\n--%s\r\nContent-Type: message/feedback-report\r\nContent-Transfer-Encoding: 7bit\r\n\r\n%s", words, boundary, fields)
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", boundary, l.Type, coding)
	b.Write(body)
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	return b.Bytes(), nil
}

func addressable(v string) bool {
	return v != "" && !strings.ContainsAny(v, "\r\n\x00<> ")
}

func (l Letter) head(b *bytes.Buffer, boundary, coding string) {
	subject := claim.Text(l.Subject)
	if len(subject) > subjectMost {
		subject = strings.ToValidUTF8(subject[:subjectMost], "")
	}
	if coding == "base64" {
		coding = "7bit"
	}
	fmt.Fprintf(b, "From: <%s>\r\nTo: <%s>\r\nDate: %s\r\nMessage-ID: %s\r\n", l.From, l.To, l.Date.UTC().Format(time.RFC1123Z), l.MessageID)
	fmt.Fprintf(b, "Subject: %s\r\n", fold(mime.QEncoding.Encode("utf-8", subject)))
	b.WriteString("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n")
	fmt.Fprintf(b, "Content-Type: multipart/report; report-type=feedback-report;\r\n\tboundary=\"%s\"\r\nContent-Transfer-Encoding: %s\r\n", boundary, coding)
}

// fields is the second part. Fields without a value are left out.
func (l Letter) fields() string {
	var b strings.Builder
	for _, f := range l.Fields {
		if v := ascii(claim.Text(f.Value)); v != "" {
			b.WriteString(f.Name + ": " + fold(v) + "\r\n")
		}
	}
	return b.String()
}

// words is the first part: what the caller says, and every fact of the second, since many
// who get this read no further.
func (l Letter) words(fields string) string {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(l.Words, "?"))
	text = strings.TrimRight(text, "\n") + "\n\n" +
		strings.ReplaceAll(strings.ReplaceAll(fields, "\r\n\t", " "), "\r\n", "\n")
	if l.Note != "" {
		text += "\n" + l.Note + "\n"
	}
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // a buffer takes everything
	_ = w.Close()
	return strings.ReplaceAll(strings.ReplaceAll(b.String(), "\r\n", "\n"), "\n", "\r\n")
}

// boundaryFor is the same for the same letter, and in none of its parts.
func boundaryFor(words, fields string, body []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d\n%s%s", len(words), len(fields), words, fields)
	h.Write(body)
	sum := h.Sum(nil)
	for {
		b := "=_" + hex.EncodeToString(sum[:16])
		if !bytes.Contains(body, []byte(b)) && !strings.Contains(words, b) && !strings.Contains(fields, b) {
			return b
		}
		next := sha256.Sum256(sum)
		sum = next[:]
	}
}

func lines64(b []byte) []byte {
	text := base64.StdEncoding.EncodeToString(b)
	var out bytes.Buffer
	for len(text) > 0 {
		n := min(76, len(text))
		out.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return out.Bytes()
}

func bits(b []byte) string {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return "8bit"
		}
	}
	return "7bit"
}

// Token is s without what may not stand in a token (RFC 2045).
func Token(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?=`, r) {
			return r
		}
		return -1
	}, s)
}

// ascii writes what a 7bit part cannot hold as RFC 6533 does.
func ascii(s string) string {
	if bits([]byte(s)) == "7bit" {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
	}
	return b.String()
}

// wordMost is what of one word stands on a line: with the name in front it is a line still.
const wordMost = 960

// fold breaks a value at its blanks before column 76.
func fold(s string) string {
	var b strings.Builder
	col := 30 // the name stands in front
	for i, w := range strings.Fields(s) {
		switch {
		case i == 0:
		case col+1+len(w) > 76:
			b.WriteString("\r\n\t")
			col = 8
		default:
			b.WriteByte(' ')
			col++
		}
		for len(w) > wordMost {
			b.WriteString(w[:wordMost] + "\r\n\t")
			w, col = w[wordMost:], 8
		}
		b.WriteString(w)
		col += len(w)
	}
	return b.String()
}
