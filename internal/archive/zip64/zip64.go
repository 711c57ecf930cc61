// Package zip64 reads the sizes of a zip that do not fit 32 bits (APPNOTE section 4.5.3).
package zip64

import (
	"encoding/binary"
	"slices"
)

// Fill fills in the values that do not fit 32 bits, in the order of the format, from the extra
// fields of an entry; false means that a value is missing.
func Fill(extra []byte, values ...*int64) bool {
	wide := slices.ContainsFunc(values, func(v *int64) bool { return *v == 0xffffffff })
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if 4+n > len(extra) {
			break
		}
		if id == 1 && wide {
			b := extra[4 : 4+n]
			for _, v := range values {
				if *v != 0xffffffff {
					continue
				}
				if len(b) < 8 {
					return false
				}
				*v = int64(binary.LittleEndian.Uint64(b))
				b = b[8:]
			}
			return true
		}
		extra = extra[4+n:]
	}
	return true
}
