// Package image reads the directories of disk images in the form of ISO 9660 (ECMA-119) with the
// long names of Joliet. It follows no reference out of the image and none twice.
package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// The bounds of a directory tree.
const (
	MaxDirectory = 1 << 20 // bytes of one directory
	MaxTree      = 8 << 20 // bytes of all directories
	maxDepth     = 32
)

// The errors of Files.
var (
	ErrTooMany = errors.New("image: more members than are read")
	ErrDamaged = errors.New("image: damaged")
)

const (
	sector   = 2048
	first    = 16 // sector of the first volume descriptor
	last     = 32 // beyond which none is looked for
	mark     = "CD001"
	rootAt   = 156
	escapeAt = 88
	recordAt = 33 // bytes of a record before its name
)

// Is reports whether r holds an image in this form.
func Is(r io.ReaderAt, size int64) bool {
	var b [6]byte
	for n := int64(first); n < first+8 && n*sector+sector <= size; n++ {
		if _, err := r.ReadAt(b[:], n*sector); err == nil && string(b[1:]) == mark {
			return true
		}
	}
	return false
}

// Seen is how many bytes from the beginning Is needs.
const Seen = (first + 8) * sector

// File is one member.
type File struct {
	Name    string // attacker text, "/" between levels
	Dir     bool
	Size    int64
	Outside bool // its bytes, or a part of them, lie outside the image

	parts []part
}

// part is bytes of a file, or a directory, that lie together.
type part struct{ at, size int64 }

// Open reads the bytes of a file.
func (f File) Open(r io.ReaderAt) io.Reader {
	var all []io.Reader
	for _, p := range f.parts {
		all = append(all, io.NewSectionReader(r, p.at, p.size))
	}
	return io.MultiReader(all...)
}

// tree is one walk over the directories of an image.
type tree struct {
	r     io.ReaderAt
	size  int64
	most  int
	block int64
	wide  bool           // names in UTF-16
	read  int64          // bytes of directories
	dirs  map[int64]bool // those that were read
	have  map[string]bool
	files []File
}

// Files lists what the image holds, at most so many members: what the directory with long names
// shows, and what only the other one does.
func Files(r io.ReaderAt, size int64, most int) ([]File, error) {
	t := &tree{r: r, size: size, most: most, have: map[string]bool{}}
	var long, short [][]byte
	for n := int64(first); n < last; n++ {
		d := make([]byte, sector)
		if _, err := r.ReadAt(d, n*sector); err != nil || string(d[1:6]) != mark && n > first || d[0] == 0xff {
			break
		}
		switch {
		case d[0] == 2 && joliet(d):
			long = append(long, d)
		case d[0] == 1 || d[0] == 2:
			short = append(short, d)
		}
	}
	if len(long)+len(short) == 0 {
		return nil, ErrDamaged
	}
	var bad error
	for i, d := range append(long, short...) {
		t.wide, t.dirs = i < len(long), map[int64]bool{}
		t.block = int64(binary.LittleEndian.Uint16(d[128:]))
		if t.block < 512 || t.block > 4*sector {
			t.block = sector
		}
		root := d[rootAt : rootAt+recordAt+1]
		if err := t.directory("", t.part(root), 0); errors.Is(err, ErrTooMany) {
			return t.files, err
		} else if err != nil {
			bad = err
		}
	}
	return t.files, bad
}

// joliet reports a descriptor whose names are UTF-16.
func joliet(d []byte) bool {
	e := d[escapeAt : escapeAt+3]
	return e[0] == '%' && e[1] == '/' && bytes.IndexByte([]byte("@CE"), e[2]) >= 0
}

// part is where the bytes of a record lie.
func (t *tree) part(record []byte) part {
	return part{
		at:   (int64(binary.LittleEndian.Uint32(record[2:])) + int64(record[1])) * t.block,
		size: int64(binary.LittleEndian.Uint32(record[10:])),
	}
}

// directory lists one directory and those in it.
func (t *tree) directory(way string, p part, depth int) error {
	if t.dirs[p.at] {
		return nil // a circle
	}
	t.dirs[p.at] = true
	if t.read += p.size; depth > maxDepth || p.size > MaxDirectory || t.read > MaxTree {
		return ErrTooMany
	}
	if p.at+p.size > t.size {
		return ErrDamaged
	}
	b := make([]byte, p.size)
	if _, err := t.r.ReadAt(b, p.at); err != nil && !errors.Is(err, io.EOF) {
		return ErrDamaged
	}
	var open *File // a file of several parts, the last of which is still to come
	for at := 0; at < len(b); {
		n := int(b[at])
		if n == 0 { // records do not cross sectors
			at = (at/sector + 1) * sector
			continue
		}
		if n <= recordAt || at+n > len(b) || recordAt+int(b[at+recordAt-1]) > n {
			return ErrDamaged
		}
		record := b[at : at+n]
		at += n
		if err := t.record(way, record, &open, depth); err != nil {
			return err
		}
	}
	return nil
}

// record takes one member of a directory.
func (t *tree) record(way string, record []byte, open **File, depth int) error {
	const isDir, goesOn = 2, 0x80
	raw := record[recordAt : recordAt+int(record[recordAt-1])]
	if len(raw) == 1 && raw[0] <= 1 {
		return nil // the directory itself, and the one above
	}
	flags, p := record[25], t.part(record)
	name := way + t.name(raw)
	if flags&isDir != 0 {
		if err := t.add(File{Name: name, Dir: true}, "dir "+strings.ToLower(name)); err != nil {
			return err
		}
		return t.directory(name+"/", p, depth+1)
	}
	f := *open
	if f == nil {
		f = &File{Name: name}
	}
	f.Size += p.size
	f.Outside = f.Outside || p.at+p.size > t.size
	f.parts = append(f.parts, p)
	if *open = nil; flags&goesOn != 0 && len(f.parts) < t.most {
		*open = f
		return nil
	}
	key := strings.ToLower(f.Name)
	if f.Size > 0 {
		key = fmt.Sprint(f.parts)
	}
	return t.add(*f, key)
}

// add keeps a member unless it is there by another directory.
func (t *tree) add(f File, key string) error {
	if t.have[key] {
		return nil
	}
	if len(t.files) >= t.most {
		return ErrTooMany
	}
	t.have[key] = true
	t.files = append(t.files, f)
	return nil
}

// name reads a name without its version.
func (t *tree) name(raw []byte) string {
	s := string(raw)
	if t.wide {
		var units []uint16
		for ; len(raw) >= 2; raw = raw[2:] {
			units = append(units, binary.BigEndian.Uint16(raw))
		}
		s = string(utf16.Decode(units))
	}
	if i := strings.LastIndexByte(s, ';'); i > 0 && len(s)-i <= 6 {
		s = s[:i]
	}
	return strings.TrimSuffix(s, ".")
}
