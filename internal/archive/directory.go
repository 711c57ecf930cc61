package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"postern/internal/archive/zip64"
)

const (
	localSig = 0x04034b50
	dirSig   = 0x02014b50
	endLen   = 22
	end64Len = 56
	localLen = 30
	dirLen   = 46
)

// file is one line of a zip's directory.
type file struct {
	name         string
	flags        uint16
	method       uint16
	packed, size int64
	offset       int64 // of the local header, prefix included
	data         int64 // where the packed bytes begin
}

// end is what the end record of a zip says.
type end struct {
	at      int64 // of the record itself
	entries uint64
	size    int64 // of the directory
	offset  int64 // of the directory, without prefix
	volumes bool
}

// findEnd finds the last end record; ok is false if there is none.
func findEnd(r io.ReaderAt, size int64) (e end, ok bool) {
	const window = endLen + 0xffff
	n := min(size, window)
	buf := make([]byte, n)
	if got, err := r.ReadAt(buf, size-n); int64(got) < n && err != nil {
		return e, false
	}
	for i := len(buf); ; {
		i = bytes.LastIndex(buf[:i], []byte("PK\x05\x06"))
		if i < 0 {
			return e, false
		}
		if len(buf)-i < endLen {
			continue
		}
		b := buf[i:]
		e = end{
			at: size - n + int64(i), entries: uint64(binary.LittleEndian.Uint16(b[10:])),
			size: int64(binary.LittleEndian.Uint32(b[12:])), offset: int64(binary.LittleEndian.Uint32(b[16:])),
			volumes: binary.LittleEndian.Uint16(b[4:]) != 0 || binary.LittleEndian.Uint16(b[6:]) != 0,
		}
		if e.entries == 0xffff || e.size == 0xffffffff || e.offset == 0xffffffff {
			e.wide(r)
		}
		return e, true
	}
}

// wide reads the zip64 end record that stands before an end record.
func (e *end) wide(r io.ReaderAt) {
	loc := make([]byte, 20)
	if _, err := r.ReadAt(loc, e.at-20); err != nil || string(loc[:4]) != "PK\x06\x07" {
		return
	}
	// The record is taken from its place before the locator: the offset in the locator
	// does not know of prefixes.
	b := make([]byte, end64Len)
	if _, err := r.ReadAt(b, e.at-20-end64Len); err != nil || string(b[:4]) != "PK\x06\x06" {
		return
	}
	e.at -= 20 + end64Len
	e.entries = binary.LittleEndian.Uint64(b[32:])
	e.size = int64(binary.LittleEndian.Uint64(b[40:]))
	e.offset = int64(binary.LittleEndian.Uint64(b[48:]))
}

// hasDirectory reports whether a file that begins as something else is also a zip.
func hasDirectory(r io.ReaderAt, size int64) bool {
	e, ok := findEnd(r, size)
	if !ok || e.entries == 0 || e.size < dirLen || e.size > e.at {
		return false
	}
	var sig [4]byte
	_, err := r.ReadAt(sig[:], e.at-e.size)
	return err == nil && binary.LittleEndian.Uint32(sig[:]) == dirSig
}

// errDirectory says in plain words what is wrong with a directory.
type errDirectory string

func (e errDirectory) Error() string { return string(e) }

// directory reads all entries; an error is errDirectory or that of r.
func (w *walker) directory(r io.ReaderAt, e end) ([]file, error) {
	if e.size < 0 || e.size > e.at || e.offset < 0 {
		return nil, errDirectory("its directory lies outside the file")
	}
	if e.entries > uint64(w.lim.Entries) || e.size > int64(w.lim.Entries)*(dirLen+3*0xffff) {
		return nil, w.bomb("its directory lists more members than are read")
	}
	start := e.at - e.size
	prefix := start - e.offset
	if prefix < 0 {
		return nil, errDirectory("its directory lies outside the file")
	}
	b := make([]byte, e.size)
	if _, err := r.ReadAt(b, start); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var files []file
	for len(b) >= dirLen && binary.LittleEndian.Uint32(b) == dirSig {
		if len(files) >= w.lim.Entries {
			return nil, w.bomb("its directory lists more members than are read")
		}
		f, n, ok := dirEntry(b)
		if !ok {
			return nil, errDirectory("its directory is damaged")
		}
		f.offset += prefix
		files = append(files, f)
		b = b[n:]
	}
	if uint64(len(files)) != e.entries {
		return nil, errDirectory("its directory does not hold as many members as it says")
	}
	return files, nil
}

func dirEntry(b []byte) (f file, n int, ok bool) {
	nameLen, extraLen := int(binary.LittleEndian.Uint16(b[28:])), int(binary.LittleEndian.Uint16(b[30:]))
	n = dirLen + nameLen + extraLen + int(binary.LittleEndian.Uint16(b[32:]))
	if n > len(b) {
		return f, 0, false
	}
	f = file{
		name:  string(b[dirLen : dirLen+nameLen]),
		flags: binary.LittleEndian.Uint16(b[8:]), method: binary.LittleEndian.Uint16(b[10:]),
		packed: int64(binary.LittleEndian.Uint32(b[20:])), size: int64(binary.LittleEndian.Uint32(b[24:])),
		offset: int64(binary.LittleEndian.Uint32(b[42:])),
	}
	ok = zip64.Fill(b[dirLen+nameLen:dirLen+nameLen+extraLen], &f.size, &f.packed, &f.offset)
	return f, n, ok && f.size >= 0 && f.packed >= 0 && f.offset >= 0
}
