package kind

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// The kinds of files that File tells by content, beside those of Detect.
const (
	PE      = "pe"      // a program for Windows
	ELF     = "elf"     // a program for Linux and others
	MachO   = "macho"   // a program for macOS
	Class   = "class"   // a program for Java
	Dex     = "dex"     // a program for Android
	CHM     = "chm"     // compiled help, which runs scripts
	HTA     = "hta"     // a page that runs as a program
	Encoded = "jse"     // a script in Microsoft's encoding
	WSF     = "wsf"     // a Windows script file
	Batch   = "bat"     // commands for Windows
	Shebang = "shebang" // a script that names its interpreter
	LNK     = "lnk"     // a shortcut of Windows
	URLFile = "url"     // a shortcut to an address
	Library = "library" // a library or search of Windows, which leads to shares
	Desktop = "desktop" // a shortcut of Linux desktops
	HTML    = "html"
	SVG     = "svg"
	PDF     = "pdf"
	RTF     = "rtf"
	OLE     = "ole" // also MSI and Outlook's messages
	ISO     = "iso"
	UDF     = "udf"
	VHD     = "vhd"
	VHDX    = "vhdx"
	DMG     = "dmg"
	WIM     = "wim"
	Raw     = "raw" // a disk or a part of one, byte by byte, as .img files are
	OneNote = "onenote"
	JPEG    = "jpeg"
	PNG     = "png"
	GIF     = "gif"
	BMP     = "bmp"
	TIFF    = "tiff"
	WebP    = "webp"
	MP3     = "mp3"
	MP4     = "mp4"
	WAV     = "wav"
)

// begins are the files that one beginning tells for certain.
var begins = []struct{ kind, magic string }{
	{ELF, "\x7fELF"}, {MachO, "\xfe\xed\xfa\xce"}, {MachO, "\xfe\xed\xfa\xcf"}, {MachO, "\xce\xfa\xed\xfe"}, {MachO, "\xcf\xfa\xed\xfe"},
	{Dex, "dex\n03"}, {CHM, "ITSF\x03\x00\x00\x00"}, {Encoded, "#@~^"}, {LNK, "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F"},
	{RTF, `{\rt`}, {VHDX, "vhdxfile"}, {VHD, "conectix"}, {WIM, "MSWIM\x00\x00\x00"},
	{OneNote, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"},
	{JPEG, "\xff\xd8\xff"}, {PNG, "\x89PNG\r\n\x1a\n"}, {GIF, "GIF87a"}, {GIF, "GIF89a"}, {TIFF, "II*\x00"}, {TIFF, "MM\x00*"}, {MP3, "ID3"},
}

// The places of the marks of disk images: ISO 9660 (ECMA-119 section 8.1) and UDF (ECMA-167
// part 2) begin their descriptors at sector 16; a fixed VHD and a DMG end in theirs.
const (
	isoAt  = 16 * 2048
	isoEnd = isoAt + 8*2048
	footer = 512
)

// File names what a file is by its content: a kind of Detect or one of the constants, "" where
// nothing tells. The first 64 kB are enough for all but images of disks that say it at the end.
func File(data []byte) string {
	for _, m := range begins {
		if bytes.HasPrefix(data, []byte(m.magic)) {
			return m.kind
		}
	}
	switch {
	case pe(data):
		return PE
	case bytes.HasPrefix(data, []byte("\xca\xfe\xba\xbe")) && len(data) >= 8:
		if binary.BigEndian.Uint32(data[4:]) < 20 { // a handful of architectures, or the version of a class
			return MachO
		}
		return Class
	case bytes.HasPrefix(data, []byte("BM")) && len(data) > 14 && binary.LittleEndian.Uint32(data[6:]) == 0:
		return BMP
	case len(data) > 12 && bytes.HasPrefix(data, []byte("RIFF")):
		return map[string]string{"WEBP": WebP, "WAVE": WAV}[string(data[8:12])]
	case len(data) > 12 && string(data[4:8]) == "ftyp":
		return MP4
	}
	if k := Detect(data[:min(len(data), Head)]); k != "" {
		return k
	}
	// Readers look for the mark of a PDF in the first kilobyte.
	if bytes.Contains(data[:min(len(data), Head)], []byte("%PDF-")) && text(data[:min(len(data), 16)]) == "" {
		return PDF
	}
	if k := image(data); k != "" {
		return k
	}
	return text(data)
}

// pe reports a program for Windows or DOS. Two letters begin many texts: a header that leads to
// a second one, or bytes that no text has, must follow.
func pe(data []byte) bool {
	if len(data) < 0x40 || !bytes.HasPrefix(data, []byte("MZ")) {
		return false
	}
	at := binary.LittleEndian.Uint32(data[0x3c:])
	if uint64(at)+4 <= uint64(len(data)) && slices.Contains([]string{"PE", "NE", "LE", "LX"}, string(data[at:at+2])) {
		return true
	}
	return bytes.IndexByte(data[:0x40], 0) >= 0
}

// image tells disk images.
func image(data []byte) string {
	for at := isoAt; at < isoEnd && at+6 <= len(data); at += 2048 {
		switch string(data[at+1 : at+6]) {
		case "CD001":
			return ISO
		case "NSR02", "NSR03", "BEA01":
			return UDF
		}
	}
	if sectors(data) {
		return Raw
	}
	if len(data) > footer {
		switch end := data[len(data)-footer:]; {
		case bytes.HasPrefix(end, []byte("conectix")):
			return VHD
		case bytes.HasPrefix(end, []byte("koly")):
			return DMG
		}
	}
	return ""
}

// sectors tells a disk by its first sector: a file system of Windows, or a table of partitions.
func sectors(data []byte) bool {
	const table, each = 446, 16
	if len(data) < 2*footer || data[510] != 0x55 || data[511] != 0xaa {
		return false
	}
	name := string(data[3:11])
	if name == "NTFS    " || name == "EXFAT   " || string(data[54:57]) == "FAT" || string(data[82:87]) == "FAT32" || string(data[512:520]) == "EFI PART" {
		return true
	}
	parts := 0
	for at := table; at < 510; at += each {
		p := data[at : at+each]
		if p[0]&0x7f != 0 {
			return false
		}
		if p[4] != 0 && binary.LittleEndian.Uint32(p[8:]) != 0 && binary.LittleEndian.Uint32(p[12:]) != 0 {
			parts++
		} else if !bytes.Equal(p, make([]byte, each)) {
			return false
		}
	}
	return parts > 0
}

// textHead is how much of a text is looked at to tell what it is.
const textHead = 4096

// text tells files that are text.
func text(data []byte) string {
	head := bytes.ToLower(narrow(data[:min(len(data), textHead)]))
	head = bytes.TrimLeft(head, " \t\r\n\x0b\x0c\x00")
	if k := page(head); k != "" {
		return k
	}
	for _, m := range []struct{ kind, mark string }{
		{Shebang, "#!"}, {Batch, "@echo off"}, {Batch, "@powershell"}, {Batch, "@if "}, {Batch, "echo off\r\n"},
		{WSF, "<job"}, {WSF, "<package"}, {URLFile, "[internetshortcut]"}, {URLFile, "[{000214a0-0000-0000-c000-000000000046}]"},
		{Desktop, "[desktop entry]"},
	} {
		if bytes.HasPrefix(head, []byte(m.mark)) && (m.kind != WSF || bytes.Contains(head, []byte("<script"))) {
			return m.kind
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte("<?xml")) && (bytes.Contains(head, []byte("<librarydescription")) || bytes.Contains(head, []byte("<persistedquery"))):
		return Library
	case bytes.HasPrefix(head, []byte("<?xml")) && bytes.Contains(head, []byte("<job")) && bytes.Contains(head, []byte("<script")):
		return WSF
	}
	return ""
}

// page tells pages; a comment or declaration may stand first.
func page(head []byte) string {
	for range 20 {
		switch {
		case bytes.HasPrefix(head, []byte("<!--")):
			_, rest, closed := bytes.Cut(head, []byte("-->"))
			if !closed {
				return ""
			}
			head = bytes.TrimLeft(rest, " \t\r\n")
			continue
		case bytes.HasPrefix(head, []byte("<?xml")):
			_, rest, closed := bytes.Cut(head, []byte("?>"))
			if !closed {
				return ""
			}
			head = bytes.TrimLeft(rest, " \t\r\n")
			continue
		}
		break
	}
	for _, tag := range []string{"<!doctype html", "<html", "<head", "<body", "<script", "<title", "<meta", "<iframe", "<!doctype svg", "<svg", "<hta:application"} {
		if !bytes.HasPrefix(head, []byte(tag)) {
			continue
		}
		switch {
		case bytes.Contains(head, []byte("<hta:application")):
			return HTA
		case tag == "<svg" || tag == "<!doctype svg":
			return SVG
		}
		return HTML
	}
	return ""
}

// narrow makes UTF-16 with a mark, as Windows writes it, readable as ASCII and takes a UTF-8
// mark away.
func narrow(b []byte) []byte {
	if bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
		return b[3:]
	}
	var at int
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		at = 2
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		at = 3
	default:
		return b
	}
	out := make([]byte, 0, len(b)/2)
	for ; at < len(b); at += 2 {
		out = append(out, b[at])
	}
	return out
}

// The classes of an installer's root and of a patch's ([MS-CFB] section 2.6.1).
const (
	installer = "\x84\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"
	patch     = "\x86\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"
)

// Installer reports whether an OLE file, whose kind is OLE, is a package that Windows installs.
func Installer(data []byte) bool {
	const header, rootClass = 512, 80
	if len(data) < header {
		return false
	}
	shift := binary.LittleEndian.Uint16(data[30:])
	if shift != 9 && shift != 12 {
		return false
	}
	at := (uint64(binary.LittleEndian.Uint32(data[48:])) + 1) << shift
	if at+rootClass+16 > uint64(len(data)) {
		return false
	}
	class := string(data[at+rootClass : at+rootClass+16])
	return class == installer || class == patch
}
