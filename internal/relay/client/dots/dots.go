// Package dots frames a body for DATA: dots at line starts are doubled, and nothing goes out
// whose line ends two servers could read differently.
package dots

import (
	"bytes"
	"fmt"
	"io"
)

// Error says that a body cannot be sent as it is. It is never repaired here: what was
// scanned is what is sent.
type Error struct {
	Offset int64
	What   string // "bare LF", "bare CR", "NUL" or "last line without CRLF"
}

func (e *Error) Error() string {
	return fmt.Sprintf("body: %s at byte %d", e.What, e.Offset)
}

// Stuffer doubles dots at line starts (RFC 5321 section 4.5.2) and lets nothing through
// whose framing two servers could read differently.
type Stuffer struct {
	w         io.Writer
	out       []byte
	off       int64 // bytes of body before the current chunk
	lineStart bool
	cr        bool // the chunk before ended in CR
}

// New returns a Stuffer at the start of a body. Errors of w are returned by Write.
func New(w io.Writer) *Stuffer { return &Stuffer{w: w, lineStart: true} }

// Write passes the next piece of a body on. The error is an *Error or that of the writer
// below; nothing of a piece with an *Error was passed on.
func (s *Stuffer) Write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if i := bytes.IndexByte(p, 0); i >= 0 {
		return s.bad(i, "NUL")
	}
	if s.cr && p[0] != '\n' {
		return s.bad(-1, "bare CR")
	}
	s.out = s.out[:0]
	from := 0 // start of what is not yet in out
	for i := 0; i < len(p); {
		if s.lineStart && p[i] == '.' {
			s.out = append(append(s.out, p[from:i]...), '.')
			from = i
		}
		n, err := s.line(p, i)
		if err != nil {
			return err
		}
		i += n
	}
	s.off += int64(len(p))
	if from == 0 && len(s.out) == 0 {
		_, err := s.w.Write(p)
		return err
	}
	s.out = append(s.out, p[from:]...)
	_, err := s.w.Write(s.out)
	return err
}

// line checks the line at p[i:], or what there is of it, and returns its length.
func (s *Stuffer) line(p []byte, i int) (int, error) {
	end := bytes.IndexByte(p[i:], '\n')
	text := p[i:]
	if end >= 0 {
		text = p[i : i+end]
	}
	crAt := bytes.IndexByte(text, '\r')
	if crAt >= 0 && crAt != len(text)-1 {
		return 0, s.bad(i+crAt, "bare CR")
	}
	if end < 0 {
		s.cr, s.lineStart = crAt >= 0, false
		return len(text), nil
	}
	if crAt < 0 && (len(text) > 0 || !s.cr) {
		return 0, s.bad(i+end, "bare LF")
	}
	s.cr, s.lineStart = false, true
	return end + 1, nil
}

// End says that the body is over; a body that ends inside a line is an *Error.
func (s *Stuffer) End() error {
	switch {
	case s.cr:
		return s.bad(-1, "bare CR")
	case !s.lineStart:
		return s.bad(0, "last line without CRLF")
	}
	return nil
}

func (s *Stuffer) bad(i int, what string) error {
	return &Error{Offset: s.off + int64(i), What: what}
}
