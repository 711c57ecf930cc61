// Package file says what a file is: by the endings of its name, by the type the message declares
// for it, and by its content, and whether these agree.
package file

import (
	"strings"

	"postern/internal/archive/kind"
)

// Class is what a file does to who opens it. As a word it stands in the policies' lists of types.
type Class string

// The classes.
const (
	Program  Class = "program"    // runs by itself
	Script   Class = "script"     // is run by what every Windows has
	Code     Class = "code"       // is run where an interpreter was installed
	Shortcut Class = "shortcut"   // leads to a command or a place
	Disk     Class = "disk-image" // is mounted, and what is in it loses its mark of having come by mail
	Page     Class = "page"       // is opened by a browser, from the reader's own disk
	Note     Class = "onenote"
	Office   Class = "office"
	Macro    Class = "macro" // office files that may hold macros, and those that do
	PDF      Class = "pdf"
	Archive  Class = "archive"
	Picture  Class = "picture"
	Media    Class = "media" // sound and film
	Text     Class = "text"
	Unknown  Class = ""
)

// Classes are all classes a policy can name.
func Classes() []Class {
	return []Class{Program, Script, Code, Shortcut, Disk, Page, Note, Office, Macro, PDF, Archive, Picture, Media, Text}
}

// Runs reports whether opening a file of the class can run what its author wrote.
func (c Class) Runs() bool {
	return c == Program || c == Script || c == Shortcut
}

// Harmless reports whether readers expect nothing worse than something to look at.
func (c Class) Harmless() bool {
	return c == Picture || c == Media || c == Text || c == PDF || c == Office
}

// endings are the classes of names, by their last ending.
var endings = byEnding(map[Class]string{
	Program: "exe scr pif com cpl msi msp mst jar dll sys ocx drv msc appx appxbundle msix msixbundle application appref-ms gadget xll apk " +
		"ade adp mde hlp chm xbap jnlp elf app pkg deb rpm",
	Script:   "js jse vbs vbe vb ws wsf wsh wsc sct hta ps1 ps1xml ps2 psc1 psm1 bat cmd reg inf ins isp scpt",
	Code:     "py pyw pyc pyz sh bash csh zsh command pl rb php php5 lua",
	Shortcut: "lnk url scf website library-ms search-ms searchconnector-ms settingcontent-ms desktop webloc inetloc fileloc theme themepack",
	Disk:     "iso img vhd vhdx udf daa dmg nrg wim",
	Page:     "htm html shtml shtm xht xhtml svg svgz mht mhtml",
	Note:     "one onepkg onetoc2",
	Office:   "doc docx dot dotx xls xlsx xlt xltx xlsb ppt pptx pps ppsx pot potx rtf odt ods odp odg epub pages numbers key pub vsd vsdx mdb accdb slk iqy",
	Macro:    "docm dotm xlsm xltm xlam pptm potm ppam ppsm sldm",
	PDF:      "pdf",
	Archive:  "zip rar 7z gz tgz bz2 tbz tbz2 xz txz zst lz lzma lzh lha z tar cab arj ace uue zipx alz egg r00 r01 r02 cpio",
	Picture:  "jpg jpeg jpe jfif png gif bmp tif tiff webp ico heic heif",
	Media:    "mp3 wav ogg flac m4a wma mp4 m4v avi mov wmv mpg mpeg mkv webm",
	Text:     "txt text log csv tsv md rst asc diff patch eml ics vcf xml json yaml yml ini cfg conf c h cpp hpp java go rs tex sig",
})

func byEnding(lists map[Class]string) map[string]Class {
	out := map[string]Class{}
	for class, list := range lists {
		for ending := range strings.FieldsSeq(list) {
			out[ending] = class
		}
	}
	return out
}

// odd are archives that honest people have not sent for years, and scanners often cannot open.
var odd = map[string]bool{"ace": true, "arj": true, "cab": true, "lzh": true, "lha": true, "uue": true, "lz": true, "zipx": true, "alz": true, "egg": true}

// contents are the classes of kinds that the content tells.
var contents = map[string]Class{
	kind.PE: Program, kind.ELF: Program, kind.MachO: Program, kind.Class: Program, kind.Dex: Program, kind.CHM: Program,
	kind.HTA: Script, kind.Encoded: Script, kind.WSF: Script, kind.Batch: Script, kind.Shebang: Code,
	kind.LNK: Shortcut, kind.URLFile: Shortcut, kind.Library: Shortcut, kind.Desktop: Shortcut,
	kind.ISO: Disk, kind.UDF: Disk, kind.VHD: Disk, kind.VHDX: Disk, kind.DMG: Disk, kind.WIM: Disk, kind.Raw: Disk,
	kind.HTML: Page, kind.SVG: Page, kind.OneNote: Note, kind.PDF: PDF, kind.RTF: Office, kind.OLE: Office,
	kind.JPEG: Picture, kind.PNG: Picture, kind.GIF: Picture, kind.BMP: Picture, kind.TIFF: Picture, kind.WebP: Picture,
	kind.MP3: Media, kind.MP4: Media, kind.WAV: Media,
	"zip": Archive, "rar": Archive, "7z": Archive, "gzip": Archive, "bzip2": Archive, "xz": Archive, "zstd": Archive, "tar": Archive,
	"cab": Archive, "arj": Archive, "ace": Archive, "lha": Archive, "compress": Archive, "lzip": Archive, "alz": Archive, "egg": Archive,
}

// declared is the class that a media type names.
func declared(mediaType string) Class {
	switch top, sub, _ := strings.Cut(mediaType, "/"); {
	case mediaType == "image/svg+xml" || mediaType == "text/html" || mediaType == "application/xhtml+xml":
		return Page
	case top == "image":
		return Picture
	case top == "audio" || top == "video":
		return Media
	case mediaType == "application/pdf":
		return PDF
	case mediaType == "text/plain" || mediaType == "text/csv":
		return Text
	case sub == "msword" || strings.HasPrefix(sub, "vnd.ms-") || strings.HasPrefix(sub, "vnd.openxmlformats-"):
		return Office
	}
	return Unknown
}
