package office

import (
	"bytes"
	"encoding/binary"
)

// stored marks a file in a notebook ([MS-ONESTORE] section 2.6.13).
var stored = []byte("\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac")

// Notebook adds the files that a OneNote section holds, pictures among them. What they are called
// stands elsewhere; they are told by content.
func (f *Facts) Notebook(data []byte) {
	const lengths = 8 + 4 + 8
	for rest := data; ; {
		i := bytes.Index(rest, stored)
		if i < 0 {
			return
		}
		if len(f.Packed) >= MaxPacked {
			f.Incomplete = true
			return
		}
		rest = rest[i+len(stored):]
		if len(rest) < lengths {
			return
		}
		n := binary.LittleEndian.Uint64(rest)
		rest = rest[lengths:]
		f.Packed = append(f.Packed, Packed{Head: rest[:min(n, packedHead, uint64(len(rest)))]})
		rest = rest[min(n, uint64(len(rest))):]
	}
}

// Table adds what a table in plain text shows: spreadsheets run what its cells ask for.
func (f *Facts) Table(data []byte) {
	up := bytes.ToUpper(data[:min(len(data), maxStream)])
	for _, cell := range []string{"=CMD|", "+CMD|", "-CMD|", "@CMD|", "=DDE(", "=MSEXCEL|", "=RUNDLL32|"} {
		if bytes.Contains(up, []byte(cell)) {
			set(&f.DDE, "a cell that starts a program")
		}
	}
}
