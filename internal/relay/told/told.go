// Package told puts into one line what a sender is told: a server's answer, a verdict's
// sentence, or a fault of ours.
package told

import (
	"errors"
	"fmt"
	"strings"

	"postern/filter"
	"postern/internal/relay/client"
)

// replyMax bounds the text of an answer, in bytes.
const replyMax = 400

// Line is a reply as the client is told it: one line, an enhanced code that fits the code,
// nothing but printable ASCII.
func Line(r client.Reply) string {
	enhanced := r.Enhanced
	if !fits(enhanced, r.Code) {
		enhanced = fmt.Sprintf("%d.0.0", r.Code/100)
	}
	return strings.TrimRight(fmt.Sprintf("%03d %s %s", r.Code, enhanced, Plain(r.Text)), " ")
}

// fits reports whether s is an enhanced code (RFC 3463 section 2) of the class of code.
func fits(s string, code int) bool {
	part := strings.Split(s, ".")
	if len(part) != 3 || part[0] != fmt.Sprint(code/100) {
		return false
	}
	for _, p := range part {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// Plain keeps printable ASCII.
func Plain(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
	return s[:min(len(s), replyMax)]
}

// Sentence is the sentence of a verdict as a reply of the given class, 4 or 5. A verdict whose
// sentence is no such reply gets a general one.
func Sentence(v filter.Verdict, m *filter.Message, class byte) string {
	s := Plain(v.Public)
	if len(s) > 4 && s[0] == class && s[1] >= '0' && s[1] <= '5' && s[2] >= '0' && s[2] <= '9' && s[3] == ' ' && s[:3] != "421" {
		return s
	}
	if class == '5' {
		return Line(client.Reply{Code: 550, Enhanced: "5.7.1", Text: "the message was refused" + Ref(m)})
	}
	return Line(client.Reply{Code: 451, Enhanced: "4.7.1", Text: "the message could not be checked, try again later" + Ref(m)})
}

// Ref names a message to whoever asks about it.
func Ref(m *filter.Message) string { return " (ref " + m.ID + ")" }

// Trouble is the answer to a fault of ours.
func Trouble(m *filter.Message, enhanced, text string) client.Reply {
	return client.Reply{Code: 451, Enhanced: enhanced, Text: text + Ref(m)}
}

// Answer reads what a server behind said to be told to the sender: 2xx, 4xx or 5xx as it
// is, but a fault of the link between it and us, or an answer that is none, as 451. 421 would
// end the client's session.
func Answer(r client.Reply) client.Reply {
	switch {
	case r.OK():
		return r
	case r.Permanent() && !linkFault(r.Code):
		return r
	case r.Temporary() && r.Code != 421:
		return r
	}
	told := client.Reply{Code: 451, Enhanced: "4.4.2", Text: "the server behind could not take the message, try again later"}
	if r.Code == 421 {
		told.Text = r.Text
		if fits(r.Enhanced, 451) {
			told.Enhanced = r.Enhanced
		}
	}
	return told
}

// linkFault reports 5xx codes that are about us and not about the mail: bad sequence, unknown
// command, authentication asked for.
func linkFault(code int) bool {
	switch code {
	case 500, 502, 503, 530, 534, 535, 538:
		return true
	}
	return code < 500 || code > 559
}

// Error is what an error of a connection means for the sender.
func Error(err error) client.Reply {
	var ce *client.Error
	if errors.As(err, &ce) {
		return Answer(ce.Public())
	}
	return client.Reply{Code: 451, Enhanced: "4.4.1", Text: "the server behind does not answer, try again later"}
}

// Parse takes a line that Line or Sentence made apart again.
func Parse(s string) client.Reply {
	var r client.Reply
	if _, err := fmt.Sscanf(s, "%3d %s", &r.Code, &r.Enhanced); err == nil {
		r.Text = s[min(len(s), 4+len(r.Enhanced)+1):]
	}
	return r
}
