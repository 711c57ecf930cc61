package reply

import (
	"slices"
	"strconv"
	"strings"
)

// Extensions is what a server offered in its answer to EHLO.
type Extensions struct {
	Pipelining, EightBitMIME, SMTPUTF8, StartTLS bool

	SizeOffered bool
	Size        int64    // largest message in bytes; 0 = no limit told
	Auth        []string // mechanisms, upper case
	XClient     []string // attributes, upper case
	XForward    []string
}

// ParseExtensions reads the lines of a 250 answer to EHLO. Keywords are case-insensitive
// (RFC 5321 section 2.4); the first line is the greeting.
func ParseExtensions(lines []string) Extensions {
	var x Extensions
	for _, line := range lines[min(1, len(lines)):] {
		word, rest, _ := strings.Cut(strings.ToUpper(line), " ")
		args := strings.Fields(rest)
		switch word {
		case "PIPELINING":
			x.Pipelining = true
		case "8BITMIME":
			x.EightBitMIME = true
		case "SMTPUTF8":
			x.SMTPUTF8 = true
		case "STARTTLS":
			x.StartTLS = true
		case "SIZE":
			x.SizeOffered = true
			if len(args) > 0 {
				if n, err := strconv.ParseInt(args[0], 10, 64); err == nil && n > 0 {
					x.Size = n
				}
			}
		case "AUTH":
			x.Auth = args
		case "XCLIENT":
			x.XClient = args
		case "XFORWARD":
			x.XForward = args
		}
	}
	return x
}

// Intersect keeps what both offer, with the smaller size.
func (x Extensions) Intersect(y Extensions) Extensions {
	return Extensions{
		Pipelining:   x.Pipelining && y.Pipelining,
		EightBitMIME: x.EightBitMIME && y.EightBitMIME,
		SMTPUTF8:     x.SMTPUTF8 && y.SMTPUTF8,
		StartTLS:     x.StartTLS && y.StartTLS,
		SizeOffered:  x.SizeOffered && y.SizeOffered,
		Size:         smaller(x.Size, y.Size),
		Auth:         common(x.Auth, y.Auth),
		XClient:      common(x.XClient, y.XClient),
		XForward:     common(x.XForward, y.XForward),
	}
}

// smaller is the tighter of two limits where 0 means none. A limit counts even where the
// other server offers no SIZE at all.
func smaller(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func common(a, b []string) []string {
	var both []string
	for _, s := range a {
		if slices.Contains(b, s) {
			both = append(both, s)
		}
	}
	return both
}
