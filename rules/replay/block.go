package replay

import (
	"encoding/binary"
	"errors"
	"fmt"

	"postern/filter"
	"postern/rules/who"
)

// format is the first octet of a block.
const format = 1

// maxText bounds one text in a block, maxTexts their number.
const (
	maxText  = 1 << 10
	maxTexts = 1 << 16
)

// ErrDamaged says that a block is none of ours, or one of a version to come.
var ErrDamaged = errors.New("kept features cannot be read")

// Writer writes records behind each other. A text is written where it is first used and is a
// number from then on. The zero Writer is ready.
type Writer struct {
	buf   []byte
	texts map[string]uint64
	n     int
}

// Count is the records written, Size the octets they take.
func (w *Writer) Count() int { return w.n }

// Size is the octets written.
func (w *Writer) Size() int { return len(w.buf) }

// Bytes are the block.
func (w *Writer) Bytes() []byte { return w.buf }

// Flags of a record and of a finding.
const (
	outbound = 1 << iota
	before
	reach
)

const (
	hasPart = 1 << iota
	hasTypes
	hasFor
)

// Add writes a record. An ID that is none of a message becomes zeros.
func (w *Writer) Add(r Record) {
	if w.texts == nil {
		w.texts, w.buf = map[string]uint64{}, append(w.buf, format)
	}
	w.n++
	id, _ := filter.IDBytes(r.ID)
	w.buf = append(w.buf, id[:]...)
	w.buf = append(w.buf, flag(r.Outbound, outbound)|flag(r.Before, before)|flag(r.Reach, reach), byte(r.Action))
	w.number(r.Size)
	w.number(int64(r.Score))
	w.text(r.Rules)
	w.count(len(r.To))
	for _, h := range r.To {
		w.hidden(h)
	}
	if r.Outbound {
		w.hidden(r.Account)
	}
	w.count(len(r.Findings))
	for _, f := range r.Findings {
		w.finding(f)
	}
	w.count(len(r.Failures))
	for _, f := range r.Failures {
		w.text(f.Step)
		w.buf = append(w.buf, byte(f.OnError)<<1|flag(f.Standing, 1))
	}
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func (w *Writer) number(n int64) { w.buf = binary.AppendVarint(w.buf, n) }

func (w *Writer) count(n int) { w.buf = binary.AppendUvarint(w.buf, uint64(max(n, 0))) }

func (w *Writer) text(s string) {
	s = s[:min(len(s), maxText)]
	if i, ok := w.texts[s]; ok {
		w.buf = binary.AppendUvarint(w.buf, i)
		return
	}
	w.buf = append(w.buf, 0)
	w.count(len(s))
	w.buf = append(w.buf, s...)
	if len(w.texts) < maxTexts {
		w.texts[s] = uint64(len(w.texts)) + 1
	}
}

func (w *Writer) hidden(h who.Hidden) {
	w.text(h.Domain)
	w.buf = binary.BigEndian.AppendUint32(w.buf, h.Local)
	if h.Base == h.Local {
		w.buf = append(w.buf, 0)
		return
	}
	w.buf = binary.BigEndian.AppendUint32(append(w.buf, 1), h.Base)
}

func (w *Writer) finding(f Finding) {
	w.text(f.Symbol)
	w.text(f.Step)
	w.buf = append(w.buf, flag(f.Part, hasPart)|flag(f.Types != "", hasTypes)|flag(f.For > 0, hasFor))
	if f.Types != "" {
		w.text(f.Types)
	}
	if f.For > 0 {
		w.count(f.For)
	}
}

// Each calls f for every record of a block, in order, until f's error. The error wraps
// ErrDamaged where the block cannot be read further.
func Each(block []byte, f func(Record) error) error {
	if len(block) == 0 {
		return nil
	}
	if block[0] != format {
		return fmt.Errorf("%w: format %d", ErrDamaged, block[0])
	}
	r := &reader{rest: block[1:]}
	for len(r.rest) > 0 {
		one := r.record()
		if r.bad {
			return fmt.Errorf("%w: it is cut or damaged", ErrDamaged)
		}
		if err := f(one); err != nil {
			return err
		}
	}
	return nil
}

// reader reads; after the first thing that cannot be it is bad, and answers zeros.
type reader struct {
	rest  []byte
	texts []string
	bad   bool
}

func (r *reader) record() (out Record) {
	var id [16]byte
	copy(id[:], r.take(len(id)))
	out.ID, _ = filter.IDOf(id)
	flags, action := r.octet(), r.octet()
	out.Outbound, out.Before, out.Reach = flags&outbound != 0, flags&before != 0, flags&reach != 0
	out.Action = filter.Action(action)
	r.bad = r.bad || out.Action > filter.Reject
	out.Size, out.Score = r.number(), filter.Score(r.number())
	out.Rules = r.text()
	for range r.count(MaxTo) {
		out.To = append(out.To, r.hidden())
	}
	if out.Outbound {
		out.Account = r.hidden()
	}
	for range r.count(MaxFindings) {
		out.Findings = append(out.Findings, r.finding(len(out.To)))
	}
	for range r.count(MaxFindings) {
		f := Failure{Step: r.text()}
		b := r.octet()
		f.OnError, f.Standing = filter.Action(b>>1), b&1 != 0
		r.bad = r.bad || f.OnError > filter.Defer
		out.Failures = append(out.Failures, f)
	}
	return out
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return make([]byte, min(n, maxText))
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) octet() byte { return r.take(1)[0] }

func (r *reader) uvarint() uint64 {
	n, used := binary.Uvarint(r.rest)
	if used <= 0 {
		r.bad = true
		return 0
	}
	r.take(used)
	return n
}

func (r *reader) number() int64 {
	n, used := binary.Varint(r.rest)
	if used <= 0 {
		r.bad = true
		return 0
	}
	r.take(used)
	return n
}

// count reads how many follow, 0 where there are more than most.
func (r *reader) count(most int) int {
	n := r.uvarint()
	if r.bad || n > uint64(max(most, 0)) {
		r.bad = true
		return 0
	}
	return int(n) //nolint:gosec // at most most
}

func (r *reader) text() string {
	i := r.uvarint()
	switch {
	case r.bad:
		return ""
	case i > 0 && i <= uint64(len(r.texts)):
		return r.texts[i-1]
	case i > 0:
		r.bad = true
		return ""
	}
	s := string(r.take(r.count(maxText)))
	if len(r.texts) < maxTexts {
		r.texts = append(r.texts, s)
	}
	return s
}

func (r *reader) hidden() who.Hidden {
	h := who.Hidden{Domain: r.text(), Local: binary.BigEndian.Uint32(r.take(4))}
	h.Base = h.Local
	if r.octet() != 0 {
		h.Base = binary.BigEndian.Uint32(r.take(4))
	}
	return h
}

func (r *reader) finding(recipients int) Finding {
	f := Finding{Symbol: r.text(), Step: r.text()}
	flags := r.octet()
	f.Part = flags&hasPart != 0
	if flags&hasTypes != 0 {
		f.Types = r.text()
	}
	if flags&hasFor != 0 {
		f.For = r.count(recipients)
	}
	return f
}
