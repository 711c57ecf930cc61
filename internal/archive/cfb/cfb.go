// Package cfb reads compound files ([MS-CFB]), the form of old Office documents, of embedded
// objects and of installers. It believes nothing that the file says of itself: a chain
// is followed no longer than the file is.
package cfb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"unicode/utf16"
)

// MaxEntries bounds the entries of a directory that are read.
const MaxEntries = 4096

// ErrNotCompound is the error of a file that is none, or is too damaged to have a directory.
var ErrNotCompound = errors.New("cfb: no compound file")

const (
	signature = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	headerLen = 512
	entryLen  = 128
	inHeader  = 109        // places of the table's sectors that the header holds
	lastReal  = 0xfffffffa // numbers from here on are marks
)

// The types of entries.
const (
	isStorage = 1
	isStream  = 2
	isRoot    = 5
)

// Entry is one entry of the directory. The directory is taken as the list it is stored as, not
// as the tree it claims to be, so that nothing hides in a branch that leads nowhere.
type Entry struct {
	Name    string // at most 31 characters; text of the file
	Storage bool   // holds other entries rather than bytes
	Size    int64  // as declared

	start             uint32
	left, right, down uint32 // as it claims: beside it in the tree, and the first it holds
}

// File is a compound file in memory.
type File struct {
	Entries []Entry
	Cut     bool // there are more than MaxEntries

	places map[uint32]int // of entries, by their number in the directory
	data   []byte
	shift  uint   // of a sector
	mini   uint   // of a small sector
	cutoff int64  // streams shorter than this are in small sectors
	table  []byte // the allocation table, four bytes for each sector
	small  []byte // that of the small sectors
	within []byte // the stream that holds the small sectors
}

// Open reads the tables and the directory of data, which must not change while the file is in
// use.
func Open(data []byte) (*File, error) {
	if len(data) < headerLen || string(data[:8]) != signature {
		return nil, ErrNotCompound
	}
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	f := &File{data: data, shift: uint(u16(data[30:])), mini: uint(u16(data[32:])), cutoff: int64(u32(data[56:]))}
	if f.shift != 9 && f.shift != 12 || f.mini < 4 || f.mini > f.shift || f.cutoff > 1<<16 {
		return nil, ErrNotCompound
	}
	f.readTable(u32(data[68:]))
	dir := f.chain(u32(data[48:]), MaxEntries*entryLen+1)
	if len(dir) < entryLen {
		return nil, ErrNotCompound
	}
	f.readEntries(dir)
	return f, nil
}

// sector is the bytes of a sector, fewer at the end of the file, nil beyond it.
func (f *File) sector(n uint32) []byte {
	at := (uint64(n) + 1) << f.shift
	if n >= lastReal || at >= uint64(len(f.data)) {
		return nil
	}
	return f.data[at:min(at+1<<f.shift, uint64(len(f.data)))]
}

// sectors is how many there can be.
func (f *File) sectors() int { return len(f.data)>>f.shift + 1 }

// readTable joins the sectors of the allocation table; difat is the first of those that list
// more of them than the header does.
func (f *File) readTable(difat uint32) {
	most := f.sectors()*4/(1<<f.shift) + 1 // sectors that a table of this file needs
	list := f.data[76 : 76+4*inHeader]
	used := 0
	for range most {
		for ; len(list) >= 4 && used < most; list = list[4:] {
			if b := f.sector(binary.LittleEndian.Uint32(list)); b != nil {
				f.table = append(f.table, b...)
				used++
			}
		}
		next := f.sector(difat)
		if used >= most || len(next) < 1<<f.shift {
			return
		}
		list = next[:len(next)-4]
		difat = binary.LittleEndian.Uint32(next[len(next)-4:])
	}
}

// next is the sector behind n in a table, a mark where there is none.
func next(table []byte, n uint32) uint32 {
	if at := uint64(n) * 4; at+4 <= uint64(len(table)) {
		return binary.LittleEndian.Uint32(table[at:])
	}
	return lastReal
}

// chain joins the sectors from start on, at most so many bytes. A chain that is longer than the
// file turns in a circle.
func (f *File) chain(start uint32, most int64) []byte {
	var out []byte
	for n, steps := start, f.sectors(); steps > 0 && int64(len(out)) < most; steps-- {
		b := f.sector(n)
		if b == nil {
			break
		}
		out = append(out, b...)
		n = next(f.table, n)
	}
	return out[:min(int64(len(out)), max(most, 0))]
}

func (f *File) readEntries(dir []byte) {
	f.places = map[uint32]int{}
	for place := 0; len(dir) >= entryLen; place, dir = place+1, dir[entryLen:] {
		e := dir[:entryLen]
		kind := e[66]
		if kind != isStorage && kind != isStream && kind != isRoot {
			continue
		}
		if len(f.Entries) == MaxEntries {
			f.Cut = true
			return
		}
		size := int64(binary.LittleEndian.Uint32(e[120:])) // the upper half is rubbish in files with small sectors
		start := binary.LittleEndian.Uint32(e[116:])
		if kind == isRoot && f.within == nil {
			f.within = f.chain(start, min(size, int64(len(f.data))))
			f.small = f.chain(binary.LittleEndian.Uint32(f.data[60:]), int64(len(f.within)>>f.mini+1)*4)
		}
		f.Entries = append(f.Entries, Entry{Name: name(e), Storage: kind != isStream, Size: size, start: start,
			left: binary.LittleEndian.Uint32(e[68:]), right: binary.LittleEndian.Uint32(e[72:]), down: binary.LittleEndian.Uint32(e[76:])})
		f.places[uint32(place)] = len(f.Entries) - 1
	}
}

func name(e []byte) string {
	n := min(int(binary.LittleEndian.Uint16(e[64:]))/2, 32)
	var units []uint16
	for i := range n {
		u := binary.LittleEndian.Uint16(e[2*i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// Read returns the content of a stream, at most so many bytes of it; what is missing in a
// damaged file is missing at the end.
func (f *File) Read(e Entry, most int64) []byte {
	most = min(most, e.Size, int64(len(f.data)))
	if e.Storage || most <= 0 {
		return nil
	}
	if e.Size >= f.cutoff {
		return f.chain(e.start, most)
	}
	var out []byte
	for n, steps := e.start, len(f.within)>>f.mini+1; steps > 0 && int64(len(out)) < most; steps-- {
		at := uint64(n) << f.mini
		if n >= lastReal || at >= uint64(len(f.within)) {
			break
		}
		out = append(out, f.within[at:min(at+1<<f.mini, uint64(len(f.within)))]...)
		n = next(f.small, n)
	}
	return out[:min(int64(len(out)), most)]
}

// Parents is, for each entry, the one that holds it as far as the tree says so, -1 = none. An entry
// that several claim is of the first of them.
func (f *File) Parents() []int {
	out := make([]int, len(f.Entries))
	for i := range out {
		out[i] = -1
	}
	for i, e := range f.Entries {
		if !e.Storage {
			continue
		}
		for todo := []uint32{e.down}; len(todo) > 0; {
			at, ok := f.places[todo[len(todo)-1]]
			todo = todo[:len(todo)-1]
			if ok && at != i && at != 0 && out[at] < 0 {
				out[at] = i
				todo = append(todo, f.Entries[at].left, f.Entries[at].right)
			}
		}
	}
	return out
}

// Has reports whether an entry has one of the names.
func (f *File) Has(names ...string) bool {
	return slices.ContainsFunc(f.Entries, func(e Entry) bool { return slices.Contains(names, e.Name) })
}

// Is reports whether data begins as a compound file does.
func Is(data []byte) bool { return bytes.HasPrefix(data, []byte(signature)) }
