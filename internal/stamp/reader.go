package stamp

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"postern/filter"
)

// guard is put between our block and a first line that begins with a blank: such a line
// would otherwise become part of the last field of the block.
const guard = "Comments: the next line had no field name\r\n"

// Open is what goes out, and its length: a signature or seal where one belongs there, the
// block, outbound the fields that a message must have and this one lacks, and then the body
// of m without the fields that Cuts names. The same delivery gives the same bytes each time.
// The error says that the body cannot be read, or that it should be signed and cannot be.
func (s *Stamper) Open(block []byte, m *filter.Message) (io.Reader, int64, error) {
	h, err := s.look(m.Open(), m.Direction, block)
	if err != nil {
		return nil, 0, err
	}
	prefix := bytes.Clone(block)
	if m.Direction == filter.Outbound {
		prefix = append(prefix, s.missing(m, h)...)
	}
	if h.orphan && (len(prefix) > 0 || s.fronts(m)) {
		prefix = append(prefix, guard...)
	}
	open := func() (io.Reader, error) { return Reader(prefix, m.Body, m.Size, h.cuts), nil }
	front, err := s.front(block, m, open)
	if err != nil {
		return nil, 0, err
	}
	prefix = append(front, prefix...)
	size := int64(len(prefix)) + m.Size
	for _, c := range h.cuts {
		size -= c.End - c.Start
	}
	return Reader(prefix, m.Body, m.Size, h.cuts), size, nil
}

// fronts reports whether something may come to stand before the block.
func (s *Stamper) fronts(m *filter.Message) bool {
	return m.Direction == filter.Outbound && s.Signer != nil || m.Direction == filter.Inbound && s.Sealer != nil
}

// front is what stands before the block.
func (s *Stamper) front(block []byte, m *filter.Message, open func() (io.Reader, error)) ([]byte, error) {
	if !s.fronts(m) {
		return nil, nil
	}
	if m.Direction == filter.Outbound {
		fields, err := s.Signer.Sign(m, open)
		if err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
		return fields, nil
	}
	fields, err := s.Sealer.Seal(block, m, open)
	text := ""
	if err != nil { // the message is worth more than its seal
		fields, text = nil, "mail goes on without an ARC seal: "+err.Error()
	}
	if s.Alert != nil {
		s.Alert("arc-seal", text, err == nil)
	}
	return fields, nil
}

// missing are the Date and Message-ID of an outbound message that has none (RFC 6409
// sections 8.2 and 8.3). A message that was signed elsewhere stays as it was signed.
func (s *Stamper) missing(m *filter.Message, h found) []byte {
	var b bytes.Buffer
	if h.dkim {
		return nil
	}
	if !h.date {
		writeField(&b, "Date", []string{m.Time.Format(dateForm)})
	}
	if !h.messageID {
		writeField(&b, "Message-ID", []string{s.MessageID(m)})
	}
	return b.Bytes()
}

// MessageID is the Message-ID that an outbound message without one is given, the same for
// every copy of it.
func (s *Stamper) MessageID(m *filter.Message) string {
	return "<" + atom(m.ID) + "@" + atom(s.Names.Hostname) + ">"
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
