package samples

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// The flags of a RAR of the older form.
const (
	RARVolume    = 0x0001 // of the archive: one of several volumes
	RARLocked    = 0x0080 // of the archive: the headers need a password
	RARFilePass  = 0x0004 // of a member: it needs one
	RARFileGoes  = 0x0002 // of a member: it goes on in the next volume
	rarFileLarge = 0x8000 // of a block: data follows
)

// oldBlock is a block of RAR 1.5 to 4; its checksum is the lower half of a CRC.
func oldBlock(kind byte, flags uint16, body []byte) []byte {
	b := []byte{kind}
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = binary.LittleEndian.AppendUint16(b, uint16(7+len(body)))
	b = append(b, body...)
	return append(binary.LittleEndian.AppendUint16(nil, uint16(crc32.ChecksumIEEE(b))), b...)
}

// OldRAR stores members as RAR 1.5 to 4, with the flags given.
func OldRAR(archive, file uint16, members ...Member) []byte {
	out := []byte("Rar!\x1a\x07\x00")
	out = append(out, oldBlock(0x73, archive, make([]byte, 6))...)
	for _, m := range members {
		size := binary.LittleEndian.AppendUint32(nil, uint32(len(m.Data)))
		sum := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(m.Data))
		body := bytes.Join([][]byte{
			size, size, {2}, sum, make([]byte, 4), {20, 0x30}, // of Windows, without a date, version 2.0, stored
			binary.LittleEndian.AppendUint16(nil, uint16(len(m.Name))), {0x20, 0, 0, 0}, []byte(m.Name),
		}, nil)
		out = append(out, oldBlock(0x74, rarFileLarge|file, body)...)
		out = append(out, m.Data...)
	}
	return append(out, oldBlock(0x7b, 0x4000, nil)...)
}

// bits is a stream of bits, the highest first.
type bits struct {
	b []byte
	n int
}

func (s *bits) put(v uint, n int) {
	for i := n - 1; i >= 0; i-- {
		if s.n%8 == 0 {
			s.b = append(s.b, 0)
		}
		s.b[s.n/8] |= byte(v>>i&1) << (7 - s.n%8)
		s.n++
	}
}

// Literals packs data as RAR 5 does where nothing repeats: a table in which each byte has eight bits,
// and the bytes.
func Literals(data []byte) []byte {
	const repeat, nothing = 0b10, 0b11 // of what stood before, of zeros; each with seven bits from 11 on
	var s bits
	for i := range 20 { // lengths of the codes by which the table is written
		s.put(map[int]uint{8: 1, 17: 2, 19: 2}[i], 4)
	}
	s.put(0, 1) // the first byte: eight
	for _, n := range []uint{138, 117} {
		s.put(repeat, 2)
		s.put(n-11, 7)
	}
	for _, n := range []uint{138, 36} { // no matches, offsets and lengths
		s.put(nothing, 2)
		s.put(n-11, 7)
	}
	for _, c := range data {
		s.put(uint(c), 8)
	}
	const size, last, table = 2 << 3, 1 << 6, 1 << 7
	flags := byte((s.n+7)%8) | size | last | table
	n := []byte{byte(len(s.b)), byte(len(s.b) >> 8), byte(len(s.b) >> 16)}
	return append(append([]byte{flags, 0x5a ^ flags ^ n[0] ^ n[1] ^ n[2]}, n...), s.b...)
}
