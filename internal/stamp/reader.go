package stamp

import (
	"bytes"
	"errors"
	"io"

	"postern/filter"
)

// guard is put between our block and a first line that begins with a blank: such a line
// would otherwise become part of the last field of the block.
const guard = "Comments: the next line had no field name\r\n"

// Open is what goes out, and its length: the block and then the body of m without the fields
// that Cuts names.
func (s *Stamper) Open(block []byte, m *filter.Message) (io.Reader, int64, error) {
	cuts, orphan, err := Cuts(m.Open(), s.Names, m.Direction)
	if err != nil {
		return nil, 0, err
	}
	if orphan && len(block) > 0 {
		block = append(bytes.Clone(block), guard...)
	}
	size := int64(len(block)) + m.Size
	for _, c := range cuts {
		size -= c.End - c.Start
	}
	return Reader(block, m.Body, m.Size, cuts), size, nil
}

// Reader reads the block and then the body without the cuts, which are in order and do not
// overlap.
func Reader(block []byte, body io.ReaderAt, size int64, cuts []Range) io.Reader {
	return &reader{block: block, body: body, size: size, cuts: cuts}
}

type reader struct {
	block []byte
	body  io.ReaderAt
	pos   int64
	size  int64
	cuts  []Range
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.block) > 0 {
		n := copy(p, r.block)
		r.block = r.block[n:]
		return n, nil
	}
	for len(r.cuts) > 0 && r.pos >= r.cuts[0].Start {
		r.pos = max(r.pos, r.cuts[0].End)
		r.cuts = r.cuts[1:]
	}
	stop := r.size
	if len(r.cuts) > 0 {
		stop = r.cuts[0].Start
	}
	if r.pos >= stop {
		return 0, io.EOF
	}
	n, err := r.body.ReadAt(p[:min(int64(len(p)), stop-r.pos)], r.pos)
	r.pos += int64(n)
	if n > 0 {
		return n, nil
	}
	if errors.Is(err, io.EOF) { // shorter than its size: never sent as if it were whole
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}
