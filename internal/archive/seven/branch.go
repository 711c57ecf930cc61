package seven

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// branch puts machine code together again of which the targets of calls and jumps were packed
// apart, with one bit for each that says whether it was (BCJ2).
type branch struct {
	main, calls, jumps, bits *bufio.Reader

	begun   bool
	chances [2 + 256]uint32
	width   uint32
	code    uint32
	last    byte   // byte before
	at      uint32 // bytes written
	pending []byte // of a target
	err     error
}

func newBranch(in []io.Reader) io.Reader {
	b := &branch{main: bufio.NewReader(in[0]), calls: bufio.NewReader(in[1]), jumps: bufio.NewReader(in[2]), bits: bufio.NewReader(in[3]), width: 0xffffffff}
	for i := range b.chances {
		b.chances[i] = 1 << 10
	}
	return b
}

func (b *branch) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && b.err == nil {
		if len(b.pending) > 0 {
			k := copy(p[n:], b.pending)
			b.pending = b.pending[k:]
			n += k
			continue
		}
		c, err := b.main.ReadByte()
		if err != nil {
			b.err = err
			break
		}
		p[n] = c
		n++
		b.at++
		which, is := b.which(c)
		b.last = c
		if is {
			b.err = b.target(c, which)
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// which is the chance that decides about c, if it begins a call or jump.
func (b *branch) which(c byte) (int, bool) {
	switch {
	case c == 0xe8:
		return int(b.last), true
	case c == 0xe9:
		return 256, true
	case b.last == 0x0f && c&0xf0 == 0x80:
		return 257, true
	}
	return 0, false
}

// target reads the target behind c where it was packed apart.
func (b *branch) target(c byte, which int) error {
	apart, err := b.bit(which)
	if err != nil || !apart {
		return err
	}
	from := b.jumps
	if c == 0xe8 {
		from = b.calls
	}
	var t [4]byte
	if _, err := io.ReadFull(from, t[:]); err != nil {
		return short(err)
	}
	b.at += 4
	to := binary.BigEndian.Uint32(t[:]) - b.at
	b.pending = binary.LittleEndian.AppendUint32(nil, to)
	b.last = byte(to >> 24)
	return nil
}

// bit decodes one bit of the range coder.
func (b *branch) bit(which int) (bool, error) {
	if !b.begun {
		b.begun = true
		for range 5 {
			c, err := b.bits.ReadByte()
			if err != nil {
				return false, short(err)
			}
			b.code = b.code<<8 | uint32(c)
		}
	}
	p := &b.chances[which]
	bound := (b.width >> 11) * *p
	set := b.code >= bound
	if set {
		b.width -= bound
		b.code -= bound
		*p -= *p >> 5
	} else {
		b.width = bound
		*p += (1<<11 - *p) >> 5
	}
	if b.width < 1<<24 {
		c, err := b.bits.ReadByte()
		if err != nil {
			return false, short(err)
		}
		b.width <<= 8
		b.code = b.code<<8 | uint32(c)
	}
	return set, nil
}

// short says that an end came too early.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
