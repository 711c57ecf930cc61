package kind_test

import (
	"bytes"
	"strings"
	"testing"

	"postern/internal/archive/kind"
	"postern/internal/mailtest/samples"
)

// Disk images, shortcuts and notebooks are typed by content (H-G14), as programs, pages, pictures
// and scripts are; what only begins alike is not.
func TestFile(t *testing.T) {
	zeros := string(make([]byte, 4096))
	for name, x := range map[string]struct{ data, want string }{
		"program":            {string(samples.PE()), kind.PE},
		"DOS program":        {"MZ\x00\x01" + zeros, kind.PE},
		"initials":           {"MZ, that is Mark Z., wrote " + strings.Repeat("a letter ", 10), ""},
		"Linux":              {"\x7fELF\x02", kind.ELF},
		"macOS":              {"\xcf\xfa\xed\xfe", kind.MachO},
		"macOS, two":         {"\xca\xfe\xba\xbe\x00\x00\x00\x02", kind.MachO},
		"Java":               {"\xca\xfe\xba\xbe\x00\x00\x00\x34", kind.Class},
		"shortcut":           {string(samples.LNK()), kind.LNK},
		"letter L":           {"L\x00\x00\x00 and so on", ""},
		"internet shortcut":  {"[InternetShortcut]\r\nURL=http://a.example/\r\n", kind.URLFile},
		"with a mark":        {"\xef\xbb\xbf[InternetShortcut]\r\n", kind.URLFile},
		"library":            {`<?xml version="1.0"?><libraryDescription xmlns="x">`, kind.Library},
		"Linux shortcut":     {"\n[Desktop Entry]\nExec=x\n", kind.Desktop},
		"ISO":                {string(samples.ISO()), kind.ISO},
		"UDF":                {zeros[:2048] + strings.Repeat(zeros, 7) + zeros[:2048] + "\x00NSR02" + zeros, kind.UDF},
		"nearly an ISO":      {zeros[1:] + strings.Repeat(zeros, 7) + "\x01CD001", ""},
		"VHD":                {"conectix" + zeros, kind.VHD},
		"fixed VHD":          {strings.Repeat(zeros, 10) + "conectix" + zeros[:504], kind.VHD},
		"VHDX":               {"vhdxfile", kind.VHDX},
		"FAT":                {"\xeb\x3c\x90MSDOS5.0" + zeros[:43] + "FAT16   " + zeros[:448] + "\x55\xaa" + zeros, kind.Raw},
		"NTFS":               {"\xeb\x52\x90NTFS    " + zeros[:499] + "\x55\xaa" + zeros, kind.Raw},
		"partitions":         {zeros[:446] + "\x80\x00\x00\x00\x07\x00\x00\x00\x00\x08\x00\x00\x00\x00\x10\x00" + zeros[:48] + "\x55\xaa" + zeros, kind.Raw},
		"an empty table":     {zeros[:510] + "\x55\xaa" + zeros, ""},
		"a table of noise":   {strings.Repeat("\x12", 510) + "\x55\xaa" + zeros, ""},
		"DMG":                {zeros + "koly" + zeros[:508], kind.DMG},
		"notebook":           {string(samples.OneNote()), kind.OneNote},
		"page":               {"\r\n<!DOCTYPE html><p>", kind.HTML},
		"page behind a note": {"<!-- saved from x --><HTML>", kind.HTML},
		"page in UTF-16":     {"\xff\xfe<\x00h\x00t\x00m\x00l\x00>\x00", kind.HTML},
		"big-endian page":    {"\xfe\xff\x00<\x00h\x00t\x00m\x00l\x00>", kind.HTML},
		"drawing":            {`<?xml version="1.0"?><!-- x --><svg xmlns="x">`, kind.SVG},
		"open note":          {"<!-- never closed <html>", ""},
		"HTA":                {"<html><head><HTA:APPLICATION ID=x>", kind.HTA},
		"WSF":                {"<job id=x><script language=VBScript>", kind.WSF},
		"jobs":               {"<jobs><job/></jobs>", ""},
		"encoded":            {"#@~^AAAA==", kind.Encoded},
		"commands":           {"@Echo Off\r\n", kind.Batch},
		"interpreter":        {"#!/bin/sh\n", kind.Shebang},
		"PDF":                {"junk\n%PDF-1.4\n", kind.PDF},
		"page about PDF":     {"<html>%PDF-1.4", kind.HTML},
		"rich text":          {`{\rtf1`, kind.RTF},
		"JPEG":               {"\xff\xd8\xff\xe0", kind.JPEG},
		"BMP":                {"BM\x36\x00\x0c\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28", kind.BMP},
		"initials BM":        {"BMW presents its new car", ""},
		"WebP":               {"RIFF\x00\x00\x00\x00WEBPVP8 ", kind.WebP},
		"MP4":                {"\x00\x00\x00\x18ftypmp42\x00", kind.MP4},
		"zip":                {string(samples.Zip(samples.Text("a", "b"))), "zip"},
		"text":               {"Dear Bob,", ""},
		"nothing":            {"", ""},
	} {
		if got := kind.File([]byte(x.data)); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

func TestInstaller(t *testing.T) {
	class := append([]byte("\x84\x10\x0c\x00\x00\x00\x00\x00\xc0"), make([]byte, 7)...)
	class[15] = 0x46
	if b := samples.Compound(class, samples.Text("x", "y")); !kind.Installer(b) || kind.File(b) != kind.OLE {
		t.Error("an installer is none")
	}
	if kind.Installer(samples.Compound(nil, samples.Text("x", "y"))) || kind.Installer(nil) {
		t.Error("a letter is an installer")
	}
}

func FuzzFile(f *testing.F) {
	f.Add(samples.PE())
	f.Add(samples.ISO())
	f.Add(samples.Compound(nil, samples.Text("x", "y")))
	f.Add([]byte("<!--x--><!--y--><?xml?><svg"))
	f.Add([]byte("MZ" + string(bytes.Repeat([]byte{0xff}, 70))))
	f.Fuzz(func(_ *testing.T, b []byte) {
		kind.File(b)
		kind.Installer(b)
	})
}
