package samples

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"unicode/utf16"

	"github.com/ulikunitz/xz/lzma"
)

// Packing is how RAR and Seven say that their members are packed. The zero value stores them.
type Packing struct {
	Method     byte     // of a RAR, 0 to 5; any but 0 is a claim, unless Streams are by Literals
	Dictionary byte     // of a RAR, 128 kB shifted left so often
	Locked     bool     // the members need a password
	Coder      []byte   // of a 7z, with its properties
	Streams    [][]byte // instead of the members' bytes; of a RAR one for each member
	Size       uint64   // that a member of a RAR, or the whole of a 7z, says it expands to; 0 = as it is
}

// vint is a number as RAR 5 writes it.
func vint(v uint64) []byte {
	var out []byte
	for ; v >= 0x80; v >>= 7 {
		out = append(out, byte(v)|0x80)
	}
	return append(out, byte(v))
}

// rarBlock is a block of RAR 5: kind and what is behind it.
func rarBlock(parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	body = append(vint(uint64(len(body))), body...)
	return append(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)), body...)
}

// RAR packs members as RAR 5.
func RAR(p Packing, members ...Member) []byte {
	out := []byte("Rar!\x1a\x07\x01\x00")
	out = append(out, rarBlock([]byte{1, 0, 0})...)
	for i, m := range members {
		data := m.Data
		if p.Streams != nil {
			data = p.Streams[i]
		}
		var extra []byte
		if p.Locked { // a record of encryption: kind, version, flags, rounds, salt, vector
			record := append([]byte{1, 0, 0, 15}, make([]byte, 32)...)
			extra = append(vint(uint64(len(record))), record...)
		}
		head := []byte{2, 2}
		if extra != nil {
			head = append([]byte{2, 3}, vint(uint64(len(extra)))...)
		}
		how := vint(uint64(p.Method)<<7 | uint64(p.Dictionary)<<10)
		size, plain := vint(uint64(len(data))), vint(uint64(len(m.Data)))
		if p.Size > 0 {
			plain = vint(p.Size)
		}
		out = append(out, rarBlock(head, size, []byte{4}, plain, []byte{0}, binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(m.Data)),
			how, []byte{0}, vint(uint64(len(m.Name))), []byte(m.Name), extra)...)
		out = append(out, data...)
	}
	return append(out, rarBlock([]byte{5, 0, 0})...)
}

// number is a number as 7z writes it, in its longest form where it is not short.
func number(v uint64) []byte {
	if v < 0x80 {
		return []byte{byte(v)}
	}
	return binary.LittleEndian.AppendUint64([]byte{0xff}, v)
}

// LZMA packs data, and says with what coder of a 7z.
func LZMA(data []byte) (coder, packed []byte) {
	var buf bytes.Buffer
	w, err := lzma.WriterConfig{SizeInHeader: true, Size: int64(len(data))}.NewWriter(&buf)
	if err == nil {
		w.Write(data) //nolint:errcheck // into memory
		w.Close()     //nolint:errcheck // into memory
	}
	b := buf.Bytes()
	return append([]byte{0x23, 3, 1, 1, 5}, b[:5]...), b[lzma.HeaderLen:]
}

// Seven packs members as one folder of a 7z.
func Seven(p Packing, members ...Member) []byte {
	var all, names []byte
	var counts, sizes [][]byte
	for i, m := range members {
		all = append(all, m.Data...)
		for _, u := range append(utf16.Encode([]rune(m.Name)), 0) {
			names = binary.LittleEndian.AppendUint16(names, u)
		}
		if i < len(members)-1 {
			sizes = append(sizes, number(uint64(len(m.Data))))
		}
	}
	coder, streams, size := p.Coder, p.Streams, p.Size
	if coder == nil {
		coder = []byte{1, 0}
	}
	if p.Locked {
		coder = []byte{0x24, 6, 0xf1, 7, 1, 2, 0, 0}
	}
	if streams == nil {
		streams = [][]byte{all}
	}
	if size == 0 {
		size = uint64(len(all))
	}
	for _, s := range streams {
		counts = append(counts, number(uint64(len(s))))
	}
	dir := bytes.Join([][]byte{
		{1, 4, 6, 0}, number(uint64(len(streams))), {9}, bytes.Join(counts, nil), {0, 7, 0x0b, 1, 0, 1}, coder, {0x0c}, number(size), {0, 8, 0x0d},
		number(uint64(len(members))), {9}, bytes.Join(sizes, nil), {0, 0, 5}, number(uint64(len(members))), {0x11}, number(uint64(len(names) + 1)), {0}, names, {0, 0},
	}, nil)
	return SevenStart(bytes.Join(streams, nil), dir)
}

// SevenStart joins packed streams and a directory.
func SevenStart(packed, dir []byte) []byte {
	place := binary.LittleEndian.AppendUint64(nil, uint64(len(packed)))
	place = binary.LittleEndian.AppendUint64(place, uint64(len(dir)))
	place = binary.LittleEndian.AppendUint32(place, crc32.ChecksumIEEE(dir))
	start := append([]byte("7z\xbc\xaf\x27\x1c\x00\x04"), binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(place))...)
	return bytes.Join([][]byte{start, place, packed, dir}, nil)
}

// block is a sector of a disk image.
const block = 2048

// Record is an entry of a directory of a disk image; at is a sector.
func Record(name string, flags byte, at, size int) []byte {
	n := 33 + len(name) + (len(name)+1)%2
	b := make([]byte, n)
	b[0] = byte(n)
	binary.LittleEndian.PutUint32(b[2:], uint32(at))
	binary.LittleEndian.PutUint32(b[10:], uint32(size))
	b[25], b[32] = flags, byte(len(name))
	copy(b[33:], name)
	return b
}

// Disk is a disk image whose long names are those of the members, in at most one directory each;
// its short ones are numbers.
func Disk(members ...Member) []byte {
	const short, long = 19, 20
	image := make([]byte, 21*block)
	dirs := map[string]int{}
	put := func(b []byte) int {
		at := len(image) / block
		image = append(image, b...)
		image = append(image, make([]byte, (block-len(b)%block)%block)...)
		return at
	}
	ends := map[int]int{short: 0, long: 0}
	add := func(dir int, record []byte) {
		copy(image[dir*block+ends[dir]:], record)
		ends[dir] += len(record)
	}
	for _, dir := range []int{short, long} {
		add(dir, Record("\x00", 2, dir, block))
		add(dir, Record("\x01", 2, dir, block))
	}
	for i, m := range members {
		at := put(m.Data)
		way, name, deep := strings.Cut(m.Name, "/")
		in := long
		if !deep {
			name = way
		} else if in = dirs[way]; in == 0 {
			in = put(make([]byte, block))
			dirs[way] = in
			add(long, Record(wide(way), 2, in, block))
		}
		add(in, Record(wide(name+";1"), 0, at, len(m.Data)))
		add(short, Record(string(rune('A'+i))+".;1", 0, at, len(m.Data)))
	}
	for at, d := range map[int]struct {
		kind byte
		root int
	}{16: {1, short}, 17: {2, long}} {
		b := image[at*block:]
		b[0] = d.kind
		copy(b[1:], "CD001\x01")
		binary.LittleEndian.PutUint16(b[128:], block)
		copy(b[156:], Record("\x00", 2, d.root, block))
	}
	copy(image[17*block+88:], "%/E")
	copy(image[18*block:], "\xffCD001\x01")
	return image
}

// wide is a name in UTF-16 as Joliet writes it.
func wide(s string) string {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.BigEndian.AppendUint16(out, u)
	}
	return string(out)
}
