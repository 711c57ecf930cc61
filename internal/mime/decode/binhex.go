package decode

import (
	"bytes"
	"encoding/binary"
	"strings"
)

const hqxAlphabet = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"

// maxHqx bounds what run-length coding may make of one file.
const maxHqx = 64 << 20

// binhex reads BinHex 4.0 (RFC 1741) behind its notice and returns the data fork.
func binhex(src []byte) (f File, ok bool) {
	_, rest := line(src)
	start := bytes.IndexByte(rest, ':')
	if start < 0 {
		return f, false
	}
	raw, d := hqxBytes(rest[start+1:])
	b := unrun(raw)
	if len(b) < 1 || int(b[0])+1 > len(b) {
		return f, false
	}
	f = File{Kind: "binhex", Name: string(b[1 : 1+b[0]]), Damage: d}
	b = b[1+b[0]:]
	const head = 1 + 4 + 4 + 2 + 4 + 4 + 2 // version, type, creator, flags, two lengths, CRC
	if len(b) < head {
		return f, false
	}
	size := int64(binary.BigEndian.Uint32(b[11:]))
	b = b[head:]
	if size > int64(len(b)) {
		size = int64(len(b))
		f.Damage |= Incomplete
	}
	f.Data = b[:size]
	return f, true
}

// hqxBytes undoes the 6-bit coding up to the closing colon.
func hqxBytes(src []byte) (out []byte, d Damage) {
	var acc uint32
	bits := 0
	for _, c := range src {
		if c == ':' {
			return out, d
		}
		v := strings.IndexByte(hqxAlphabet, c)
		if v < 0 {
			if sextets[c] != blnk {
				d |= Junk
			}
			continue
		}
		acc = acc<<6 | uint32(v)
		if bits += 6; bits >= 8 {
			bits -= 8
			out = append(out, byte(acc>>bits))
			acc &= 1<<bits - 1
		}
	}
	return out, d | Incomplete
}

// unrun expands 0x90 N runs.
func unrun(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b) && len(out) < maxHqx; i++ {
		if b[i] != 0x90 || i+1 >= len(b) {
			out = append(out, b[i])
			continue
		}
		i++
		if b[i] == 0 {
			out = append(out, 0x90)
			continue
		}
		if len(out) > 0 {
			out = append(out, bytes.Repeat(out[len(out)-1:], int(b[i])-1)...)
		}
	}
	return out
}
