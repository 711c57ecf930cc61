// Package wire is the connection between an SMTP client and go-smtp. It sits above TLS and
// owns everything that travels: greeting, PROXY and XCLIENT, STARTTLS, line lengths, the
// budgets of errors and commands, idle time and data rate, and the framing of bodies.
package wire

// Framing says what happens to bare CR, bare LF and NUL in a body.
type Framing uint8

// The framings.
const (
	Refuse    Framing = iota // 550 5.5.2 at the real end of data
	Normalize                // a bare LF becomes CRLF, a bare CR or NUL a space
)
