package notice

import (
	"net/mail"
	"slices"
	"strings"
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

// WhyNot says why nothing is sent to a party by a program (RFC 3834, RFC 6650 section 5.5), or "".
// own reports whether an address is the desk's.
func WhyNot(p Party, own func(address string) bool) string {
	switch {
	case p.Feed:
		return "feedback loops want no answer"
	case p.To == "" || p.To == "<>":
		return "it came from the null sender"
	case p.Trust < 1:
		return "nobody has proved to be its sender"
	case own(p.To):
		return "it came from an address of the desk"
	case robot(p.To):
		return "it came from a program's address"
	}
	return automatic(p.Header)
}

// robot knows addresses behind which nobody reads.
func robot(address string) bool {
	local := strings.ToLower(address[:max(strings.LastIndexByte(address, '@'), 0)])
	local, _, _ = strings.Cut(local, "+")
	if slices.Contains([]string{"mailer-daemon", "noreply", "no-reply", "donotreply", "do-not-reply", "bounce", "bounces", "listserv", "majordomo", "nobody", "root"}, local) {
		return true
	}
	return strings.HasPrefix(local, "owner-") || strings.HasPrefix(local, "bounce-") || strings.HasSuffix(local, "-request") || strings.HasSuffix(local, "-owner") ||
		strings.HasSuffix(local, "-bounces") || strings.HasSuffix(local, "-relay")
}

// automatic reads in a header whether a program wrote it, or a list sent it on.
func automatic(h mail.Header) string {
	first := func(name string) string {
		v, _, _ := strings.Cut(strings.ToLower(h.Get(name)), ";")
		v, _, _ = strings.Cut(v, "(")
		return strings.TrimSpace(v)
	}
	switch v := first("Auto-Submitted"); {
	case v != "" && v != "no":
		return "a program wrote it (Auto-Submitted: " + v[:min(len(v), 40)] + ")"
	case slices.Contains([]string{"bulk", "list", "junk"}, first("Precedence")):
		return "it is bulk mail (Precedence)"
	case first("Content-Type") == "multipart/report":
		return "it is a report of a program"
	case h.Get("X-Auto-Response-Suppress") != "" && first("X-Auto-Response-Suppress") != "none":
		return "it asks for no automatic answer"
	}
	for name := range h {
		if strings.HasPrefix(strings.ToLower(name), "list-") {
			return "it came over a mailing list"
		}
	}
	return ""
}
