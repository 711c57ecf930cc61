package canon

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// Form says which canonical forms a signature rests on; false is simple.
type Form struct{ RelaxedHeader, RelaxedBody bool }

// ParseForm reads the value of a c= tag (RFC 6376 section 3.5); "" is simple/simple.
func ParseForm(c string) (Form, error) {
	if c == "" {
		return Form{}, nil
	}
	var f Form
	header, body, both := strings.Cut(strings.ToLower(Squeeze(c)), "/")
	if !both {
		body = "simple"
	}
	for _, part := range []struct {
		name    string
		relaxed *bool
	}{{header, &f.RelaxedHeader}, {body, &f.RelaxedBody}} {
		switch part.name {
		case "relaxed":
			*part.relaxed = true
		case "simple":
		case "":
			return Form{}, errors.New("c= is incomplete")
		default:
			return Form{}, fmt.Errorf("canonicalization %.30q", part.name)
		}
	}
	return f, nil
}

// LastForm is the field that holds the signature itself, in canonical form without the CRLF
// at its end.
func LastForm(raw []byte, relaxed bool) []byte {
	return bytes.TrimSuffix(FieldForm(raw, relaxed), []byte("\r\n"))
}

// FieldForm is a header field in canonical form: as it came, or relaxed (RFC 6376 section
// 3.4.2).
func FieldForm(raw []byte, relaxed bool) []byte {
	if !relaxed {
		return raw
	}
	name, value, ok := bytes.Cut(raw, []byte(":"))
	if !ok {
		return nil
	}
	out := make([]byte, 0, len(raw)+3)
	out = append(out, bytes.ToLower(bytes.Trim(name, blanks))...)
	out = append(out, ':')
	space := false
	start := len(out)
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\r' && i+1 < len(value) && value[i+1] == '\n':
			i++
		case c == ' ' || c == '\t':
			space = true
		default:
			if space && len(out) > start {
				out = append(out, ' ')
			}
			space = false
			out = append(out, c)
		}
	}
	return append(out, "\r\n"...)
}

// Body hashes a body in canonical form with SHA-256, and counts it. Write it whole, then
// call Sum.
type Body struct {
	h       hash.Hash
	relaxed bool
	n       int64
	digest  []byte // set when the body is done

	crlfs int  // line ends not yet written: they may be the empty lines at the end
	cr    bool // a CR whose LF may follow
	space bool // blanks not yet written: they may end the line
	buf   []byte
}

// NewBody starts a body in one of the two forms.
func NewBody(relaxed bool) *Body { return &Body{h: sha256.New(), relaxed: relaxed} }

// Len is how many octets the body has in canonical form, once Sum was called.
func (b *Body) Len() int64 { return b.n }

// Write takes the next piece of the body. It never fails.
func (b *Body) Write(p []byte) (int, error) {
	for i := 0; i < len(p); {
		c := p[i]
		if b.cr {
			b.cr = false
			if c == '\n' {
				b.crlfs++
				b.space = false
				i++
				continue
			}
			b.put([]byte{'\r'})
		}
		switch {
		case c == '\r':
			b.cr = true
			i++
		case b.relaxed && (c == ' ' || c == '\t'):
			b.space = true
			i++
		default:
			n := b.run(p[i:])
			b.put(p[i : i+n])
			i += n
		}
	}
	b.flush()
	return len(p), nil
}

// run is how many octets p begins with that stand for themselves, single blanks inside a
// line among them.
func (b *Body) run(p []byte) int {
	if !b.relaxed {
		if i := bytes.IndexByte(p, '\r'); i >= 0 {
			return i
		}
		return len(p)
	}
	for i, c := range p {
		switch c {
		case '\r', '\t':
			return i
		case ' ':
			if i == 0 || i+1 == len(p) || p[i+1] == ' ' || p[i+1] == '\t' || p[i+1] == '\r' {
				return i
			}
		}
	}
	return len(p)
}

// put writes octets of a line, and before them what was held back.
func (b *Body) put(p []byte) {
	for ; b.crlfs > 0; b.crlfs-- {
		b.buf = append(b.buf, '\r', '\n')
		if len(b.buf) > chunk {
			b.flush()
		}
	}
	if b.space {
		b.buf = append(b.buf, ' ')
		b.space = false
	}
	b.buf = append(b.buf, p...)
}

func (b *Body) flush() {
	b.h.Write(b.buf) // a hash never fails
	b.n += int64(len(b.buf))
	b.buf = b.buf[:0]
}

// Sum ends the body and returns its hash: one CRLF behind the last line that has something,
// and in simple form also behind an empty body.
func (b *Body) Sum() []byte {
	if b.digest != nil {
		return b.digest
	}
	if b.cr {
		b.cr = false
		b.put([]byte{'\r'})
	}
	if b.n > 0 || len(b.buf) > 0 || !b.relaxed {
		b.buf = append(b.buf, '\r', '\n')
	}
	b.flush()
	b.digest = b.h.Sum(nil)
	return b.digest
}

// chunk is how much of a body is in memory at once.
const chunk = 32 << 10

// HashBody reads a body to its end, once for all hashes.
func HashBody(r io.Reader, hashes ...*Body) error {
	buf := make([]byte, chunk)
	for {
		n, err := r.Read(buf)
		for _, h := range hashes {
			_, _ = h.Write(buf[:n]) // a hash never fails
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
