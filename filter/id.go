package filter

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// crockford is the Crockford base32 alphabet in lower case.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// IDLen is the length of a message ID in characters.
const IDLen = 26

// NewID makes a message ID: 48 bits of milliseconds and 80 random bits as 26 characters of
// Crockford base32, so that IDs sort by time. The error is that of the random source.
func NewID(now time.Time, random io.Reader) (string, error) {
	var raw [16]byte
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		raw[i] = byte(ms >> (40 - 8*i))
	}
	if _, err := io.ReadFull(random, raw[6:]); err != nil {
		return "", fmt.Errorf("message id: %w", err)
	}
	return encodeID(raw), nil
}

func encodeID(raw [16]byte) string {
	var id [IDLen]byte
	// 128 bits in 26 digits of 5: the first digit carries the top 3 bits.
	acc, bits, in := uint32(0), 2, 0
	for i := range id {
		for bits < 5 && in < len(raw) {
			acc = acc<<8 | uint32(raw[in])
			in++
			bits += 8
		}
		bits -= 5
		id[i] = crockford[acc>>bits&31]
		acc &= 1<<bits - 1
	}
	return string(id[:])
}

// ValidID reports whether s has the form of a message ID.
func ValidID(s string) bool {
	if len(s) != IDLen {
		return false
	}
	for i := range len(s) {
		if !isCrockford(s[i]) {
			return false
		}
	}
	return true
}

func isCrockford(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' && c != 'i' && c != 'l' && c != 'o' && c != 'u'
}

// IDBytes is the 16 octets that a message ID stands for; ok is false where it is none.
func IDBytes(id string) (raw [16]byte, ok bool) {
	if !ValidID(id) || id[0] > '7' { // 26 digits of 5 bits are 130, the top two are 0
		return raw, false
	}
	acc, bits, out := uint32(0), 0, 0
	for i := range len(id) {
		bits += 5
		if i == 0 {
			bits = 3
		}
		acc = acc<<5 | uint32(strings.IndexByte(crockford, id[i]))
		if bits >= 8 {
			bits -= 8
			raw[out] = byte(acc >> bits)
			acc &= 1<<bits - 1
			out++
		}
	}
	return raw, true
}

// IDOf is the message ID of 16 octets, and the time it was made.
func IDOf(raw [16]byte) (id string, at time.Time) {
	ms := int64(0)
	for _, b := range raw[:6] {
		ms = ms<<8 | int64(b)
	}
	return encodeID(raw), time.UnixMilli(ms)
}
