package take

import (
	"context"
	"errors"
	"io"

	"postern/internal/desk/page"
)

// How much of a message is fetched at once, in octets: little to begin with, since a range of it
// may be all that is wanted.
const (
	first = 64 << 10
	chunk = 8 << 20
)

type piece struct {
	ID     string `json:"id"`
	Offset int64  `json:"offset,omitempty"`
	Limit  int64  `json:"limit,omitempty"`
	Note   string `json:"note,omitempty"`
}

type raw struct {
	Body []byte `json:"body"`
	More bool   `json:"more"`
}

// source reads a held message piece by piece, from wherever it is wanted.
type source struct {
	ctx   context.Context
	calls page.Caller
	hold  hold
	note  string

	at    int64 // where the reader is
	start int64 // where buf begins
	buf   []byte
	next  int64 // how much is fetched
}

var errShort = errors.New("a held message ended before its size")

// fetch gets the piece that begins where the reader is.
func (s *source) fetch() error {
	if s.at >= s.hold.Size {
		return nil
	}
	var out raw
	if err := s.calls.Call(s.ctx, "quarantine.raw", piece{ID: s.hold.ID, Offset: s.at, Limit: s.next, Note: s.note}, &out); err != nil {
		return err
	}
	s.start, s.buf, s.next = s.at, out.Body, chunk
	return nil
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.at >= s.hold.Size {
		return 0, io.EOF
	}
	if s.at < s.start || s.at >= s.start+int64(len(s.buf)) {
		if err := s.fetch(); err != nil {
			return 0, err
		}
		if len(s.buf) == 0 {
			return 0, errShort
		}
	}
	n := copy(p, s.buf[s.at-s.start:])
	s.at += int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (s *source) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.hold.Size
	}
	if offset < 0 {
		return 0, errors.New("before the beginning")
	}
	s.at = offset
	return offset, nil
}
