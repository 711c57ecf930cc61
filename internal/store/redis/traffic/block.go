package traffic

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"math/bits"

	"postern/internal/record"
	"postern/internal/store/redis/traffic/match"
)

// blockName tells the blocks of an hour apart: random, so that nodes need not agree, also
// after the store was emptied.
type blockName [5]byte

// place is a block and the time it spans, as far as nine octets tell.
type place struct {
	name   blockName
	lo, hi int64 // ms, inclusive; lo may be earlier than the first row
}

const placeLen = 9

// text is the place as it is stored in the hour that begins at begin: the name, the last
// millisecond, and the length of the span as a power of two.
func (p place) text(begin int64) []byte {
	out := append(make([]byte, 0, placeLen), p.name[:]...)
	var last [4]byte
	binary.BigEndian.PutUint32(last[:], uint32(p.hi-begin))
	out = append(out, last[1:]...)
	return append(out, byte(bits.Len64(uint64(p.hi-p.lo))))
}

// placeAt reads a place; ok is false when it is none.
func placeAt(b []byte, begin int64) (p place, ok bool) {
	if len(b) < placeLen {
		return p, false
	}
	copy(p.name[:], b)
	p.hi = begin + int64(binary.BigEndian.Uint32([]byte{0, b[5], b[6], b[7]}))
	if p.hi >= begin+hourMs || b[8] > 22 {
		return p, false
	}
	p.lo = max(begin, p.hi-(1<<b[8]-1))
	return p, true
}

// block is a block that its node fills.
type block struct {
	hour  hour
	begin int64
	place place
	rows  [][]byte // JSON
	at    map[string]int
	terms map[match.Term]struct{}
	raw   int

	// Of what was written already.
	stored, counted int
}

func newBlock(h hour) *block {
	b := &block{hour: h, at: map[string]int{}, terms: map[match.Term]struct{}{}}
	b.begin, _ = h.begin()
	_, _ = rand.Read(b.place.name[:]) // never fails
	return b
}

// add puts a row in, in place of an earlier one with the same ID.
func (b *block) add(r *record.Row, text []byte) {
	at := placeOf(r)
	if len(b.rows) == 0 {
		b.place.lo, b.place.hi = at, at
	}
	b.place.lo, b.place.hi = min(b.place.lo, at), max(b.place.hi, at)
	if i, again := b.at[r.ID]; again {
		b.raw += len(text) - len(b.rows[i])
		b.rows[i] = text
	} else {
		b.at[r.ID] = len(b.rows)
		b.rows = append(b.rows, text)
		b.raw += len(text)
	}
	match.TermsOf(r, func(t match.Term) { b.terms[t] = struct{}{} })
}

func (b *block) full() bool { return len(b.rows) >= blockRows || b.raw >= blockBytes }

// header begins a block: what is read under another name is not what was asked for.
func header(h hour, name blockName) []byte {
	return append(append([]byte(h), name[:]...), '\n')
}

func (b *block) text() []byte {
	out := make([]byte, 0, b.raw+len(b.rows)+32)
	out = append(out, header(b.hour, b.place.name)...)
	for _, r := range b.rows {
		out = append(append(out, r...), '\n')
	}
	return out
}

// index is what goes into each list: the place and the prints of the terms in it.
func (b *block) index() map[int][]byte {
	out := map[int][]byte{}
	for t := range b.terms {
		n := t.List()
		if out[n] == nil {
			out[n] = b.place.text(b.begin)
		}
		p := t.Print()
		out[n] = append(out[n], p[:]...)
	}
	return out
}

// hasPrint reports whether an entry of a list names the term, which belongs there.
func hasPrint(entry []byte, t match.Term) bool {
	p := t.Print()
	for i := placeLen; i+1 < len(entry); i += 2 {
		if entry[i] == p[0] && entry[i+1] == p[1] {
			return true
		}
	}
	return false
}

// readBlock calls each for every row of a stored block that belongs to the hour and may be
// asked for, and returns how much of it cannot be read.
func (s *Store) readBlock(h hour, name blockName, stored string, m *match.Matcher, each func(*record.Row)) (bad int) {
	text, _, err := s.codec.Unpack([]byte(stored))
	head := header(h, name)
	if err != nil || !bytes.HasPrefix(text, head) {
		return 1
	}
	for line := range bytes.Lines(text[len(head):]) {
		if !m.Passes(line) {
			continue
		}
		var r record.Row
		if json.Unmarshal(line, &r) != nil || r.ID == "" || hourOf(placeOf(&r)) != h {
			bad++
			continue
		}
		each(&r)
	}
	return bad
}
