package seven

import (
	"encoding/binary"
	"io"
	"unicode/utf16"
)

// coder is one step of a folder.
type coder struct {
	method uint64
	in     int // incoming streams; it has one that goes out
	props  []byte
}

// bind says that an incoming stream is an outgoing one.
type bind struct{ in, out int }

// The bounds of one folder. Nothing that packs uses more.
const (
	maxCoders = 8
	maxInputs = 4
)

// directory reads the parts of one.
type directory struct {
	r   *io.SectionReader // of the packed streams
	lim Limits
}

// header reads a whole directory into a.
func (d *directory) header(c *cursor, a *Archive) error {
	for !c.bad {
		var err error
		switch c.byte() {
		case idEnd:
			if c.bad {
				return ErrDamaged
			}
			return nil
		case idProperties:
			for id := c.byte(); id != idEnd && !c.bad; id = c.byte() {
				c.take(c.number())
			}
		case idMainStreams:
			a.Folders, err = d.streams(c)
		case idFiles:
			err = d.files(c, a)
		default:
			return ErrDamaged
		}
		if err != nil {
			return err
		}
	}
	return ErrDamaged
}

// streams reads where the packed streams lie and how they were made.
func (d *directory) streams(c *cursor) ([]*Folder, error) {
	var packs []io.SectionReader
	var folders []*Folder
	for {
		var err error
		switch id := c.byte(); {
		case c.bad:
			return nil, ErrDamaged
		case id == idEnd:
			return folders, nil
		case id == idPackInfo:
			packs, err = d.packInfo(c)
		case id == idUnpackInfo:
			folders, err = d.unpackInfo(c, packs)
		case id == idSubStreams:
			err = d.subStreams(c, folders)
		default:
			return nil, ErrDamaged
		}
		if err != nil {
			return nil, err
		}
	}
}

func (d *directory) packInfo(c *cursor) ([]io.SectionReader, error) {
	at := c.size()
	n, err := c.count(d.lim.Entries * maxInputs)
	if err != nil {
		return nil, err
	}
	var out []io.SectionReader
	for {
		switch id := c.byte(); {
		case c.bad:
			return nil, ErrDamaged
		case id == idEnd:
			return out, nil
		case id == idSize:
			for range n {
				size := c.size()
				if at+size > d.r.Size() {
					return nil, ErrVolume
				}
				out = append(out, *io.NewSectionReader(d.r, at, size))
				at += size
			}
		case id == idCRC:
			c.sums(n)
		default:
			return nil, ErrDamaged
		}
	}
}

func (d *directory) unpackInfo(c *cursor, packs []io.SectionReader) ([]*Folder, error) {
	if c.byte() != idFolder {
		return nil, ErrDamaged
	}
	n, err := c.count(d.lim.Entries)
	if err != nil || c.byte() != 0 { // folders elsewhere: nobody writes that
		return nil, ErrDamaged
	}
	folders := make([]*Folder, n)
	for i := range folders {
		f := &Folder{lim: d.lim, count: 1}
		if err := f.read(c); err != nil {
			return nil, err
		}
		if len(packs) < len(f.packed) {
			return nil, ErrDamaged
		}
		f.streams, packs = packs[:len(f.packed)], packs[len(f.packed):]
		for j := range f.streams {
			f.Packed += f.streams[j].Size()
		}
		folders[i] = f
	}
	if c.byte() != idUnpackSizes {
		return nil, ErrDamaged
	}
	for _, f := range folders {
		for range f.coders {
			f.sizes = append(f.sizes, c.size())
		}
		last, ok := f.last()
		if !ok {
			return nil, ErrDamaged
		}
		f.Size = f.sizes[last]
		f.parts = []int64{f.Size}
	}
	id := c.byte()
	if id == idCRC {
		for i, there := range c.sums(n) {
			folders[i].sum = there
		}
		id = c.byte()
	}
	if id != idEnd || c.bad {
		return nil, ErrDamaged
	}
	return folders, nil
}

// read takes the coders of a folder and how they are joined.
func (f *Folder) read(c *cursor) error {
	n := c.number()
	if n == 0 || n > maxCoders {
		return ErrDamaged
	}
	ins := 0
	for range n {
		flags := c.byte()
		k := coder{method: method(c.take(uint64(flags & 15))), in: 1}
		if flags&0x10 != 0 {
			in, out := c.number(), c.number()
			if in == 0 || in > maxInputs || out != 1 {
				return ErrDamaged
			}
			k.in = int(in)
		}
		if flags&0x20 != 0 {
			k.props = c.take(c.number())
		}
		ins += k.in
		f.coders = append(f.coders, k)
		f.judge(k)
	}
	bound := map[int]bool{}
	for range n - 1 {
		in, out := c.number(), c.number()
		if in >= uint64(ins) || out >= n || bound[int(in)] {
			return ErrDamaged
		}
		bound[int(in)] = true
		f.binds = append(f.binds, bind{in: int(in), out: int(out)})
	}
	switch packed := ins - int(n) + 1; {
	case packed < 1:
		return ErrDamaged
	case packed == 1:
		for i := range ins {
			if !bound[i] {
				f.packed = append(f.packed, i)
			}
		}
	default:
		for range packed {
			in := c.number()
			if in >= uint64(ins) || bound[int(in)] {
				return ErrDamaged
			}
			f.packed = append(f.packed, int(in))
		}
	}
	if c.bad {
		return ErrDamaged
	}
	return nil
}

// subStreams reads how the members share their folders.
func (d *directory) subStreams(c *cursor, folders []*Folder) error {
	id := c.byte()
	if id == idCounts {
		total := 0
		for _, f := range folders {
			n, err := c.count(d.lim.Entries)
			if err != nil {
				return err
			}
			if f.count = n; total+n > d.lim.Entries {
				return ErrTooMany
			}
			total += n
		}
		id = c.byte()
	}
	for _, f := range folders {
		if err := f.divide(c, id == idSize); err != nil {
			return err
		}
	}
	if id == idSize {
		id = c.byte()
	}
	if id == idCRC {
		unknown := 0
		for _, f := range folders {
			if f.count != 1 || !f.sum {
				unknown += f.count
			}
		}
		c.sums(unknown)
		id = c.byte()
	}
	if id != idEnd || c.bad {
		return ErrDamaged
	}
	return nil
}

// divide reads the sizes of the members of a folder; the last has what is left.
func (f *Folder) divide(c *cursor, told bool) error {
	f.parts = nil
	if f.count == 0 {
		return nil
	}
	left := f.Size
	for range f.count - 1 {
		if !told {
			return ErrDamaged
		}
		n := c.size()
		if left -= n; left < 0 {
			return ErrDamaged
		}
		f.parts = append(f.parts, n)
	}
	f.parts = append(f.parts, left)
	return nil
}

// files reads the names and gives each its place.
func (d *directory) files(c *cursor, a *Archive) error {
	n, err := c.count(d.lim.Entries)
	if err != nil {
		return err
	}
	var names []string
	empty, file := make([]bool, n), []bool(nil)
	for !c.bad {
		id := c.byte()
		if id == idEnd {
			break
		}
		p := &cursor{b: c.take(c.number())}
		switch id {
		case idNames:
			if p.byte() != 0 {
				return ErrDamaged
			}
			names = splitNames(p.b, n)
		case idEmptyStream:
			empty = p.bits(n)
		case idEmptyFile:
			hollow := 0
			for _, is := range empty {
				if is {
					hollow++
				}
			}
			file = p.bits(hollow)
		}
		c.bad = c.bad || p.bad
	}
	if c.bad || len(names) != n {
		return ErrDamaged
	}
	return a.place(names, empty, file)
}

// place gives the members with content to the folders, in order.
func (a *Archive) place(names []string, empty, file []bool) error {
	at, hollow := 0, 0
	for i, name := range names {
		if empty[i] {
			a.Empty = append(a.Empty, File{Name: name, Dir: hollow >= len(file) || !file[hollow]})
			hollow++
			continue
		}
		for at < len(a.Folders) && len(a.Folders[at].Files) == a.Folders[at].count {
			at++
		}
		if at == len(a.Folders) {
			return ErrDamaged
		}
		f := a.Folders[at]
		f.Files = append(f.Files, File{Name: name, Size: f.parts[len(f.Files)]})
	}
	return nil
}

// splitNames reads at most n names, each ended by a NUL.
func splitNames(b []byte, n int) []string {
	var out []string
	var units []uint16
	for ; len(b) >= 2 && len(out) <= n; b = b[2:] {
		if u := binary.LittleEndian.Uint16(b); u != 0 {
			units = append(units, u)
			continue
		}
		out = append(out, string(utf16.Decode(units)))
		units = units[:0]
	}
	return out
}
