package claim

import (
	"net/mail"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// zones are the names of RFC 5322 section 4.3; the standard library knows none of them for
// certain.
func zone(name string) string {
	switch name {
	case "EST", "CDT":
		return "-0500"
	case "EDT":
		return "-0400"
	case "CST", "MDT":
		return "-0600"
	case "MST", "PDT":
		return "-0700"
	case "PST":
		return "-0800"
	case "GMT", "UT", "UTC", "Z":
		return "+0000"
	}
	return ""
}

// When reads a date as mail and JSON write it; ok is false for anything else.
func When(s string) (t time.Time, ok bool) {
	s = Text(s[:min(len(s), 200)])
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return within(t)
		}
	}
	s, _, _ = strings.Cut(s, " (")
	words := strings.Fields(s)
	if n := len(words); n > 1 {
		if z := zone(strings.ToUpper(words[n-1])); z != "" {
			words[n-1] = z
		}
	}
	t, err := mail.ParseDate(strings.Join(words, " "))
	if err != nil {
		return time.Time{}, false
	}
	return within(t)
}

// within refuses years that no store and no JSON can hold.
func within(t time.Time) (time.Time, bool) {
	t = t.UTC()
	if y := t.Year(); y < 1970 || y > 9000 {
		return time.Time{}, false
	}
	return t, true
}

// IP reads the address a value begins with, brackets and the tag of address literals aside.
func IP(s string) (netip.Addr, bool) {
	s, _, _ = strings.Cut(strings.TrimSpace(Text(s)), " ")
	s = strings.Trim(s, "[]<>(),;\"")
	if len(s) > 5 && strings.EqualFold(s[:5], "ipv6:") {
		s = s[5:]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}

// Port reads a TCP port.
func Port(s string) (uint16, bool) {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0
}
