package relay

import (
	"errors"
	"fmt"
	"strings"

	"postern/filter"
	"postern/internal/relay/client"
)

// replyMax bounds the text of an answer, in bytes.
const replyMax = 400

// line is a reply as the client is told it: one line, an enhanced code that fits the code,
// nothing but printable ASCII.
func line(r client.Reply) string {
	class := r.Code / 100
	enhanced := r.Enhanced
	if !strings.HasPrefix(enhanced, fmt.Sprint(class)+".") {
		enhanced = fmt.Sprintf("%d.0.0", class)
	}
	return strings.TrimRight(fmt.Sprintf("%03d %s %s", r.Code, enhanced, plain(r.Text)), " ")
}

// plain keeps printable ASCII.
func plain(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
	return s[:min(len(s), replyMax)]
}

// public is the sentence of a verdict as a reply of the given class, 4 or 5. A verdict whose
// sentence is no such reply gets a general one.
func public(v filter.Verdict, m *filter.Message, class byte) string {
	s := plain(v.Public)
	if len(s) > 4 && s[0] == class && s[1] >= '0' && s[1] <= '5' && s[2] >= '0' && s[2] <= '9' && s[3] == ' ' && s[:3] != "421" {
		return s
	}
	if class == '5' {
		return line(client.Reply{Code: 550, Enhanced: "5.7.1", Text: "the message was refused" + ref(m)})
	}
	return line(client.Reply{Code: 451, Enhanced: "4.7.1", Text: "the message could not be checked, try again later" + ref(m)})
}

func ref(m *filter.Message) string { return " (ref " + m.ID + ")" }

// trouble is the answer to a fault of ours.
func trouble(m *filter.Message, enhanced, text string) client.Reply {
	return client.Reply{Code: 451, Enhanced: enhanced, Text: text + ref(m)}
}

// verdictOf reads what a server behind said to be told to the sender: 2xx, 4xx or 5xx as it
// is, but a fault of the link between it and us, or an answer that is none, as 451. 421 would
// end the client's session.
func verdictOf(r client.Reply) client.Reply {
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
		if strings.HasPrefix(r.Enhanced, "4.") {
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

// replyOf is what an error of a connection means for the sender.
func replyOf(err error) client.Reply {
	var ce *client.Error
	if errors.As(err, &ce) {
		return verdictOf(ce.Public())
	}
	return client.Reply{Code: 451, Enhanced: "4.4.1", Text: "the server behind does not answer, try again later"}
}
