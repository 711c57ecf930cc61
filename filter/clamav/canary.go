package clamav

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// eicar is the harmless test file, put together at run time so that no scanner takes our
// sources or our binary for it.
func eicar() []byte {
	head, tail := `X5O!P%@AP[4\PZX54(P^)7CC)7}$`, `-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`
	return append(append([]byte(head), "EICAR"...), tail...)
}

// member is one stored file of the test archive.
type member struct {
	name string
	crc  uint32
	size uint32
	at   uint32 // offset of its local header
}

// local is the zip's local header (APPNOTE 4.3.7) of a stored member.
func (m member) local() []byte {
	b := []byte("PK\x03\x04\x0a\x00\x00\x00\x00\x00\x00\x00\x21\x00")
	b = m.sums(b)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(m.name)))
	b = append(b, 0, 0)
	return append(b, m.name...)
}

// central is the entry of the central directory (APPNOTE 4.3.12).
func (m member) central() []byte {
	b := []byte("PK\x01\x02\x0a\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x21\x00")
	b = m.sums(b)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(m.name)))
	b = append(b, make([]byte, 12)...)
	b = binary.LittleEndian.AppendUint32(b, m.at)
	return append(b, m.name...)
}

func (m member) sums(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, m.crc)
	b = binary.LittleEndian.AppendUint32(b, m.size)
	return binary.LittleEndian.AppendUint32(b, m.size)
}

// padded is a zip with EICAR as its first member and zeros zeros as its second. A clamd that
// finds EICAR in it has opened a file of that length and looked into an archive. The zeros
// are never held in memory; size is the length of the whole.
func padded(zeros uint32) (r io.ReaderAt, size int64) {
	test := eicar()
	first := member{name: "eicar.com", crc: crc32.ChecksumIEEE(test), size: uint32(len(test))}
	head := append(first.local(), test...)
	second := member{name: "padding.bin", crc: zeroSum(zeros), size: zeros, at: uint32(len(head))}
	head = append(head, second.local()...)

	tail := append(first.central(), second.central()...)
	length := len(tail)
	tail = append(tail, "PK\x05\x06\x00\x00\x00\x00\x02\x00\x02\x00"...)
	tail = binary.LittleEndian.AppendUint32(tail, uint32(length))
	tail = binary.LittleEndian.AppendUint32(tail, uint32(len(head))+zeros)
	tail = append(tail, 0, 0)
	g := gap{head: head, zeros: int64(zeros), tail: tail}
	return g, g.size()
}

func zeroSum(n uint32) uint32 {
	var block [16 << 10]byte
	sum := uint32(0)
	for n > 0 {
		k := min(n, uint32(len(block)))
		sum = crc32.Update(sum, crc32.IEEETable, block[:k])
		n -= k
	}
	return sum
}

// gap reads head, then zeros, then tail.
type gap struct {
	head  []byte
	zeros int64
	tail  []byte
}

func (g gap) size() int64 { return int64(len(g.head)) + g.zeros + int64(len(g.tail)) }

// ReadAt implements io.ReaderAt.
func (g gap) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		at, rest := off+int64(n), p[n:]
		behind := at - int64(len(g.head)) - g.zeros
		switch {
		case at >= g.size():
			return n, io.EOF
		case at < int64(len(g.head)):
			n += copy(rest, g.head[at:])
		case behind < 0:
			k := int(min(int64(len(rest)), -behind))
			clear(rest[:k])
			n += k
		default:
			n += copy(rest, g.tail[behind:])
		}
	}
	return n, nil
}
