// Package seven reads 7z archives inside limits: the directory, whatever numbers it claims, and
// what the usual methods packed. It checks what a member asks for before it makes room for it.
package seven

import (
	"encoding/binary"
	"errors"
	"io"
)

// Limits bounds what is read; a directory that asks for more is refused.
type Limits struct {
	Entries    int   // members, folders and packed streams, each
	Header     int64 // bytes of the directory, expanded
	Dictionary int64 // bytes the methods of a folder may together keep of what they have expanded
}

// The errors of Open and Folder.Open. Any other error means damage.
var (
	ErrEncrypted  = errors.New("seven: the directory needs a password")
	ErrTooMany    = errors.New("seven: more members than are read")
	ErrDictionary = errors.New("seven: a larger dictionary than is made room for")
	ErrVolume     = errors.New("seven: cut off, or one of several volumes")
	ErrDamaged    = errors.New("seven: damaged")
	errMethod     = errors.New("seven: a method not known here")
)

// File is one member.
type File struct {
	Name string // attacker text, "/" between levels
	Size int64
	Dir  bool
}

// Folder is members that were packed as one stream, in its order.
type Folder struct {
	Files     []File
	Packed    int64 // bytes in the archive
	Size      int64 // expanded
	Encrypted bool
	Method    string // a method that cannot be read here; "" = all can

	lim     Limits
	room    int64 // that the dictionaries of its methods may still take together
	coders  []coder
	binds   []bind
	packed  []int // incoming streams that come from the archive
	streams []io.SectionReader
	sizes   []int64 // of the outgoing streams
	sum     bool    // a checksum of the whole is in the directory
	count   int     // members
	parts   []int64 // their sizes
}

// Archive is a directory that was read.
type Archive struct {
	Empty   []File // members without content, directories among them
	Folders []*Folder
}

const startLen = 32 // signature, version, checksum, place of the directory

// maxTurns bounds how often a directory may itself be packed.
const maxTurns = 4

// Open reads the directory of the archive in r.
func Open(r io.ReaderAt, size int64, lim Limits) (*Archive, error) {
	start := make([]byte, startLen)
	if _, err := r.ReadAt(start, 0); err != nil {
		return nil, ErrVolume
	}
	at, n := binary.LittleEndian.Uint64(start[12:]), binary.LittleEndian.Uint64(start[20:])
	rest := uint64(size - startLen)
	if at > rest || n > rest-at {
		return nil, ErrVolume
	}
	if n > uint64(lim.Header) {
		return nil, ErrTooMany
	}
	b := make([]byte, n)
	if _, err := r.ReadAt(b, startLen+int64(at)); err != nil && !errors.Is(err, io.EOF) {
		return nil, ErrVolume
	}
	a := &Archive{}
	if n == 0 {
		return a, nil
	}
	d := &directory{r: io.NewSectionReader(r, startLen, int64(rest)), lim: lim}
	for range maxTurns {
		c := &cursor{b: b}
		switch c.byte() {
		case idHeader:
			return a, d.header(c, a)
		case idEncodedHeader:
			var err error
			if b, err = d.unpackHeader(c); err != nil {
				return nil, err
			}
		default:
			return nil, ErrDamaged
		}
	}
	return nil, ErrDamaged
}

// unpackHeader expands a directory that was packed like a member.
func (d *directory) unpackHeader(c *cursor) ([]byte, error) {
	folders, err := d.streams(c)
	if err != nil {
		return nil, err
	}
	if len(folders) != 1 {
		return nil, ErrDamaged
	}
	f := folders[0]
	if f.Encrypted {
		return nil, ErrEncrypted
	}
	if f.Size > d.lim.Header {
		return nil, ErrTooMany
	}
	in, err := f.Open()
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(in, f.Size))
	if err != nil || int64(len(b)) != f.Size {
		return nil, ErrDamaged
	}
	return b, nil
}

// Open expands the members of a folder, one after the other.
func (f *Folder) Open() (io.Reader, error) {
	switch {
	case f.Encrypted:
		return nil, ErrEncrypted
	case f.Method != "":
		return nil, errMethod
	}
	out, ok := f.last()
	if !ok {
		return nil, ErrDamaged
	}
	f.room = f.lim.Dictionary
	return f.output(out, len(f.coders))
}

// last is the outgoing stream that no coder takes in.
func (f *Folder) last() (int, bool) {
	for i := range f.sizes {
		if f.takes(i) < 0 {
			return i, true
		}
	}
	return 0, false
}

// takes is the incoming stream that an outgoing one is bound to, -1 if none is.
func (f *Folder) takes(out int) int {
	for _, b := range f.binds {
		if b.out == out {
			return b.in
		}
	}
	return -1
}

// output reads an outgoing stream; every coder here has one. left bounds the way.
func (f *Folder) output(out, left int) (io.Reader, error) {
	if left == 0 || out >= len(f.coders) {
		return nil, ErrDamaged
	}
	first := 0
	for _, c := range f.coders[:out] {
		first += c.in
	}
	var in []io.Reader
	for i := range f.coders[out].in {
		r, err := f.input(first+i, left-1)
		if err != nil {
			return nil, err
		}
		in = append(in, r)
	}
	return f.coders[out].open(in, f.sizes[out], &f.room)
}

func (f *Folder) input(in, left int) (io.Reader, error) {
	for _, b := range f.binds {
		if b.in == in {
			return f.output(b.out, left)
		}
	}
	for i, p := range f.packed {
		if p == in && i < len(f.streams) {
			s := f.streams[i]
			return &s, nil
		}
	}
	return nil, ErrDamaged
}
