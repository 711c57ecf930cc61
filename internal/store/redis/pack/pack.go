// Package pack makes stored records small: zstd with a dictionary of what such records hold,
// behind one octet that names the format.
package pack

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Newest is the newest format that is read. Formats differ in what callers put into the
// record; the envelope is the same.
const Newest = 2

// ErrDamaged says that what is stored is no record of ours, or one of a version to come.
var ErrDamaged = errors.New("a stored record cannot be read")

// Codec packs and unpacks. It is safe for concurrent use.
type Codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// dictID marks records that need the dictionary.
const dictID = 0x706f7374

// New makes a codec. Records packed with one dictionary are read with the same one alone. A
// record that unpacks to more than most octets is damaged.
func New(dict []byte, most int) (*Codec, error) {
	// Records are small: beside the dictionary's tables, which each is begun with, better levels save
	// nothing and take four times as long.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(true), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(1<<18), zstd.WithEncoderDictRaw(dictID, dict))
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(uint64(most)), zstd.WithDecoderDictRaw(dictID, dict))
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return &Codec{enc, dec}, nil
}

// Pack returns the record as it is stored. A format that does not exist is written as the
// nearest that does.
func (c *Codec) Pack(format int, record []byte) []byte {
	out := make([]byte, 1, 1+len(record)/2)
	out[0] = byte(min(max(format, 1), Newest))
	return c.enc.EncodeAll(record, out)
}

// Unpack returns a stored record and its format; the error wraps ErrDamaged.
func (c *Codec) Unpack(stored []byte) (record []byte, format int, err error) {
	if len(stored) == 0 {
		return nil, 0, fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	if format = int(stored[0]); format < 1 || format > Newest {
		return nil, format, fmt.Errorf("%w: format %d", ErrDamaged, format)
	}
	record, err = c.dec.DecodeAll(stored[1:], nil)
	if err != nil {
		return nil, format, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return record, format, nil
}
