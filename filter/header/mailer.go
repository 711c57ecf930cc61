package header

import (
	"regexp"
	"strings"

	"postern/internal/address"
)

var (
	// messageID is the form of a Message-ID as it is met: the standard's (RFC 5322 section
	// 3.6.4) and what programs make of it.
	messageID = regexp.MustCompile(`^<[^<>\s@]+@[^<>\s@]*>$`)
	bracketed = regexp.MustCompile(`<[^<>]*>`)
)

// program is a mail program, by the name it gives itself, and the Message-IDs it writes.
type program struct {
	name *regexp.Regexp
	ids  *regexp.Regexp
}

// programs are those whose Message-IDs have a form of their own. What a server wrote because the
// program left it out is not in question: such servers put their own name behind the at sign.
var programs = []program{
	{regexp.MustCompile(`^Microsoft Outlook Express \d`), regexp.MustCompile(`(?i)^<[0-9a-f]{12}\$[0-9a-f]{8}\$[0-9a-f]{8}@`)},
	{regexp.MustCompile(`^Microsoft Office Outlook 1[12]\.|^Microsoft Outlook 1[4-9]\.|^Microsoft Outlook, Build 10\.`), regexp.MustCompile(`(?i)^<[0-9a-f]{12}\$[0-9a-f]{8}\$[0-9a-f]{8}\$?@|^<[0-9A-Z]{20,}[A-Za-z0-9.!_-]*@`)},
	{regexp.MustCompile(`^Microsoft Outlook IMO, Build 9\.`), regexp.MustCompile(`(?i)^<[A-Z]{24,32}\.[^@]+@|^<[0-9a-f]{12}\$[0-9a-f]{8}\$[0-9a-f]{8}\$?@`)},
	{regexp.MustCompile(`^(?:Apple Mail|iPhone Mail|iPad Mail) \(`), regexp.MustCompile(`(?i)^<[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}@`)},
	{regexp.MustCompile(`^(?:Mozilla/\S+ .*)?(?:Mozilla )?Thunderbird\b`), regexp.MustCompile(`(?i)^<[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}@|^<[0-9a-f]{7,8}\.\d{4,8}@`)},
	{regexp.MustCompile(`^The Bat! \(v`), regexp.MustCompile(`^<\d{6,14}\.\d{8,14}@`)},
}

// messageID looks at the Message-ID, and whether the program that claims to have written the
// message writes such ones.
func (l *look) messageID() {
	value := strings.TrimSpace(l.head.Get("Message-ID"))
	if value == "" {
		l.add(MessageIDMissing, "")
		return
	}
	if !messageID.MatchString(value) {
		l.add(MessageIDInvalid, value)
		if value = bracketed.FindString(value); value == "" {
			return
		}
	}
	for _, field := range []string{"X-Mailer", "User-Agent"} {
		name := strings.TrimSpace(l.head.Decoded(field))
		for _, p := range programs {
			if p.name.MatchString(name) && !p.ids.MatchString(value) && !l.rewritten(value) {
				l.add(MailerForged, name+", "+value)
				return
			}
		}
	}
}

// rewritten reports whether a host on the way wrote the Message-ID: its name is behind the at
// sign. Lists and some servers do.
func (l *look) rewritten(id string) bool {
	_, host, _ := strings.Cut(strings.Trim(id, "<>"), "@")
	if host = strings.ToLower(host); !strings.Contains(host, ".") {
		return false
	}
	for i, hop := range l.head.All("Received") {
		if i == MaxHops {
			break
		}
		if by := hopBy.FindStringSubmatch(hop); by != nil && address.Registered(strings.ToLower(by[1])) == address.Registered(host) {
			return true
		}
	}
	return false
}
