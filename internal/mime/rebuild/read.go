package rebuild

import (
	"errors"
	"io"
	"sort"
)

// Size is the length in bytes.
func (m *Message) Size() int64 { return m.size }

// ReadAt reads as io.ReaderAt says. An original that ends early is an error, never a shorter
// message.
func (m *Message) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("mime: negative offset")
	}
	n := 0
	for i := m.pieceAt(off); n < len(p) && i < len(m.pieces); i++ {
		c := m.pieces[i]
		skip := off + int64(n) - c.at
		want := min(int64(len(p)-n), c.n-skip)
		if c.lit != nil {
			n += copy(p[n:n+int(want)], c.lit[skip:])
			continue
		}
		got, err := m.original.ReadAt(p[n:n+int(want)], c.from+skip)
		n += got
		if int64(got) < want {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// pieceAt is the index of the piece that holds the byte at off.
func (m *Message) pieceAt(off int64) int {
	return sort.Search(len(m.pieces), func(i int) bool { return m.pieces[i].at+m.pieces[i].n > off })
}
