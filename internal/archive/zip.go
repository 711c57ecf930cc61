package archive

import (
	"bytes"
	"cmp"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"postern/internal/archive/zip64"
)

// zip reads a zip: its directory is compared with the members before anything is expanded.
func (w *walker) zip(name string, r io.ReaderAt, size int64, depth int) error {
	if depth > w.lim.Depth {
		return w.bomb("archives are nested more than %d deep", w.lim.Depth)
	}
	e, ok := findEnd(r, size)
	switch {
	case !ok:
		w.unreadable(name, "it has no directory")
		return w.scattered(name, r, [2]int64{0, size}, depth, false)
	case e.volumes:
		w.unreadable(name, "it is one of several volumes")
		return nil
	}
	files, err := w.directory(r, e)
	var bad errDirectory
	if errors.As(err, &bad) {
		w.unreadable(name, string(bad))
		return w.scattered(name, r, [2]int64{0, size}, depth, false)
	}
	if err != nil {
		return err
	}
	for i := range files {
		if f := files[i]; f.offset < 0 || f.offset > size || f.packed > size {
			w.unreadable(name+"!"+f.name, "it is cut off, or its sizes are a lie")
			return w.scattered(name, r, [2]int64{0, size}, depth, false)
		}
		files[i].data = files[i].offset + localLen + int64(len(files[i].name))
	}
	if _, overlap := layout(files, e.at-e.size); overlap != "" {
		return w.bomb("%s shares its bytes with another member", shown(overlap))
	}
	var total int64
	for i := range files {
		if why := locate(r, size, &files[i]); why != "" {
			w.unreadable(name+"!"+files[i].name, why)
			return w.scattered(name, r, [2]int64{0, size}, depth, false)
		}
		if total += files[i].size; total < 0 || total > w.lim.Bytes {
			return w.bomb("it says it expands to more bytes than are read")
		}
	}
	gaps, overlap := layout(files, e.at-e.size)
	if overlap != "" {
		return w.bomb("%s shares its bytes with another member", shown(overlap))
	}
	for _, f := range files {
		if err := w.zipMember(name, r, f, depth); err != nil {
			return err
		}
	}
	for _, g := range gaps {
		if err := w.scattered(name, r, g, depth, true); err != nil {
			return err
		}
	}
	return nil
}

// locate reads the local header of f and compares it with the directory; what differs is
// said in plain words.
func locate(r io.ReaderAt, size int64, f *file) (why string) {
	b := make([]byte, localLen)
	if _, err := r.ReadAt(b, f.offset); err != nil || binary.LittleEndian.Uint32(b) != localSig {
		return "its place in the file holds no member"
	}
	nameLen, extraLen := int64(binary.LittleEndian.Uint16(b[26:])), int64(binary.LittleEndian.Uint16(b[28:]))
	rest := make([]byte, nameLen+extraLen)
	if n, _ := r.ReadAt(rest, f.offset+localLen); int64(n) < nameLen+extraLen {
		return "it is cut off"
	}
	f.data = f.offset + localLen + nameLen + extraLen
	if f.packed > size-f.data {
		return "it is cut off"
	}
	packed, plain := int64(binary.LittleEndian.Uint32(b[18:])), int64(binary.LittleEndian.Uint32(b[22:]))
	if !zip64.Fill(rest[nameLen:], &plain, &packed) {
		return "its sizes are damaged"
	}
	flags := binary.LittleEndian.Uint16(b[6:])
	switch {
	case !sameName(string(rest[:nameLen]), f.name):
		return "directory and member disagree about the name"
	case binary.LittleEndian.Uint16(b[8:]) != f.method:
		return "directory and member disagree about the compression"
	case flags&1 != f.flags&1:
		return "directory and member disagree about encryption"
	case flags&8 == 0 && (packed != f.packed || plain != f.size), packed != 0 && packed != f.packed && packed != 0xffffffff:
		return "directory and member disagree about the size"
	case f.packed == 0 && (f.method != 0 || f.size != 0):
		return "its sizes are zeroed"
	case f.method == 0 && f.packed != f.size && f.flags&1 == 0:
		return "its sizes are contradictory"
	}
	return ""
}

// sameName compares names as loosely as programs write them.
func sameName(a, b string) bool {
	norm := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, `\`, "/")) }
	if norm(a) == norm(b) {
		return true
	}
	// One of them in another charset: same shape apart from bytes above ASCII.
	ascii := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= 0x80 || r == '_' || r == '?' {
				return -1
			}
			return r
		}, strings.ToValidUTF8(norm(s), ""))
	}
	return ascii(a) == ascii(b) && path.Ext(norm(a)) == path.Ext(norm(b))
}

// layout finds members that overlap, and the gaps between members that are too large for
// a descriptor or padding.
func layout(files []file, dir int64) (gaps [][2]int64, overlap string) {
	sorted := slices.Clone(files)
	slices.SortFunc(sorted, func(a, b file) int { return cmp.Compare(a.offset, b.offset) })
	const descriptor = 24
	at := int64(0)
	for _, f := range sorted {
		if f.offset < at {
			return nil, f.name
		}
		if f.offset-at > descriptor {
			gaps = append(gaps, [2]int64{at, f.offset})
		}
		at = f.data + f.packed
	}
	if at > dir {
		return nil, sorted[len(sorted)-1].name
	}
	if dir-at > descriptor {
		gaps = append(gaps, [2]int64{at, dir})
	}
	return gaps, ""
}

// zipMember expands one member.
func (w *walker) zipMember(name string, r io.ReaderAt, f file, depth int) error {
	e := Entry{Name: name + "!" + f.name, Size: f.size, Packed: f.packed, Dir: strings.HasSuffix(f.name, "/")}
	if f.flags&1 != 0 || f.method == 99 {
		e.Encrypted = true
		w.encrypted(e.Name)
		return w.entry(e)
	}
	src := io.NewSectionReader(r, f.data, f.packed)
	var plain io.Reader
	switch f.method {
	case 0:
		plain = src
	case 8:
		plain = flate.NewReader(src)
	case 12:
		plain = bzip2.NewReader(src)
	default:
		w.facts.Foreign = sentence(w.facts.Foreign, fmt.Sprintf("%s (zip method %d)", shown(e.Name), f.method))
		return w.entry(e)
	}
	at := len(w.facts.Entries)
	err := w.member(e, plain, 1, depth)
	switch {
	case errors.Is(err, errBomb) || w.ctx.Err() != nil:
		return err
	case err != nil:
		w.unreadable(e.Name, "it is damaged")
	case w.facts.Entries[at].Size != f.size && f.size >= 0:
		w.unreadable(e.Name, "it does not expand to the size it says")
	}
	return nil
}

// scattered reads the members in a range without help of the directory: because there is
// none to rely on, or because it does not list them (hidden).
func (w *walker) scattered(name string, r io.ReaderAt, in [2]int64, depth int, hidden bool) error {
	const chunk = 1 << 20
	start, stop := in[0], in[1]
	if w.lenient {
		return nil
	}
	buf := make([]byte, min(chunk, max(stop-start, 0)))
	for start < stop {
		n, _ := r.ReadAt(buf[:min(int64(len(buf)), stop-start)], start)
		if n < localLen {
			return nil
		}
		i := bytes.Index(buf[:n], []byte("PK\x03\x04"))
		if i < 0 {
			start += int64(n) - 3
			if n < len(buf) {
				return nil
			}
			continue
		}
		start += int64(i)
		f, ok := loose(r, start, stop)
		if !ok {
			start += 4
			continue
		}
		if hidden {
			w.unreadable(name+"!"+f.name, "the directory does not list it")
		}
		if err := w.zipMember(name, r, f, depth); err != nil {
			return err
		}
		start = max(f.data+f.packed, start+4)
	}
	return nil
}

// loose takes a local header at its word; a member of unknown size reaches to stop.
func loose(r io.ReaderAt, at, stop int64) (f file, ok bool) {
	b := make([]byte, localLen)
	if _, err := r.ReadAt(b, at); err != nil {
		return f, false
	}
	nameLen, extraLen := int64(binary.LittleEndian.Uint16(b[26:])), int64(binary.LittleEndian.Uint16(b[28:]))
	name := make([]byte, min(nameLen, 4096))
	if n, _ := r.ReadAt(name, at+localLen); int64(n) < int64(len(name)) {
		return f, false
	}
	f = file{
		name: string(name), flags: binary.LittleEndian.Uint16(b[6:]), method: binary.LittleEndian.Uint16(b[8:]),
		packed: int64(binary.LittleEndian.Uint32(b[18:])), size: -1,
		offset: at, data: at + localLen + nameLen + extraLen,
	}
	if f.data >= stop {
		return f, false
	}
	if f.packed == 0 || f.packed > stop-f.data {
		f.packed = stop - f.data
	}
	return f, true
}
