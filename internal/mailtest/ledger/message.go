package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// Message is one message of a load, the same for the same seed and number.
type Message struct {
	ID     string
	From   string
	To     []string
	Body   []byte // CRLF line ends, as before dot-stuffing
	Size   int64
	SHA256 string // hex
}

// shape is a kind of body.
type shape struct {
	name  string
	write func(b *bytes.Buffer, r *rand.Rand, size int)
}

// shapes are the kinds a load mixes.
func shapes() []shape {
	return []shape{
		{"plain", plainText}, {"utf8", utf8Text}, {"latin1", latinText}, {"long lines", longLines},
		{"dots", dotLines}, {"empty", emptyBody}, {"html", htmlText}, {"attachment", attachment},
	}
}

// Make makes message number n of a load. Sizes are spread evenly over their logarithm from
// 500 bytes to max; each message has one to five of the recipients.
func Make(seed uint64, n int, from string, recipients []string, max int) Message {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	m := Message{ID: fmt.Sprintf("%x-%06d", seed, n), From: from}
	for _, i := range r.Perm(len(recipients))[:min(1+int(r.ExpFloat64()), 5, len(recipients))] {
		m.To = append(m.To, recipients[i])
	}
	kinds := shapes()
	kind := kinds[n%len(kinds)]
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: Load <%s>\r\nTo: %s\r\n", from, strings.Join(m.To, ",\r\n "))
	fmt.Fprintf(&b, "Subject: message %d of the load, %s\r\n%s: %s\r\nMessage-ID: <%s@load.example>\r\n", n, kind.name, Field, m.ID, m.ID)
	b.WriteString("Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n")
	kind.write(&b, r, int(500*math.Pow(float64(max)/500, r.Float64())))
	return m.With(b.Bytes())
}

func text(b *bytes.Buffer, charset, encoding string) {
	fmt.Fprintf(b, "Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n", charset, encoding)
}

var words = strings.Fields("the report of last week is ready and the meeting moves to room four please bring your notes about numbers garden lunch train window paper")

// prose writes lines of words of about size bytes.
func prose(b *bytes.Buffer, r *rand.Rand, size int, vocabulary []string, width int) {
	for end := b.Len() + size; b.Len() < end; {
		for col := 0; col < width; {
			w := vocabulary[r.IntN(len(vocabulary))]
			b.WriteString(w)
			b.WriteByte(' ')
			col += len(w) + 1
		}
		b.WriteString("\r\n")
	}
}

func plainText(b *bytes.Buffer, r *rand.Rand, size int) {
	text(b, "us-ascii", "7bit")
	prose(b, r, size, words, 60)
}

func utf8Text(b *bytes.Buffer, r *rand.Rand, size int) {
	text(b, "utf-8", "8bit")
	prose(b, r, size, []string{"Grüße", "naïve", "Привет", "日本語", "mañana", "übermorgen", "café"}, 50)
}

func latinText(b *bytes.Buffer, r *rand.Rand, size int) {
	text(b, "iso-8859-1", "8bit")
	prose(b, r, size, []string{"Gr\xfc\xdfe", "na\xefve", "caf\xe9", "\xc4rger", "plain"}, 60)
}

// longLines have up to 998 octets (RFC 5322 section 2.1.1).
func longLines(b *bytes.Buffer, r *rand.Rand, size int) {
	text(b, "us-ascii", "7bit")
	for end := b.Len() + size; b.Len() < end; {
		b.WriteString(strings.Repeat("x", 900+r.IntN(99)) + "\r\n")
	}
}

func dotLines(b *bytes.Buffer, r *rand.Rand, size int) {
	text(b, "us-ascii", "7bit")
	lines := []string{".", "..", "...", ".x", "x.", ". ", ".\t", "", "From here", ".QUIT", "MAIL FROM:<x@y.example>"}
	for end := b.Len() + size; b.Len() < end; {
		b.WriteString(lines[r.IntN(len(lines))] + "\r\n")
	}
	b.WriteString(".\r\n")
}

func emptyBody(b *bytes.Buffer, _ *rand.Rand, _ int) { text(b, "us-ascii", "7bit") }

func htmlText(b *bytes.Buffer, r *rand.Rand, size int) {
	b.WriteString("Content-Type: multipart/alternative; boundary=\"=_alt\"\r\n\r\n--=_alt\r\n")
	text(b, "us-ascii", "7bit")
	prose(b, r, size/3, words, 60)
	b.WriteString("--=_alt\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>\r\n")
	prose(b, r, size/2, words, 60)
	b.WriteString("</p></body></html>\r\n--=_alt--\r\n")
}

func attachment(b *bytes.Buffer, r *rand.Rand, size int) {
	b.WriteString("Content-Type: multipart/mixed; boundary=\"=_mix\"\r\n\r\n--=_mix\r\n")
	text(b, "us-ascii", "7bit")
	b.WriteString("see the file\r\n--=_mix\r\nContent-Type: application/octet-stream; name=\"data.dat\"\r\n" +
		"Content-Disposition: attachment; filename=\"data.dat\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	raw := make([]byte, size*3/4)
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	for s := base64.StdEncoding.EncodeToString(raw); s != ""; {
		n := min(76, len(s))
		b.WriteString(s[:n] + "\r\n")
		s = s[n:]
	}
	b.WriteString("--=_mix--\r\n")
}

// With is the message with another body, which must still carry its name.
func (m Message) With(body []byte) Message {
	sum := sha256.Sum256(body)
	m.Body, m.Size, m.SHA256 = body, int64(len(body)), hex.EncodeToString(sum[:])
	return m
}
