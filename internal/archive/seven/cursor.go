package seven

import "encoding/binary"

// The marks of the directory.
const (
	idEnd           = 0x00
	idHeader        = 0x01
	idProperties    = 0x02
	idMainStreams   = 0x04
	idFiles         = 0x05
	idPackInfo      = 0x06
	idUnpackInfo    = 0x07
	idSubStreams    = 0x08
	idSize          = 0x09
	idCRC           = 0x0a
	idFolder        = 0x0b
	idUnpackSizes   = 0x0c
	idCounts        = 0x0d
	idEmptyStream   = 0x0e
	idEmptyFile     = 0x0f
	idNames         = 0x11
	idEncodedHeader = 0x17
)

// cursor reads a directory; once anything is missing it is bad, and all that follows is zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

// number reads a number of the format: the leading ones of the first byte say how many follow.
func (c *cursor) number() uint64 {
	first := c.byte()
	var v uint64
	for i, mask := uint(0), byte(0x80); ; i, mask = i+1, mask>>1 {
		if mask == 0 || first&mask == 0 {
			if mask != 0 {
				v |= uint64(first&(mask-1)) << (8 * i)
			}
			return v
		}
		v |= uint64(c.byte()) << (8 * i)
	}
}

// size reads a number that counts bytes.
func (c *cursor) size() int64 {
	v := c.number()
	if v > 1<<56 {
		c.bad = true
		return 0
	}
	return int64(v)
}

// count reads a number of things of which there are at most so many; more is an error of its own.
func (c *cursor) count(most int) (int, error) {
	v := c.number()
	if c.bad {
		return 0, ErrDamaged
	}
	if v > uint64(most) {
		return 0, ErrTooMany
	}
	return int(v), nil
}

// bits reads n flags, the first in the highest bit.
func (c *cursor) bits(n int) []bool {
	raw := c.take(uint64(n+7) / 8)
	out := make([]bool, n)
	for i := range out {
		out[i] = !c.bad && raw[i/8]&(0x80>>(i%8)) != 0
	}
	return out
}

// optional reads n flags before which a byte says that all are set.
func (c *cursor) optional(n int) []bool {
	if c.byte() == 0 {
		return c.bits(n)
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = true
	}
	return out
}

// sums passes over n checksums, and tells which there are.
func (c *cursor) sums(n int) []bool {
	there := c.optional(n)
	for _, is := range there {
		if is {
			c.take(4)
		}
	}
	return there
}

// method reads the name of a method as a number.
func method(b []byte) uint64 {
	var v [8]byte
	if len(b) <= 8 {
		copy(v[8-len(b):], b)
	}
	return binary.BigEndian.Uint64(v[:])
}
