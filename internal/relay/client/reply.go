package client

import "fmt"

// Reply is one answer of a server, safe to show and to pass on: printable ASCII on one line.
type Reply struct {
	Code     int
	Enhanced string   // RFC 3463 code such as "5.1.1", "" when there was none
	Text     string   // all lines joined, without the codes, bounded in length
	Lines    []string // the lines one by one
}

// OK reports a 2xx.
func (r Reply) OK() bool { return r.Code/100 == 2 }

// Temporary reports a 4xx.
func (r Reply) Temporary() bool { return r.Code/100 == 4 }

// Permanent reports a 5xx.
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// String is the reply as one line: "550 5.1.1 no such user".
func (r Reply) String() string {
	s := fmt.Sprintf("%03d", r.Code)
	if r.Enhanced != "" {
		s += " " + r.Enhanced
	}
	if r.Text != "" {
		s += " " + r.Text
	}
	return s
}

// Extensions is what a server offered in its answer to EHLO.
type Extensions struct {
	Pipelining, EightBitMIME, SMTPUTF8, StartTLS bool
	SizeOffered                                  bool
	Size                                         int64    // largest message in bytes; 0 = no limit told
	Auth                                         []string // mechanisms, upper case
	XClient, XForward                            []string // attributes, upper case
}

// Intersect keeps what both offer, with the smaller size.
func (x Extensions) Intersect(y Extensions) Extensions {
	z := Extensions{
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
	return z
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
		for _, t := range b {
			if s == t {
				both = append(both, s)
				break
			}
		}
	}
	return both
}
