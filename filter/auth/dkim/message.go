package dkim

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// Bounds on what is looked at, far above any honest mail.
const (
	maxHeader     = 256 << 10 // octets of the header
	maxFields     = 2000
	maxSignatures = 10
	maxNames      = 200      // names in h=
	maxSignature  = 16 << 10 // octets of one DKIM-Signature field
)

// message is a message cut into header fields and body.
type message struct {
	fields []field
	byName map[string][]int // indexes of fields, by lower-case name
	body   int64            // offset of the body
}

// field is one header field as it came, its CRLF included.
type field struct {
	name string // lower case, "" where there is no colon
	raw  []byte
}

// ErrTooLarge: the header is larger than any honest one, so nothing is verified.
var ErrTooLarge = errors.New("the header is too large to verify")

// split reads the header. A message without an empty line is all header and has an empty
// body. Only CRLF ends a line: what a bare LF would make of the message is not what the
// signer signed.
func split(r io.ReaderAt, size int64) (*message, error) {
	head, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	m := &message{byName: map[string][]int{}, body: int64(len(head))}
	for rest := head; len(rest) > 0; {
		n := lineEnd(rest, 0)
		if n == 2 && rest[0] == '\r' {
			m.body = int64(len(head) - len(rest) + 2)
			break
		}
		for n < len(rest) && (rest[n] == ' ' || rest[n] == '\t') {
			n = lineEnd(rest, n)
		}
		if len(m.fields) == maxFields {
			return nil, ErrTooLarge
		}
		m.add(rest[:n:n])
		rest = rest[n:]
	}
	return m, nil
}

func (m *message) add(raw []byte) {
	f := field{raw: raw}
	if i := bytes.IndexByte(raw, ':'); i >= 0 {
		f.name = strings.ToLower(strings.Trim(string(raw[:i]), " \t\r\n"))
	}
	m.byName[f.name] = append(m.byName[f.name], len(m.fields))
	m.fields = append(m.fields, f)
}

// lineEnd is the offset behind the CRLF that ends the line at from.
func lineEnd(b []byte, from int) int {
	i := bytes.Index(b[from:], []byte("\r\n"))
	if i < 0 {
		return len(b)
	}
	return from + i + 2
}

// readHeader reads up to and including the empty line.
func readHeader(r io.ReaderAt, size int64) ([]byte, error) {
	head := make([]byte, 0, 8<<10)
	end := []byte("\r\n\r\n")
	for int64(len(head)) < size && len(head) < maxHeader+len(end) {
		n := min(size-int64(len(head)), int64(max(len(head), 8<<10)), int64(maxHeader+len(end)-len(head)))
		at := len(head)
		head = append(head, make([]byte, n)...)
		got, err := r.ReadAt(head[at:], int64(at))
		if got < int(n) {
			return nil, err
		}
		if bytes.HasPrefix(head, end[2:]) {
			return head[:2], nil
		}
		if i := bytes.Index(head[max(0, at-3):], end); i >= 0 {
			return head[:max(0, at-3)+i+4], nil
		}
	}
	if int64(len(head)) < size || len(head) > maxHeader {
		return nil, ErrTooLarge
	}
	return head, nil
}
