// Package xclient writes the attributes by which a gateway tells the server behind it who
// the real client is (Postfix' XCLIENT and XFORWARD).
package xclient

import (
	"slices"
	"strconv"
	"strings"

	"postern/filter"
)

// Session is what can be told of a client.
type Session struct {
	Client  filter.Client
	Account string // authenticated account, "" = none
	ID      string // our message ID
}

// maxAttributes keeps the command line under 512 bytes.
const maxAttributes = 490

// Attributes lists what of the offered attributes the server is told, each with a leading
// space and encoded as xtext. What is not known is said to be, so that nothing of a client
// before is left standing.
func Attributes(offered []string, e Session) string {
	const unknown = "[UNAVAILABLE]"
	line := ""
	for _, v := range [...]struct{ name, value string }{
		{"ADDR", clientAddr(e.Client)},
		{"PORT", port(e.Client)},
		{"PROTO", "ESMTP"},
		{"SOURCE", "REMOTE"},
		{"IDENT", e.ID},
		{"LOGIN", e.Account},
		{"NAME", e.Client.Name},
		{"HELO", e.Client.Helo},
	} {
		if !slices.Contains(offered, v.name) {
			continue
		}
		text := xtext(v.value)
		if text == "" || len(line)+len(text)+len(v.name)+2 > maxAttributes {
			text = unknown
		}
		line += " " + v.name + "=" + text
	}
	return line
}

func clientAddr(c filter.Client) string {
	ip := c.IP.Unmap().WithZone("")
	if ip.Is6() {
		return "IPV6:" + ip.String()
	}
	return ip.String()
}

func port(c filter.Client) string {
	if c.Port == 0 {
		return ""
	}
	return strconv.Itoa(int(c.Port))
}

// xtext encodes a value as RFC 3461 section 4 has it: printable ASCII but "+" and "=".
func xtext(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c <= '~' && c != '+' && c != '=' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'+', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
