package conformance

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"strings"

	"postern/internal/mailtest/samples"
)

// hostileArchive is one file and the symbols it must fire.
type hostileArchive struct {
	file string
	data []byte
	want string
}

// archivesOfH are the archives of group H-G.
func archivesOfH() map[string]hostileArchive {
	zeros := packed(samples.Member{Name: "zeros", Data: make([]byte, 8<<20)})
	inner := samples.Zip(samples.Text("a.txt", "hello"))
	for range 8 {
		inner = samples.Zip(samples.Member{Name: "in.zip", Data: inner})
	}
	plain := packed(samples.Text("a.txt", strings.Repeat("hello ", 100)))
	return map[string]hostileArchive{
		"G01 zips in zips":           {"a.zip", inner, "ARCHIVE_BOMB UNSCANNABLE ARCHIVE_NESTED"},
		"G02 one member, many names": {"a.zip", overlapping(plain), "ARCHIVE_BOMB UNSCANNABLE"},
		"G03 each quotes the next":   {"a.zip", quoted(300), "ARCHIVE_BOMB UNSCANNABLE"},
		"G03 the same in a rar":      {"a.rar", samples.RAR(samples.Packing{}, samples.Member{Name: "a.zip", Data: quoted(300)}), "ARCHIVE_BOMB UNSCANNABLE ARCHIVE_NESTED"},
		"G04 ratio of a zip":         {"a.zip", zeros, "ARCHIVE_BOMB UNSCANNABLE"},
		"G04 ratio of a gzip":        {"a.gz", gzipped(make([]byte, 8<<20)), "ARCHIVE_BOMB UNSCANNABLE"},
		"G05 another name inside":    {"a.zip", bytes.Replace(plain, []byte("a.txt"), []byte("b.exe"), 1), "ARCHIVE_BROKEN UNSCANNABLE"},
		"G05 sizes of zero":          {"a.zip", zeroed(plain), "ARCHIVE_BROKEN UNSCANNABLE"},
		"G06 very many members":      {"a.zip", crowd(5000), "ARCHIVE_BOMB UNSCANNABLE"},
		"G07 RAR that asks for 4 GB": {"a.rar", samples.RAR(samples.Packing{Method: 3, Dictionary: 15, Size: 90 << 20}, samples.Text("a.txt", "x")), "ARCHIVE_BOMB UNSCANNABLE"},
		"G07 7z that asks for 4 GB":  {"a.7z", greedy(), "ARCHIVE_BOMB UNSCANNABLE"},
		"G08 sparse tar":             {"a.tar", sparse(), "ARCHIVE_BROKEN UNSCANNABLE"},
		"G09 links and ways out":     {"a.tar", links(), "FILE_PROGRAM"},
		"G10 names as commands":      {"a.zip", samples.Zip(samples.Text("`id`|x\n.exe", "MZ")), "FILE_PROGRAM"},
		"G11 a format of numbers":    {"a.xlsx", samples.Zip(samples.Text("[Content_Types].xml", ""), samples.Text("xl/styles.xml", `<numFmt formatCode="[=0]system(&quot;id&quot;)"/>`)), ""},
		"G12 junk before a zip":      {"a.zip", append([]byte("junk junk junk "), samples.Zip(samples.Member{Name: "a.exe", Data: samples.PE()})...), "FILE_PROGRAM"},
		"G12 PDF and zip":            {"a.pdf", append(samples.PDF("<</S /Launch>>"), samples.Zip(samples.Member{Name: "a.exe", Data: samples.PE()})...), "FILE_PDF_LAUNCH FILE_PROGRAM"},
		"G12 picture and zip":        {"a.gif", append([]byte("GIF89a"), samples.Zip(samples.Member{Name: "a.js", Data: []byte("x")})...), "FILE_SCRIPT"},
		"G13 password":               {"a.zip", samples.Locked(plain), "ENCRYPTED"},
		"G13 password of a 7z":       {"a.7z", samples.Seven(samples.Packing{Locked: true}, samples.Member{Name: "a.exe"}), "ENCRYPTED FILE_PROGRAM"},
		"G14 what is in an ISO":      {"a.iso", samples.Disk(samples.Member{Name: "sub/a.lnk", Data: samples.LNK()}), "FILE_DISK_IMAGE FILE_SHORTCUT"},
		"G14 ISO":                    {"a.txt", samples.ISO(), "FILE_DISK_IMAGE FILE_DISGUISED"},
		"G14 VHD":                    {"a.dat", append([]byte("conectix"), make([]byte, 600)...), "FILE_DISK_IMAGE"},
		"G14 LNK":                    {"a", samples.LNK(), "FILE_SHORTCUT"},
		"G14 OneNote":                {"a.doc", samples.OneNote(samples.PE()), "FILE_ONENOTE FILE_PACKED_PROGRAM FILE_MISMATCH"},
	}
}

// packed is a zip of deflated members.
func packed(members ...samples.Member) []byte {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, m := range members {
		if w, err := z.CreateHeader(&zip.FileHeader{Name: m.Name, Method: zip.Deflate}); err == nil {
			w.Write(m.Data)
		}
	}
	z.Close()
	return buf.Bytes()
}

func gzipped(data []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(data)
	z.Close()
	return buf.Bytes()
}

// directory cuts a zip into its members, its directory and its end.
func directory(b []byte) (members, dir, end []byte) {
	at := bytes.LastIndex(b, []byte("PK\x05\x06"))
	start := binary.LittleEndian.Uint32(b[at+16:])
	return b[:start], b[start:at], bytes.Clone(b[at:])
}

// overlapping lists the one member of a zip many times.
func overlapping(b []byte) []byte {
	members, dir, end := directory(b)
	const times = 50
	binary.LittleEndian.PutUint16(end[8:], times)
	binary.LittleEndian.PutUint16(end[10:], times)
	binary.LittleEndian.PutUint32(end[12:], uint32(times*len(dir)))
	return append(append(bytes.Clone(members), bytes.Repeat(dir, times)...), end...)
}

// quoted is a zip whose members overlap although each begins where it should: what a member holds
// is, in blocks that are not compressed, the headers of all that follow, and then what they share.
func quoted(n int) []byte {
	shared, dir, _ := directory(packed(samples.Member{Name: "0000", Data: make([]byte, 4<<20)}))
	const header = 30 + 4
	data, size := shared[header:len(shared)-16], uint64(4<<20) // behind it stands a descriptor
	var headers, entries [][]byte
	for i := range n {
		name := fmt.Sprintf("%04d", i)
		h := bytes.Clone(shared[:header])
		binary.LittleEndian.PutUint16(h[6:], 0)
		binary.LittleEndian.PutUint32(h[18:], uint32(len(data)))
		binary.LittleEndian.PutUint32(h[22:], uint32(size))
		copy(h[30:], name)
		e := bytes.Clone(dir)
		binary.LittleEndian.PutUint16(e[8:], 0)
		binary.LittleEndian.PutUint32(e[20:], uint32(len(data)))
		binary.LittleEndian.PutUint32(e[24:], uint32(size))
		copy(e[46:], name)
		headers, entries = append(headers, h), append(entries, e)
		data = append([]byte{0, header, 0, 0xff - header, 0xff}, append(bytes.Clone(h), data...)...)
		size += header
	}
	var out bytes.Buffer
	at := make([]int, n)
	for i := n - 1; i >= 0; i-- {
		at[i] = out.Len()
		out.Write(headers[i])
		if i > 0 {
			out.Write([]byte{0, header, 0, 0xff - header, 0xff})
		}
	}
	out.Write(shared[header : len(shared)-16])
	start := out.Len()
	for i := n - 1; i >= 0; i-- {
		binary.LittleEndian.PutUint32(entries[i][42:], uint32(at[i]))
		out.Write(entries[i])
	}
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[8:], uint16(n))
	binary.LittleEndian.PutUint16(end[10:], uint16(n))
	binary.LittleEndian.PutUint32(end[12:], uint32(out.Len()-start))
	binary.LittleEndian.PutUint32(end[16:], uint32(start))
	return append(out.Bytes(), end...)
}

// greedy is a 7z that asks for the largest dictionary and says that it can use 90 MB of it.
func greedy() []byte {
	coder := []byte{0x23, 3, 1, 1, 5, 0x5d, 0xff, 0xff, 0xff, 0xff}
	return samples.Seven(samples.Packing{Coder: coder, Streams: [][]byte{make([]byte, 1<<20)}, Size: 90 << 20}, samples.Text("a.txt", ""))
}

// zeroed says in the directory that the member has no bytes.
func zeroed(b []byte) []byte {
	members, dir, end := directory(b)
	dir = bytes.Clone(dir)
	binary.LittleEndian.PutUint32(dir[20:], 0)
	binary.LittleEndian.PutUint32(dir[24:], 0)
	return append(append(bytes.Clone(members), dir...), end...)
}

func crowd(n int) []byte {
	var members []samples.Member
	for i := range n {
		members = append(members, samples.Text(fmt.Sprint(i), ""))
	}
	return samples.Zip(members...)
}

// sparse is a tar whose member is one of holes.
func sparse() []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	w.WriteHeader(&tar.Header{Name: "a", Size: 0, Mode: 0o644, Format: tar.FormatGNU})
	w.Close()
	b := buf.Bytes()
	b[156] = tar.TypeGNUSparse
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// links is a tar of links that lead out of it, devices, and a program on such a way.
func links() []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range []*tar.Header{
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: "../../etc/shadow"},
		{Name: "device", Typeflag: tar.TypeBlock, Devmajor: 8},
		{Name: "../../../link/a.exe", Typeflag: tar.TypeReg, Size: 256, Mode: 0o777},
	} {
		w.WriteHeader(h)
	}
	w.Write(samples.PE())
	w.Close()
	return buf.Bytes()
}
