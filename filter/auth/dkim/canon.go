package dkim

import (
	"bytes"
	"hash"
	"io"
)

// canonicalField is a header field in relaxed form (RFC 6376 section 3.4.2), without its
// CRLF when it is the signature itself; simple form is the field as it came.
func canonicalField(raw []byte, relaxed, last bool) []byte {
	if !relaxed {
		if last {
			return bytes.TrimSuffix(raw, []byte("\r\n"))
		}
		return raw
	}
	name, value, ok := bytes.Cut(raw, []byte(":"))
	if !ok {
		return nil
	}
	out := make([]byte, 0, len(raw)+3)
	out = append(out, bytes.ToLower(bytes.Trim(name, " \t\r\n"))...)
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
	if !last {
		out = append(out, "\r\n"...)
	}
	return out
}

// bodyHash hashes a body in canonical form, and counts it. Write it whole, then call sum.
type bodyHash struct {
	h       hash.Hash
	relaxed bool
	n       int64  // octets hashed
	digest  []byte // set when the body is done

	crlfs int  // line ends not yet written: they may be the empty lines at the end
	cr    bool // a CR whose LF may follow
	space bool // blanks not yet written: they may end the line
	buf   []byte
}

func (b *bodyHash) Write(p []byte) (int, error) {
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
func (b *bodyHash) run(p []byte) int {
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
func (b *bodyHash) put(p []byte) {
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

func (b *bodyHash) flush() {
	b.h.Write(b.buf) // a hash never fails
	b.n += int64(len(b.buf))
	b.buf = b.buf[:0]
}

// sum ends the body: one CRLF behind the last line that has something, and in simple form
// also behind an empty body.
func (b *bodyHash) sum() []byte {
	if b.cr {
		b.cr = false
		b.put([]byte{'\r'})
	}
	if b.n > 0 || len(b.buf) > 0 || !b.relaxed {
		b.buf = append(b.buf, '\r', '\n')
	}
	b.flush()
	return b.h.Sum(nil)
}

// chunk is how much of a body is in memory at once.
const chunk = 32 << 10

// hashBody reads a body of size octets once for all hashes.
func hashBody(r io.Reader, size int64, hashes []*bodyHash) error {
	buf := make([]byte, min(chunk, size+1))
	for {
		n, err := r.Read(buf)
		for _, h := range hashes {
			_, _ = h.Write(buf[:n]) // a hash never fails
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
