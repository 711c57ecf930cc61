// Package framing reads the body of a DATA command: it finds the one true end, undoes dot
// stuffing (RFC 5321 section 4.5.2) and refuses or mends what is no proper line.
package framing

import (
	"bytes"
	"io"
)

// Mode says what happens to bare CR, bare LF and NUL.
type Mode uint8

// The modes.
const (
	Refuse    Mode = iota // the body is read to its end and marked Bare
	Normalize             // a bare LF becomes CRLF, a bare CR or NUL a space
)

// Scanner takes the raw octets behind the 354 and writes the body to Dst. Only CRLF "."
// CRLF ends a body, whatever the mode.
type Scanner struct {
	Dst     io.Writer
	Mode    Mode
	MaxSize int64 // octets of the body that are passed on
	MaxLine int   // octets of a line, its end not counted

	// The facts, valid at any time.
	Size    int64 // octets of the body so far, also those not passed on
	Longest int   // octets of the longest line
	Bare    bool  // a bare CR, bare LF or NUL was seen
	Err     error // the first error of Dst

	state state
	line  int
}

type state uint8

const (
	begin state = iota // after CRLF, and at the start
	dot                // "." held back at the start of a line
	dotCR              // "." and CR held back at the start of a line
	data               // inside a line
	cr                 // CR held back inside a line
)

// TooBig reports whether the body is over MaxSize.
func (s *Scanner) TooBig() bool { return s.Size > s.MaxSize }

// TooLong reports whether a line is over MaxLine.
func (s *Scanner) TooLong() bool { return max(s.Longest, s.line) > s.MaxLine }

// Refused reports whether the body can no longer be accepted, so that only its end matters.
func (s *Scanner) Refused() bool {
	return s.Err != nil || s.TooBig() || s.TooLong() || s.Bare && s.Mode == Refuse
}

// Scan takes the next octets. It returns how many belong to the body or its end, and
// whether the end was reached; the octets behind it are not touched.
func (s *Scanner) Scan(p []byte) (n int, end bool) {
	start := 0 // p[start:i] waits to be passed on unchanged
	i := 0
	for i < len(p) {
		c := p[i]
		switch s.state {
		case begin:
			s.state = data
			if c == '.' {
				s.pass(p[start:i])
				i++
				start, s.state = i, dot
			}
		case dot:
			s.state = data
			if c == '\r' {
				i++
				start, s.state = i, dotCR
			}
		case dotCR, cr:
			if c != '\n' {
				s.bareCR()
				s.state = data
				continue
			}
			if s.state == dotCR {
				return i + 1, true
			}
			s.pass([]byte("\r\n"))
			i++
			start = i
			s.endLine()
		case data:
			i, start = s.inLine(p, i, start)
		}
	}
	s.pass(p[start:i])
	return len(p), false
}

// inLine takes p[i:] up to and with the end of the line, or all of it.
func (s *Scanner) inLine(p []byte, i, start int) (next, from int) {
	seg := p[i:]
	lf := bytes.IndexByte(seg, '\n')
	if lf >= 0 {
		seg = seg[:lf]
	}
	if k := bytes.IndexAny(seg, "\r\x00"); k >= 0 {
		return s.special(p, i+k, start, i)
	}
	s.line += len(seg)
	i += len(seg)
	if lf < 0 {
		return i, start
	}
	// A bare LF: what stands before it is passed on, the LF becomes CRLF or nothing.
	s.Bare = true
	s.pass(p[start:i])
	s.pass([]byte("\r\n"))
	s.endLine()
	// Only a CRLF begins a line for dot stuffing: a "." behind a bare LF is text.
	s.state = data
	return i + 1, i + 1
}

// special handles the CR or NUL at p[k]; the line's octets p[i:k] are plain.
func (s *Scanner) special(p []byte, k, start, i int) (next, from int) {
	s.line += k - i
	if p[k] == '\r' && k+1 < len(p) && p[k+1] == '\n' {
		s.endLine()
		return k + 2, start
	}
	s.pass(p[start:k])
	if p[k] == '\r' {
		s.state = cr // held back until the next octet is known
		return k + 1, k + 1
	}
	s.Bare = true
	s.space()
	return k + 1, k + 1
}

func (s *Scanner) bareCR() {
	s.Bare = true
	s.space()
}

func (s *Scanner) space() {
	s.pass([]byte{' '})
	s.line++
}

func (s *Scanner) endLine() {
	s.Longest = max(s.Longest, s.line)
	s.line = 0
	s.state = begin
}

// pass counts p and writes it unless the body is refused already.
func (s *Scanner) pass(p []byte) {
	if len(p) == 0 {
		return
	}
	s.Size += int64(len(p))
	if s.Refused() {
		return
	}
	if _, err := s.Dst.Write(p); err != nil {
		s.Err = err
	}
}
