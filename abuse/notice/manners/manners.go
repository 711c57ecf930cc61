// Package manners tells mail of people from that of programs, which want no answer (RFC 3834).
package manners

import (
	"net/mail"
	"slices"
	"strings"

	"postern/internal/said"
)

// Robot knows addresses behind which nobody reads.
func Robot(address string) bool {
	local := strings.ToLower(address[:max(strings.LastIndexByte(address, '@'), 0)])
	local, _, _ = strings.Cut(local, "+")
	if slices.Contains([]string{"mailer-daemon", "noreply", "no-reply", "donotreply", "do-not-reply", "bounce", "bounces", "listserv", "majordomo", "nobody", "root"}, local) {
		return true
	}
	return strings.HasPrefix(local, "owner-") || strings.HasPrefix(local, "bounce-") || strings.HasSuffix(local, "-request") || strings.HasSuffix(local, "-owner") ||
		strings.HasSuffix(local, "-bounces") || strings.HasSuffix(local, "-relay")
}

// Automatic says by a header that a program wrote it, or a list sent it on; nothing = neither.
func Automatic(h mail.Header) said.Words {
	first := func(name string) string {
		v, _, _ := strings.Cut(strings.ToLower(h.Get(name)), ";")
		v, _, _ = strings.Cut(v, "(")
		return strings.TrimSpace(v)
	}
	switch v := first("Auto-Submitted"); {
	case v != "" && v != "no":
		return said.Say("barred.program", "a program wrote it (Auto-Submitted: %s)", "value", strings.ToValidUTF8(v[:min(len(v), 40)], "?"))
	case slices.Contains([]string{"bulk", "list", "junk"}, first("Precedence")):
		return said.Say("barred.bulk", "it is bulk mail (Precedence)")
	case first("Content-Type") == "multipart/report":
		return said.Say("barred.program-report", "it is a report of a program")
	case h.Get("X-Auto-Response-Suppress") != "" && first("X-Auto-Response-Suppress") != "none":
		return said.Say("barred.asks-no-answer", "it asks for no automatic answer")
	}
	for name := range h {
		if strings.HasPrefix(strings.ToLower(name), "list-") {
			return said.Say("barred.mailing-list", "it came over a mailing list")
		}
	}
	return said.Words{}
}
