package notice

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"

	"postern/abuse/notice/letter"
)

// outgoing is a letter on its way.
type outgoing struct {
	from, replyTo, to string
	id, inReplyTo     string
	language          string
	automatic         string // value of Auto-Submitted; "" = a person wrote it
	at                time.Time
	text              letter.Text
}

// bytes is the message; its lines end with CRLF.
func (m outgoing) bytes() ([]byte, error) {
	var b bytes.Buffer
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, strings.Map(printable, value))
		}
	}
	field("From", m.from)
	field("To", m.to)
	field("Reply-To", m.replyTo)
	field("Subject", mime.BEncoding.Encode("utf-8", m.text.Subject))
	field("Date", m.at.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	field("Message-ID", m.id)
	if validID(m.inReplyTo) {
		field("In-Reply-To", m.inReplyTo)
		field("References", m.inReplyTo)
	}
	field("Auto-Submitted", m.automatic)
	field("Content-Language", m.language)
	field("MIME-Version", "1.0")
	field("Content-Type", "text/plain; charset=utf-8")
	field("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(strings.ReplaceAll(m.text.Body, "\n", "\r\n"))); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// validID takes a Message-ID that a stranger chose only if it is one.
func validID(s string) bool {
	return len(s) > 2 && len(s) < 250 && s[0] == '<' && s[len(s)-1] == '>' && !strings.ContainsFunc(s[1:len(s)-1], func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '<' || r == '>'
	})
}
