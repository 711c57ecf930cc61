package record

import (
	_ "embed"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The schemas of a record. The first byte tells them apart: JSON begins with a brace.
const (
	JSON   = 1
	Packed = 2 // the byte 2, then JSON as one zstd frame against the dictionary
)

// dictionary is part of the schema: other bytes need another schema.
//
//go:embed dict.txt
var dictionary []byte

const (
	dictID    = 0x70
	maxRecord = 1 << 20
)

// ErrRecord says that a record is none that we can read.
var ErrRecord = errors.New("no readable record of a hold")

// codec writes and reads records. It is safe for concurrent use.
type codec struct{ tools func() (tools, error) }

type tools struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() codec {
	return codec{sync.OnceValues(func() (t tools, err error) {
		t.enc, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(4), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
			zstd.WithWindowSize(64<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderDictRaw(dictID, dictionary))
		if err == nil {
			t.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(4), zstd.WithDecoderMaxMemory(maxRecord), zstd.WithDecoderDictRaw(dictID, dictionary))
		}
		return t, err
	})}
}

// encode writes JSON in a schema.
func (c codec) encode(schema int, text []byte) ([]byte, error) {
	if schema < Packed {
		return text, nil
	}
	t, err := c.tools()
	if err != nil {
		return nil, err
	}
	return t.enc.EncodeAll(text, []byte{Packed}), nil
}

// decode returns the JSON of a record of any schema.
func (c codec) decode(b []byte) ([]byte, error) {
	if len(b) == 0 || len(b) > maxRecord {
		return nil, ErrRecord
	}
	switch b[0] {
	case '{':
		return b, nil
	case Packed:
		t, err := c.tools()
		if err != nil {
			return nil, err
		}
		text, err := t.dec.DecodeAll(b[1:], nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRecord, err)
		}
		return text, nil
	}
	return nil, fmt.Errorf("%w: schema %d", ErrRecord, b[0])
}
