// Package segment reads and writes the files of a journal: frames one after another, each with
// its sums.
package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A segment begins with Format and a marker. Each frame in it begins with the marker, which is
// random: what a stranger wrote into a body is never taken for a frame, also not where damage
// makes the reader search for the next one.
const (
	Format  = "PJRNL\x00\x00\x01"
	HeadLen = len(Format) + 8

	// Of a frame: marker 8, type 1, state 1, lengths of kind 1, digest 1 and ID 2, two spare,
	// length of the payload 8, until 8, sums of payload and head 4 each.
	fixedLen  = 40
	MaxKind   = 16
	MaxID     = 255
	maxNames  = MaxKind + MaxID + 32
	MaxRecord = 8 << 20
)

// The types of frames.
const (
	SetFrame  = 1 // what an entry is from now on, in whole
	BodyFrame = 2 // a compressed body, stored once whoever names its digest
)

// State is what has become of an entry.
type State uint8

// The states of an entry.
const (
	Live  State = iota // it must not be lost
	Ended              // a tombstone: remembered until its time
	Gone               // forgotten; written down so that no older record counts again
)

// Head is a frame without its payload.
type Head struct {
	Type    uint8
	State   State
	Kind    string
	ID      string
	SHA     string // 32 bytes, or ""
	Until   int64  // ms; when a tombstone may be forgotten
	Payload int64  // bytes
	Sum     uint32 // CRC-32C of the payload
}

// Len is what the head takes.
func (h *Head) Len() int64 { return fixedLen + int64(len(h.Kind)+len(h.ID)+len(h.SHA)) }

// Size is what the whole frame takes.
func (h *Head) Size() int64 { return h.Len() + h.Payload }

// Sum is the sum of a payload.
func Sum(b []byte) uint32 { return crc32.Checksum(b, table()) }

func table() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once by the library

// Encode writes the head as it stands in a segment with this marker.
func (h *Head) Encode(marker [8]byte) []byte {
	b := make([]byte, fixedLen, h.Len())
	copy(b, marker[:])
	b[8], b[9], b[10], b[11] = h.Type, byte(h.State), byte(len(h.Kind)), byte(len(h.SHA))
	binary.LittleEndian.PutUint16(b[12:], uint16(len(h.ID)))
	binary.LittleEndian.PutUint64(b[16:], uint64(h.Payload))
	binary.LittleEndian.PutUint64(b[24:], uint64(h.Until))
	binary.LittleEndian.PutUint32(b[32:], h.Sum)
	b = append(append(append(b, h.Kind...), h.ID...), h.SHA...)
	binary.LittleEndian.PutUint32(b[36:], headSum(b))
	return b
}

// headSum is over all of a head but the sum itself.
func headSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:36], table()), table(), b[fixedLen:])
}

// ErrFrame says that there is no frame at a place.
var ErrFrame = errors.New("no frame of the journal")

// ErrCorrupt says that a record or a body is not what was stored.
var ErrCorrupt = errors.New("the entry of the journal is damaged")

// readHead reads the head at off of a segment of size bytes. buf has room for one.
func readHead(r io.ReaderAt, off, size int64, marker [8]byte, buf []byte) (Head, error) {
	b := buf[:min(int64(len(buf)), size-off)]
	if n, err := r.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
		return Head{}, err
	} else {
		b = b[:n]
	}
	if len(b) < fixedLen || [8]byte(b) != marker {
		return Head{}, ErrFrame
	}
	kind, sha, id := int(b[10]), int(b[11]), int(binary.LittleEndian.Uint16(b[12:]))
	end := fixedLen + kind + id + sha
	if kind > MaxKind || id > MaxID || sha != 0 && sha != 32 || end > len(b) || binary.LittleEndian.Uint32(b[36:]) != headSum(b[:end]) {
		return Head{}, ErrFrame
	}
	names := string(b[fixedLen:end])
	h := Head{
		Type: b[8], State: State(b[9]), Kind: names[:kind], ID: names[kind : kind+id], SHA: names[kind+id:],
		Payload: int64(binary.LittleEndian.Uint64(b[16:])), Until: int64(binary.LittleEndian.Uint64(b[24:])), Sum: binary.LittleEndian.Uint32(b[32:]),
	}
	if h.Payload < 0 || h.Payload > size-off-h.Len() || h.Type == SetFrame && h.Payload > MaxRecord || h.State > Gone {
		return Head{}, ErrFrame
	}
	return h, nil
}

// PayloadSum reads the payload of a frame at off and sums it.
func PayloadSum(r io.ReaderAt, off int64, h Head, buf []byte) (sum uint32, err error) {
	off += h.Len()
	for end := off + h.Payload; off < end; {
		b := buf[:min(int64(len(buf)), end-off)]
		if n, err := r.ReadAt(b, off); n < len(b) {
			return sum, err
		}
		sum = crc32.Update(sum, table(), b)
		off += int64(len(b))
	}
	return sum, nil
}

// ReadMarker reads the beginning of a segment.
func ReadMarker(r io.ReaderAt) (marker [8]byte, err error) {
	var b [HeadLen]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return marker, err
	}
	if string(b[:len(Format)]) != Format {
		return marker, fmt.Errorf("%w: this is no segment, or one of a later version", ErrFrame)
	}
	return [8]byte(b[len(Format):]), nil
}

// Record reads the payload of the set frame at off, which takes n bytes.
func Record(r io.ReaderAt, off, n int64, marker [8]byte) ([]byte, error) {
	h, err := readHead(r, off, off+n, marker, make([]byte, fixedLen+maxNames))
	if err != nil {
		return nil, err
	}
	record := make([]byte, h.Payload)
	if n, err := r.ReadAt(record, off+h.Len()); n < len(record) {
		return nil, err
	}
	if Sum(record) != h.Sum {
		return nil, fmt.Errorf("%w: record of %s %s", ErrCorrupt, h.Kind, h.ID)
	}
	return record, nil
}
