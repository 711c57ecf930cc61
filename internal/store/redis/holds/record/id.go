// Package record is the form in which a hold lies in Redis: its ID as a few bytes, what never
// changes of it, and what does.
package record

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// ID is a hold's ID in its two parts: all holds of a message share the first one, and with it
// a hash slot.
type ID struct {
	Message string
	Number  string
}

// maxID bounds an ID in bytes.
const maxID = 96

// ParseID cuts an ID; ok is false for what can be none of ours. The parts are fit to stand in
// a key.
func ParseID(id string) (ID, bool) {
	cut := strings.LastIndexByte(id, '-')
	if cut < 1 || cut == len(id)-1 || len(id) > maxID {
		return ID{}, false
	}
	out := ID{id[:cut], id[cut+1:]}
	return out, plain(out.Message, true) && plain(out.Number, false)
}

func plain(s string, letters bool) bool {
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || letters && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_') {
			continue
		}
		return false
	}
	return s != ""
}

// String is the ID as people see it.
func (id ID) String() string { return id.Message + "-" + id.Number }

const (
	crockford = "0123456789abcdefghjkmnpqrstvwxyz"
	ulidLen   = 26
	packedLen = 16
	asText    = 0xff // in front of an ID that has not the usual form
)

// Pack makes an ID small: 17 bytes for the usual form, which is most of what an index weighs.
// The order of packed IDs of one form is that of the IDs.
func Pack(id string) string {
	if p, ok := pack(id); ok && Unpack(p) == id {
		return p
	}
	return string([]byte{asText}) + id
}

func pack(id string) (string, bool) {
	parts, ok := ParseID(id)
	if !ok || len(parts.Message) != ulidLen || len(parts.Number) > 3 {
		return "", false
	}
	n, err := strconv.Atoi(parts.Number)
	if err != nil {
		return "", false
	}
	var hi, lo uint64 // 130 bits, of which the first two are 0
	for i := range ulidLen {
		d := strings.IndexByte(crockford, parts.Message[i])
		if d < 0 || i == 0 && d > 7 {
			return "", false
		}
		hi, lo = hi<<5|lo>>59, lo<<5|uint64(d)
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, packedLen+2), hi)
	b = binary.BigEndian.AppendUint64(b, lo)
	if n > 99 {
		b = append(b, 0x80|byte(n>>7)) //nolint:gosec // at most three digits
	}
	return string(append(b, byte(n&0x7f))), true
}

// Unpack is the ID that was packed, "" for what no ID was packed to.
func Unpack(p string) string {
	switch {
	case p == "":
		return ""
	case p[0] == asText:
		return p[1:]
	case len(p) != packedLen+1 && len(p) != packedLen+2:
		return ""
	}
	hi, lo := binary.BigEndian.Uint64([]byte(p)), binary.BigEndian.Uint64([]byte(p[8:]))
	var text [ulidLen]byte
	for i := ulidLen - 1; i >= 0; i-- {
		text[i] = crockford[lo&31]
		hi, lo = hi>>5, lo>>5|hi<<59
	}
	n := int(p[packedLen])
	if len(p) == packedLen+2 {
		n = int(p[packedLen]&0x7f)<<7 | int(p[packedLen+1])
	}
	number := strconv.Itoa(n)
	if len(number) < 2 {
		number = "0" + number
	}
	return string(text[:]) + "-" + number
}
