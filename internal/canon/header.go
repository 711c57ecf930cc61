// Package canon holds what DKIM and ARC share about a message that is signed: its header
// cut into fields as they came, the canonical forms of RFC 6376 section 3.4, and tag lists
// (section 3.2). Everything is linear in the message and bounded.
package canon

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
)

// Bounds on a header, far above any honest mail.
const (
	MaxHeader = 256 << 10 // octets
	MaxFields = 2000
)

// ErrTooLarge: the header is larger than any honest one, so nothing is verified or signed.
var ErrTooLarge = errors.New("the header is too large to verify")

// Field is one header field as it came, its CRLF included.
type Field struct {
	Name string // lower case, "" where there is no colon
	Raw  []byte
}

// Value is what stands behind the colon, its CRLF included.
func (f Field) Value() []byte {
	_, v, _ := bytes.Cut(f.Raw, []byte(":"))
	return v
}

// Header is the header of a message.
type Header struct {
	Fields []Field
	byName map[string][]int
}

// Named returns the indexes of the fields with a name, which is in lower case, from the top
// down.
func (h *Header) Named(name string) []int { return h.byName[name] }

// Open cuts the header off a message of size octets and returns it with the body. A message
// that is shorter than its size is an error of the body, io.ErrUnexpectedEOF.
func Open(r io.ReaderAt, size int64) (*Header, io.Reader, error) {
	return Read(&whole{r: io.NewSectionReader(r, 0, size), left: size})
}

// whole reads so many octets, and says so when there are fewer.
type whole struct {
	r    io.Reader
	left int64
}

func (w *whole) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.left -= int64(n)
	if errors.Is(err, io.EOF) && w.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Read cuts the header off a message and returns it with the reader of the body. A message
// without an empty line is all header and has an empty body. Only CRLF ends a line: what a
// bare LF would make of the message is not what the signer signed. The error is that of r,
// or ErrTooLarge.
func Read(r io.Reader) (*Header, io.Reader, error) {
	head, rest, err := readHeader(r)
	if err != nil {
		return nil, nil, err
	}
	h := &Header{byName: map[string][]int{}}
	for len(head) > 0 {
		n := lineEnd(head, 0)
		if n == 2 && head[0] == '\r' {
			break
		}
		for n < len(head) && (head[n] == ' ' || head[n] == '\t') {
			n = lineEnd(head, n)
		}
		if len(h.Fields) == MaxFields {
			return nil, nil, ErrTooLarge
		}
		h.add(head[:n:n])
		head = head[n:]
	}
	return h, io.MultiReader(bytes.NewReader(rest), r), nil
}

func (h *Header) add(raw []byte) {
	f := Field{Raw: raw}
	if i := bytes.IndexByte(raw, ':'); i >= 0 {
		f.Name = strings.ToLower(strings.Trim(string(raw[:i]), blanks))
	}
	h.byName[f.Name] = append(h.byName[f.Name], len(h.Fields))
	h.Fields = append(h.Fields, f)
}

// lineEnd is the offset behind the CRLF that ends the line at from.
func lineEnd(b []byte, from int) int {
	i := bytes.Index(b[from:], []byte("\r\n"))
	if i < 0 {
		return len(b)
	}
	return from + i + 2
}

// readHeader reads up to and including the empty line; rest is what was read beyond it.
func readHeader(r io.Reader) (head, rest []byte, err error) {
	end := []byte("\r\n\r\n")
	buf := make([]byte, 0, 8<<10)
	for {
		at := len(buf)
		if at == cap(buf) {
			buf = append(make([]byte, 0, min(2*cap(buf), MaxHeader+len(end))), buf...)
		}
		n, err := r.Read(buf[at:cap(buf)])
		buf = buf[:at+n]
		if bytes.HasPrefix(buf, end[2:]) {
			return buf[:2:2], buf[2:], nil
		}
		from := max(0, at-3)
		if i := bytes.Index(buf[from:], end); i >= 0 {
			i += from + len(end)
			return buf[:i:i], buf[i:], nil
		}
		switch {
		case len(buf) > MaxHeader:
			return nil, nil, ErrTooLarge
		case errors.Is(err, io.EOF):
			return buf, nil, nil
		case err != nil:
			return nil, nil, err
		}
	}
}

// Digest is the SHA-256 over the fields that names lists, in lower case, each taken from the
// bottom up (RFC 6376 section 5.4.2), and last, the signature field without its value. A
// name that is left over stands for a field that is not there.
func (h *Header) Digest(names []string, last []byte, relaxed bool) []byte {
	sum := sha256.New()
	left := map[string]int{}
	for _, name := range names {
		at := h.byName[name]
		n, seen := left[name]
		if !seen {
			n = len(at)
		}
		if n > 0 {
			sum.Write(FieldForm(h.Fields[at[n-1]].Raw, relaxed)) // a hash never fails
			n--
		}
		left[name] = n
	}
	sum.Write(LastForm(last, relaxed))
	return sum.Sum(nil)
}
