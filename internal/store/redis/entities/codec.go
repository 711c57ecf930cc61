package entities

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"postern/internal/entity"
	"postern/internal/store/redis/pack"
	"postern/internal/store/redis/sealed"
)

// sealRecord is what records are sealed as.
const sealRecord = "entity"

// maxStored bounds what a stored record unpacks to: its data, and keys that are escaped as JSON.
const maxStored = entity.MaxData + entity.MaxKeys*6*(entity.MaxValue+64) + 1<<10

// dictionary is part of the format: other bytes need another one.
const dictionary = `{"v":1,"b":1790000000000000,"n":,"k":[{"i":"state","v":"open","a":1790000000},{"i":"account","v":"@example.com"},{"i":"all","i":"due","i":"case","i":"at"` +
	`"id":"","version":,"created":"2026-","updated":"2026-","at":"2026-","by":"","reason":"","status":"","until":"","account":"","reports":[],"events":[{"kind":""`

// header stands in front of the data of a record.
type header struct {
	Version uint64       `json:"v"`
	Born    int64        `json:"b"` // microseconds: of two records of one name the one that was made later
	Nonce   []byte       `json:"n"` // no two writes are alike, even of the same data
	Keys    []entity.Key `json:"k,omitempty"`
}

// codec turns records into what is stored, and back.
type codec struct {
	ring *sealed.Ring
	pack *pack.Codec
}

func newCodec(ring *sealed.Ring) (codec, error) {
	p, err := pack.New([]byte(dictionary), maxStored)
	return codec{ring, p}, err
}

func name(kind entity.Kind, id string) string { return string(kind) + "/" + id }

// seal returns what is stored for a record of this birth.
func (c codec) seal(r entity.Record, born int64) ([]byte, error) {
	h := header{Version: r.Version, Born: born, Nonce: make([]byte, 6), Keys: r.Keys}
	if _, err := rand.Read(h.Nonce); err != nil {
		return nil, err
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	text := binary.AppendUvarint(make([]byte, 0, len(head)+len(r.Data)+4), uint64(len(head)))
	text = append(append(text, head...), r.Data...)
	return c.ring.Seal(sealRecord, name(r.Kind, r.ID), c.pack.Pack(1, text)), nil
}

// open reads what is stored. The error is sealed.ErrForged or pack.ErrDamaged.
func (c codec) open(kind entity.Kind, id string, stored []byte) (Stored, error) {
	packed, err := c.ring.Open(sealRecord, name(kind, id), stored)
	if err != nil {
		return Stored{}, err
	}
	text, _, err := c.pack.Unpack(packed)
	if err != nil {
		return Stored{}, err
	}
	n, used := binary.Uvarint(text)
	if used <= 0 || n > uint64(len(text)-used) {
		return Stored{}, fmt.Errorf("%w: its header", pack.ErrDamaged)
	}
	var h header
	if err := json.Unmarshal(text[used:used+int(n)], &h); err != nil {
		return Stored{}, fmt.Errorf("%w: %w", pack.ErrDamaged, err)
	}
	return Stored{Record: entity.Record{Kind: kind, ID: id, Version: h.Version, Data: text[used+int(n):], Keys: h.Keys}, Born: h.Born}, nil
}

// birth is when something is made now.
func birth(now time.Time) int64 { return now.UnixMicro() }

// member is an entry of an index: in the order of At, then of the ID.
func member(at int64, id string) string {
	return string(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(id)), uint64(at)^1<<63)) + id
}

// readMember reads an entry.
func readMember(m string) (at int64, id string, ok bool) {
	if len(m) <= 8 {
		return 0, "", false
	}
	return int64(binary.BigEndian.Uint64([]byte(m[:8])) ^ 1<<63), m[8:], true
}
