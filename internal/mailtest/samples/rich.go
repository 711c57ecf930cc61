package samples

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf16"
)

// Linked is an object of rich text that is a link.
func Linked(class, to string) []byte {
	return append(richHead(1, class, to), richNames("")...)
}

// Embedded is an object of rich text with its bytes.
func Embedded(class string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint32(richHead(2, class, ""), uint32(len(data)))
	return append(b, data...)
}

// Package is a file that is embedded in rich text.
func Package(label string, data []byte) []byte {
	return Embedded("Package", Object(label, `C:\`+label, data)[4:])
}

func richHead(form byte, class, topic string) []byte {
	return append([]byte{1, 5, 0, 0, form, 0, 0, 0}, richNames(class, topic, "")...)
}

// richNames are names with their lengths, one that is empty a length alone.
func richNames(names ...string) []byte {
	var b []byte
	for _, n := range names {
		if n == "" {
			b = append(b, 0, 0, 0, 0)
			continue
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(len(n)+1))
		b = append(append(b, n...), 0)
	}
	return b
}

// RTF is a letter in rich text with an object whose control words are given.
func RTF(words string, object []byte) []byte {
	digits := hex.EncodeToString(object)
	var lines strings.Builder
	for ; len(digits) > 128; digits = digits[128:] {
		lines.WriteString(digits[:128] + "\r\n")
	}
	return []byte(`{\rtf1\ansi{\fonttbl{\f0 Arial;}}\f0 The minutes\par{\object` + words + `{\*\objdata ` + lines.String() + digits + `}{\result{\pict\wmetafile8 0100}}}}`)
}

// Moniker is the stream in which an object says the address that it is loaded from.
func Moniker(to string) []byte {
	var b bytes.Buffer
	b.Write([]byte{1, 0, 0, 2, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	b.WriteString("\xe0\xc9\xea\x79\xf9\xba\xce\x11\x8c\x82\x00\xaa\x00\x4b\xa9\x0b")
	units := append(utf16.Encode([]rune(to)), 0)
	binary.Write(&b, binary.LittleEndian, uint32(2*len(units))) //nolint:errcheck // into memory
	binary.Write(&b, binary.LittleEndian, units)                //nolint:errcheck // into memory
	return b.Bytes()
}
