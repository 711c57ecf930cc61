package command

import (
	"fmt"
	"strings"
)

// Reply is one SMTP reply (RFC 5321 section 4.2) with its enhanced status code (RFC 3463).
type Reply struct {
	Code     int
	Enhanced [3]int // zero = none
	Text     string // one line, public
}

// NewReply makes a reply whose enhanced code has the class of its code.
func NewReply(code, subject, detail int, text string) *Reply {
	return &Reply{Code: code, Enhanced: [3]int{code / 100, subject, detail}, Text: text}
}

// Error is the reply as one line without its line end.
func (r *Reply) Error() string { return r.String() }

// String is the reply as one line: code, enhanced code and text, printable ASCII only.
func (r *Reply) String() string {
	text := Printable(r.Text, maxReplyText)
	if r.Enhanced[0] == 0 {
		return fmt.Sprintf("%03d %s", r.Code, text)
	}
	return fmt.Sprintf("%03d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], text)
}

// maxReplyText keeps a reply line under the 512 octets of RFC 5321 section 4.5.3.1.5.
const maxReplyText = 490

// Printable cuts s to limit octets and replaces what is not printable ASCII by "?".
func Printable(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// ParseReply reads "250 2.0.0 text". ok is false for anything that is no final reply.
func ParseReply(s string) (r *Reply, ok bool) {
	if len(s) < 3 || len(s) > 3 && s[3] != ' ' {
		return nil, false
	}
	r = &Reply{}
	for _, c := range []byte(s[:3]) {
		if c < '0' || c > '9' {
			return nil, false
		}
		r.Code = r.Code*10 + int(c-'0')
	}
	if r.Code < 200 || r.Code > 599 || r.Code/100 == 3 {
		return nil, false
	}
	r.Text = strings.TrimPrefix(s[3:], " ")
	word, rest, _ := strings.Cut(r.Text, " ")
	var e [3]int
	if n, err := fmt.Sscanf(word+"\n", "%1d.%3d.%3d\n", &e[0], &e[1], &e[2]); err == nil && n == 3 && e[0] == r.Code/100 {
		r.Enhanced, r.Text = e, rest
	}
	return r, true
}
