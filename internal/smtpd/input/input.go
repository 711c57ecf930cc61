// Package input buffers what a client sent.
package input

import "io"

// firstSize is the buffer of a session that asked for no other.
const firstSize = 4 << 10

// Buffer holds what the client sent. Its size follows the phase, so that an idle session
// costs little.
type Buffer struct {
	buf  []byte
	r, w int
}

// Bytes are what waits; valid until the next Fill or Room.
func (in *Buffer) Bytes() []byte { return in.buf[in.r:in.w] }

// Skip takes n octets off.
func (in *Buffer) Skip(n int) { in.r += n }

// Room makes the buffer hold size octets, if what waits in it allows that.
func (in *Buffer) Room(size int) {
	if len(in.buf) == size || in.w-in.r > size {
		return
	}
	buf := make([]byte, size)
	in.w = copy(buf, in.Bytes())
	in.buf, in.r = buf, 0
}

// Fill reads once. There must be room.
func (in *Buffer) Fill(src io.Reader) error {
	if len(in.buf) == 0 {
		in.Room(firstSize)
	}
	if in.r > 0 {
		in.w = copy(in.buf, in.Bytes())
		in.r = 0
	}
	n, err := src.Read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil
	}
	return err
}
