// Package kind tells archives by their content.
package kind

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Head is how many bytes Detect looks at.
const Head = 1024

// magics are the beginnings of the kinds that have one.
var magics = []struct{ kind, magic string }{
	{"zip", "PK\x03\x04"}, {"zip", "PK\x05\x06"}, {"zip", "PK\x07\x08"}, {"zip", "PK00PK\x03\x04"},
	{"gzip", "\x1f\x8b\x08"}, {"7z", "7z\xbc\xaf\x27\x1c"}, {"rar", "Rar!\x1a\x07"}, {"xz", "\xfd7zXZ\x00"},
	{"zstd", "\x28\xb5\x2f\xfd"}, {"lz4", "\x04\x22\x4d\x18"}, {"cab", "MSCF\x00\x00\x00\x00"}, {"arj", "\x60\xea"},
	{"compress", "\x1f\x9d"}, {"compress", "\x1f\xa0"}, {"lzip", "LZIP"}, {"ole", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"},
	{"cpio", "070701"}, {"cpio", "070702"}, {"cpio", "070707"}, {"szdd", "SZDD\x88\xf0\x27\x33"},
	{"ar", "!<arch>\n"}, {"tnef", "\x78\x9f\x3e\x22"}, {"egg", "EGGA"}, {"alz", "ALZ\x01"}, {"xar", "xar!"},
}

// Detect names the kind of archive by content, "" if it is none known here. The first
// kilobyte is enough.
func Detect(head []byte) string {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) && (m.kind != "arj" || arj(head)) {
			return m.kind
		}
	}
	switch {
	case len(head) > 10 && string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9' &&
		(string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90"):
		return "bzip2"
	case isTar(head):
		return "tar"
	case len(head) > 7+7 && string(head[7:14]) == "**ACE**":
		return "ace"
	case len(head) > 7 && head[2] == '-' && head[3] == 'l' && (head[4] == 'h' || head[4] == 'z') && head[6] == '-':
		return "lha"
	}
	return ""
}

// arj tells a header from two chance bytes: its size field must be in range.
func arj(head []byte) bool {
	return len(head) > 8 && binary.LittleEndian.Uint16(head[2:]) >= 30 && binary.LittleEndian.Uint16(head[2:]) <= 2600 && head[4] >= 30
}

// isTar checks the sum over the first block, which every tar has, old ones too.
func isTar(head []byte) bool {
	if len(head) < 512 {
		return false
	}
	field := strings.Trim(string(head[148:156]), " \x00")
	want := int64(0)
	if field == "" || len(field) > 7 {
		return false
	}
	for _, c := range field {
		if c < '0' || c > '7' {
			return false
		}
		want = want<<3 | int64(c-'0')
	}
	var sum, signed int64
	for i, c := range head[:512] {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int64(c)
		signed += int64(int8(c))
	}
	return want != 0 && (sum == want || signed == want)
}

// Readable reports whether a kind is one this project expands itself.
func Readable(kind string) bool {
	return kind == "zip" || kind == "gzip" || kind == "bzip2" || kind == "tar" || kind == "rar" || kind == "7z"
}

// Encrypted tells, where that is cheap, whether an archive needs a password; head is its beginning. false means "not seen".
func Encrypted(kind string, head []byte) bool {
	switch kind {
	case "7z":
		return sevenZip(head)
	case "rar":
		if bytes.HasPrefix(head, []byte("Rar!\x1a\x07\x01\x00")) {
			return rar5(head[8:])
		}
		return rar4(head)
	case "ole":
		// The stream an encrypted Office document keeps its package in ([MS-OFFCRYPTO] 2.3.4.4).
		return bytes.Contains(head, utf16le("EncryptedPackage"))
	}
	return false
}

func utf16le(s string) []byte {
	var out []byte
	for i := range len(s) {
		out = append(out, s[i], 0)
	}
	return out
}

// sevenZip looks for the AES coder in the end header, which names its coders in clear.
func sevenZip(head []byte) bool {
	if len(head) < 32 {
		return false
	}
	at := binary.LittleEndian.Uint64(head[12:])
	size := binary.LittleEndian.Uint64(head[20:])
	if at > uint64(len(head)) || size > uint64(len(head)) || 32+at+size > uint64(len(head)) {
		return false
	}
	return bytes.Contains(head[32+at:32+at+size], []byte{0x06, 0xf1, 0x07, 0x01})
}

// rar4 follows the block headers of RAR 1.5 to 4.
func rar4(b []byte) bool {
	const marker = 7
	for at, n := marker, 0; at+11 <= len(b) && n < 1000; n++ {
		kind, flags := b[at+2], binary.LittleEndian.Uint16(b[at+3:])
		size := int(binary.LittleEndian.Uint16(b[at+5:]))
		if kind == 0x73 && flags&0x80 != 0 || kind == 0x74 && flags&4 != 0 {
			return true
		}
		if size < 7 {
			return false
		}
		next := at + size
		if flags&0x8000 != 0 {
			next += int(binary.LittleEndian.Uint32(b[at+7:]))
		}
		if next <= at {
			return false
		}
		at = next
	}
	return false
}

// rar5 follows the block headers of RAR 5 behind its signature.
func rar5(b []byte) bool {
	for n := 0; len(b) > 7 && n < 1000; n++ {
		size, w := vint(b[4:])
		if w == 0 || size > uint64(len(b)) {
			return false
		}
		body := b[4+w:]
		if uint64(len(body)) < size {
			return false
		}
		next := body[size:]
		body = body[:size]
		kind, w1 := vint(body)
		flags, w2 := vint(body[min(w1, len(body)):])
		if w1 == 0 || w2 == 0 {
			return false
		}
		if kind == 4 {
			return true
		}
		body = body[w1+w2:]
		var extra, data uint64
		if flags&1 != 0 {
			v, w := vint(body)
			extra, body = v, body[w:]
		}
		if flags&2 != 0 {
			v, w := vint(body)
			data, body = v, body[w:]
		}
		if kind == 2 && extra > 0 && extra <= uint64(len(body)) && rar5Crypt(body[uint64(len(body))-extra:]) {
			return true
		}
		if data > uint64(len(next)) {
			return false
		}
		b = next[data:]
	}
	return false
}

// rar5Crypt looks for the encryption record among the extra records of a file.
func rar5Crypt(b []byte) bool {
	for len(b) > 0 {
		size, w := vint(b)
		if w == 0 || size == 0 || size > uint64(len(b)-w) {
			return false
		}
		if kind, _ := vint(b[w:]); kind == 1 {
			return true
		}
		b = b[uint64(w)+size:]
	}
	return false
}

// vint reads a RAR 5 number; w is its width, 0 = none.
func vint(b []byte) (v uint64, w int) {
	for i := range min(len(b), 10) {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}
