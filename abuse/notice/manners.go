package notice

import (
	"net/mail"

	"postern/abuse/notice/manners"
	"postern/internal/said"
)

// Party is who a letter would go to, as far as the mail that came from there shows.
type Party struct {
	To        string      // the return path; "" is the null sender
	Header    mail.Header // of what came; nil where it was no mail
	Trust     int         // 0..3 for T0..T3
	Feed      bool        // a feedback loop
	Language  string      // it was written in; "" = unknown
	MessageID string      // with angle brackets
	Subject   string
	About     string // address in the mail that was reported
}

// WhyNot says why nothing is sent to a party by a program (RFC 3834, RFC 6650 section 5.5), or nothing.
// own reports whether an address is the desk's.
func WhyNot(p Party, own func(address string) bool) said.Words {
	switch {
	case p.Feed:
		return said.Say("barred.feedback-loop", "feedback loops want no answer")
	case p.To == "" || p.To == "<>":
		return said.Say("barred.null-sender", "it came from the null sender")
	case p.Trust < 1:
		return said.Say("barred.not-proved", "nobody has proved to be its sender")
	case own(p.To):
		return said.Say("barred.own-address", "it came from an address of the desk")
	case manners.Robot(p.To):
		return said.Say("barred.robot", "it came from a program's address")
	}
	return manners.Automatic(p.Header)
}
