package synced

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The file is a head and frames:
//
//	head:    "PSTNSYN1" salt[8] crc[4]
//	frame:   salt[8] length[4] crc[4] payload[length]
//	payload: changes, each: op[1] uvarint(len name) name [uvarint(len value) value]
//
// Integers are little-endian; the CRC is Castagnoli's over salt, length and payload, in the
// head over salt and magic. The salt is random for each file: nobody who gets text into a
// record can write what looks like a frame when the reader searches for the next good one
// behind damage.

type salt [8]byte

const (
	magic    = "PSTNSYN1"
	saltEnd  = len(magic) + 8
	headLen  = saltEnd + 4
	frameLen = 16 // bytes of a frame before its payload

	opPut    = 'p'
	opRemove = 'r'
)

func head(s salt) []byte {
	return binary.LittleEndian.AppendUint32(append([]byte(magic), s[:]...), sum(s, []byte(magic), nil))
}

// cost is about what a record takes in the file.
func cost(name string, value []byte) int64 { return int64(frameLen + 5 + len(name) + len(value)) }

func sum(s salt, length, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Update(crc32.Checksum(s[:], table), table, length), table, payload)
}

// frame appends one frame of the changes to b.
func frame(b []byte, s salt, changes []Change) ([]byte, error) {
	start := len(b)
	b = append(b, s[:]...)
	b = append(b, make([]byte, 8)...)
	for _, c := range changes {
		op := byte(opPut)
		if c.Value == nil {
			op = opRemove
		}
		b = append(b, op)
		b = binary.AppendUvarint(b, uint64(len(c.Name)))
		b = append(b, c.Name...)
		if c.Value != nil {
			b = binary.AppendUvarint(b, uint64(len(c.Value)))
			b = append(b, c.Value...)
		}
	}
	payload := b[start+frameLen:]
	if len(payload) > maxFrame {
		return nil, fmt.Errorf("%w: %d changes at once take %d bytes", ErrRecord, len(changes), len(payload))
	}
	length := b[start+8 : start+12]
	binary.LittleEndian.PutUint32(length, uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[start+12:], sum(s, length, payload))
	return b, nil
}

// found is what read says of a file.
type found struct {
	salt    salt
	good    int64 // bytes up to the end of the last good frame
	damaged bool  // something before that, or the head, could not be read
}

// read gives the changes of all good frames to f, in order.
func read(text []byte, f func(Change)) found {
	if len(text) < headLen {
		return found{damaged: true}
	}
	r := found{salt: salt(text[len(magic):saltEnd]), good: int64(headLen)}
	if !bytes.Equal(text[:headLen], head(r.salt)) {
		return found{damaged: true}
	}
	for at := headLen; at < len(text); {
		changes, n := parse(text[at:], r.salt)
		if n == 0 {
			next := bytes.Index(text[at+1:], r.salt[:])
			if next < 0 {
				break // nothing good after it: a write that a crash cut off
			}
			at += 1 + next
			continue
		}
		r.damaged = r.damaged || int64(at) != r.good
		for _, c := range changes {
			f(c)
		}
		at += n
		r.good = int64(at)
	}
	return r
}

// parse reads the frame at the start of text; n = 0 when there is no good one.
func parse(text []byte, s salt) (changes []Change, n int) {
	if len(text) < frameLen || !bytes.Equal(text[:8], s[:]) {
		return nil, 0
	}
	length := binary.LittleEndian.Uint32(text[8:])
	if length > maxFrame || int(length) > len(text)-frameLen {
		return nil, 0
	}
	payload := text[frameLen : frameLen+int(length)]
	if sum(s, text[8:12], payload) != binary.LittleEndian.Uint32(text[12:]) {
		return nil, 0
	}
	for rest := payload; len(rest) > 0; {
		op := rest[0]
		name, after, ok := field(rest[1:])
		if !ok || len(name) == 0 {
			return nil, 0
		}
		c := Change{Name: string(name)}
		switch op {
		case opRemove:
		case opPut:
			var value []byte
			if value, after, ok = field(after); !ok {
				return nil, 0
			}
			c.Value = append([]byte{}, value...) // a copy, so that one record does not hold the whole file
		default:
			return nil, 0
		}
		changes, rest = append(changes, c), after
	}
	return changes, frameLen + int(length)
}

func field(b []byte) (value, rest []byte, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > MaxRecord || n > uint64(len(b)-used) {
		return nil, nil, false
	}
	return b[used : used+int(n)], b[used+int(n):], true
}
