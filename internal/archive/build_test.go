package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"
)

// content is one member to be written.
type content struct {
	name string
	data []byte
}

// zipped writes an ordinary zip, deflated, with data descriptors as most programs do.
func zipped(t testing.TB, list ...content) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, c := range list {
		w, err := z.Create(c.name)
		if err == nil {
			_, err = w.Write(c.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func tarred(t testing.TB, list ...content) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, c := range list {
		h := &tar.Header{Name: c.name, Size: int64(len(c.data)), Mode: 0o644, Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(c.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func deflated(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return buf.Bytes()
}

// raw is one member of a handmade zip; what the directory says may differ from what the
// member says.
type raw struct {
	name, dirName     string
	method, dirMethod uint16
	flags, dirFlags   uint16
	packed            []byte
	size, dirSize     uint32
	csize, dirCsize   uint32
	offset            int // of the member's own header if it is not written, -1 = write one
	dirExtra, extra   []byte
	hidden            bool
}

// plainRaw is a deflated member without any lie.
func plainRaw(t testing.TB, name string, data []byte) raw {
	p := deflated(t, data)
	return raw{name: name, dirName: name, method: 8, dirMethod: 8, packed: p, size: uint32(len(data)), dirSize: uint32(len(data)),
		csize: uint32(len(p)), dirCsize: uint32(len(p)), offset: -1}
}

// handmade writes members and directory as told.
func handmade(list ...raw) []byte {
	var out, dir bytes.Buffer
	le := binary.LittleEndian
	count := 0
	for _, m := range list {
		at := out.Len()
		if m.offset >= 0 {
			at = m.offset
		} else {
			h := make([]byte, 30)
			le.PutUint32(h, 0x04034b50)
			le.PutUint16(h[4:], 20)
			le.PutUint16(h[6:], m.flags)
			le.PutUint16(h[8:], m.method)
			le.PutUint32(h[14:], crc32.ChecksumIEEE(m.packed))
			le.PutUint32(h[18:], m.csize)
			le.PutUint32(h[22:], m.size)
			le.PutUint16(h[26:], uint16(len(m.name)))
			le.PutUint16(h[28:], uint16(len(m.extra)))
			out.Write(h)
			out.WriteString(m.name)
			out.Write(m.extra)
			out.Write(m.packed)
		}
		if m.hidden {
			continue
		}
		count++
		d := make([]byte, 46)
		le.PutUint32(d, 0x02014b50)
		le.PutUint16(d[8:], m.dirFlags)
		le.PutUint16(d[10:], m.dirMethod)
		le.PutUint32(d[20:], m.dirCsize)
		le.PutUint32(d[24:], m.dirSize)
		le.PutUint16(d[28:], uint16(len(m.dirName)))
		le.PutUint16(d[30:], uint16(len(m.dirExtra)))
		le.PutUint32(d[42:], uint32(at))
		dir.Write(d)
		dir.WriteString(m.dirName)
		dir.Write(m.dirExtra)
	}
	start := out.Len()
	out.Write(dir.Bytes())
	e := make([]byte, 22)
	le.PutUint32(e, 0x06054b50)
	le.PutUint16(e[8:], uint16(count))
	le.PutUint16(e[10:], uint16(count))
	le.PutUint32(e[12:], uint32(dir.Len()))
	le.PutUint32(e[16:], uint32(start))
	out.Write(e)
	return out.Bytes()
}

// overlapping is a zip whose directory names one member many times.
func overlapping(t testing.TB, n int) []byte {
	first := plainRaw(t, "kernel", make([]byte, 1<<20))
	list := []raw{first}
	for i := range n {
		m := first
		m.name, m.dirName, m.offset = "kernel", fmt.Sprintf("m%d", i), 0
		list = append(list, m)
	}
	return handmade(list...)
}
