package attach

import (
	"strings"

	"postern/filter"
	"postern/filter/attach/file"
	"postern/filter/attach/office"
	"postern/filter/attach/pdf"
	"postern/internal/archive/kind"
	"postern/internal/mime"
)

// The symbols of files, attached or in an archive.
const (
	Type          = "FILE_TYPE"            // a file, with the types by which a policy can name it
	Program       = "FILE_PROGRAM"         // it runs
	Script        = "FILE_SCRIPT"          // it is run by what every Windows has
	Code          = "FILE_CODE"            // a program in source
	Shortcut      = "FILE_SHORTCUT"        // it leads to a command or a place
	DiskImage     = "FILE_DISK_IMAGE"      // it is mounted
	Page          = "FILE_HTML"            // a page
	Smuggling     = "FILE_SMUGGLING"       // a page that builds a file on the reader's machine
	Disguised     = "FILE_DISGUISED"       // it acts, and is dressed as something to look at
	Mismatch      = "FILE_MISMATCH"        // name or declared type and content disagree
	DoubleEnding  = "FILE_DOUBLE_ENDING"   // a harmless ending before the one that counts
	HiddenEnding  = "FILE_HIDDEN_ENDING"   // blanks or marks of direction hide the ending
	OddArchive    = "FILE_ODD_ARCHIVE"     // an archive of a rare kind
	Notebook      = "FILE_ONENOTE"         // a notebook with files in it
	Macro         = "FILE_MACRO"           // an office file with macros
	MacroAuto     = "FILE_MACRO_AUTO"      // one that runs by itself
	MacroSheet    = "FILE_MACRO_SHEET"     // Excel 4 macros
	Remote        = "FILE_REMOTE"          // it loads a template or object from elsewhere
	DDE           = "FILE_DDE"             // a field that starts a program
	Packed        = "FILE_PACKED_PROGRAM"  // an object in an office file that runs
	RichObject    = "FILE_RTF_OBJECT"      // a letter in rich text with an object in it
	RichUpdate    = "FILE_RTF_UPDATE"      // one that is loaded when the letter is opened
	RichEquation  = "FILE_RTF_EQUATION"    // one of the equation editor
	PDFLaunch     = "FILE_PDF_LAUNCH"      // it starts a program
	PDFScript     = "FILE_PDF_SCRIPT"      // JavaScript
	PDFOpens      = "FILE_PDF_OPENS"       // it acts when it is opened
	PDFFiles      = "FILE_PDF_FILES"       // it carries files
	PDFLink       = "FILE_PDF_LINK_ONLY"   // a page that is nothing but a link
	PDFEncrypted  = "FILE_PDF_ENCRYPTED"   // it cannot be looked into
	Many          = "FILE_MANY"            // more attached files than people send
	Cut           = "FILE_LOOK_CUT"        // a file larger or more involved than is looked at
	ArchiveNested = "ARCHIVE_NESTED"       // archives inside an archive
	NestedLocked  = "ARCHIVE_INNER_LOCKED" // one of them needs a password
)

func fileSymbols() []string {
	return []string{
		Type, Program, Script, Code, Shortcut, DiskImage, Page, Smuggling, Disguised, Mismatch, DoubleEnding, HiddenEnding, OddArchive,
		Notebook, Macro, MacroAuto, MacroSheet, Remote, DDE, Packed, RichObject, RichUpdate, RichEquation, PDFLaunch, PDFScript, PDFOpens, PDFFiles, PDFLink, PDFEncrypted,
		Many, Cut, ArchiveNested, NestedLocked,
	}
}

// The limits over all files of one message.
const (
	ManyFiles = 100      // files attached, more of which are told of
	MaxFiles  = 1500     // files looked at, members of archives included
	MaxWork   = 64 << 20 // bytes looked through for what acts
	MaxTypes  = 200      // different types of files of which policies are told
)

// types are the words by which policies name what a symbol says.
var types = map[string]string{
	Smuggling: "smuggling", Disguised: "disguised", DoubleEnding: "disguised", HiddenEnding: "disguised", Macro: "macro", MacroAuto: "auto-macro macro",
	MacroSheet: "auto-macro macro", Remote: "remote", DDE: "dde", Packed: "packed-program", PDFLaunch: "pdf-launch", Encrypted: "encrypted",
	PDFEncrypted: "encrypted", ArchiveNested: "nested", NestedLocked: "nested encrypted",
}

// typed tells of what type a file is, once for each.
func (l *look) typed(name, words string) {
	if l.types == nil {
		l.types = map[string]bool{}
	}
	if words == "" || l.types[words] || len(l.types) >= MaxTypes {
		return
	}
	l.types[words] = true
	l.found = append(l.found, filter.Finding{Symbol: Type, Detail: file.Shown(name), Part: l.part.Path, Types: words})
}

// maxTold bounds how often a symbol is told, each time of another file.
const maxTold = 5

// tell adds a finding of a file.
func (l *look) tell(symbol, name, more string) {
	l.typed(name, types[symbol])
	if l.times == nil {
		l.times = map[string]int{}
	}
	if l.times[symbol]++; l.times[symbol] > maxTold {
		return
	}
	detail := file.Shown(name)
	if more != "" {
		detail += ": " + file.Shown(more)
	}
	l.found = append(l.found, filter.Finding{Symbol: symbol, Detail: detail, Part: l.part.Path})
}

// isFile reports whether a leaf is a file rather than the text of the message: it has a name, it
// says it is attached, or it is no text.
func isFile(p *mime.Part, data []byte) bool {
	if len(data) == 0 {
		return false
	}
	return len(p.FileNames) > 0 || p.Disposition == "attachment" || !strings.HasPrefix(p.MediaType, "text/") && !strings.HasPrefix(p.MediaType, "m")
}

// attached looks at one reading of an attached file.
func (l *look) attached(p *mime.Part, data []byte) {
	names, name := p.FileNames, "part "+p.Path
	if len(names) > 0 {
		name = names[0]
	}
	f := file.Of(names, p.MediaType, data)
	if !l.one(name, f) {
		return
	}
	if l.leaves++; l.leaves == ManyFiles+1 {
		l.tell(Many, name, "")
	}
	if f.Class == file.Page {
		l.tell(Page, name, "")
	}
	if f.Class == file.Script {
		l.tell(Script, name, "")
	}
	l.inside(name, f, data)
}

// one tells what name, type and content of a file show, wherever it lies; false means that
// enough files were looked at.
func (l *look) one(name string, f file.Facts) bool {
	if l.files++; l.files > MaxFiles {
		if l.files == MaxFiles+1 {
			l.tell(Cut, name, "one of very many files")
		}
		return false
	}
	l.typed(name, strings.Join(f.Types(), " "))
	switch f.Class {
	case file.Program:
		l.tell(Program, name, "")
	case file.Code:
		l.tell(Code, name, "")
	case file.Shortcut:
		l.tell(Shortcut, name, "")
	case file.Disk:
		l.tell(DiskImage, name, "")
	}
	switch {
	case f.Disguised():
		l.tell(Disguised, name, string(f.Class)+" as "+string(f.Claims))
	case f.Differs:
		l.tell(Mismatch, name, string(f.Class)+" as "+string(f.Claims))
	}
	if f.Double {
		l.tell(DoubleEnding, name, "")
	}
	if f.Hidden != "" {
		l.tell(HiddenEnding, name, f.Hidden)
	}
	if f.Odd {
		l.tell(OddArchive, name, "")
	}
	return true
}

// inside looks through a file for what acts when it is opened.
func (l *look) inside(name string, f file.Facts, data []byte) {
	if l.work -= int64(len(data)); l.work <= 0 {
		l.tell(Cut, name, "")
		return
	}
	var o office.Facts
	switch f.Kind {
	case kind.HTML, kind.SVG, kind.HTA:
		l.page(name, data)
		return
	case kind.PDF:
		l.pdf(name, data)
		return
	case kind.OLE:
		o.Compound(data)
	case kind.RTF:
		o.Rich(data)
	case kind.OneNote:
		o.Notebook(data)
		l.notebook(name, &o)
	case "":
		if f.Class == file.Page {
			l.page(name, data)
		}
		if f.Ending == "csv" || f.Ending == "slk" || f.Ending == "iqy" {
			o.Table(data)
		}
	}
	l.work -= o.Spent
	l.office(name, &o)
	if f.Class == file.Macro && o.Macro == "" && f.Kind != "zip" {
		l.tell(Macro, name, "")
	}
}

func (l *look) page(name string, data []byte) {
	if how := file.Smuggles(data); how != "" {
		l.tell(Smuggling, name, how)
	}
}

func (l *look) pdf(name string, data []byte) {
	f := pdf.Look(data, l.work)
	l.work -= f.Spent
	for _, x := range []struct {
		is     bool
		symbol string
		more   string
	}{
		{f.Launch, PDFLaunch, ""}, {f.Script, PDFScript, ""}, {f.Opens, PDFOpens, ""}, {f.Embedded, PDFFiles, ""},
		{f.LinkOnly, PDFLink, f.Link}, {f.Encrypted, PDFEncrypted, ""}, {f.Cut, Cut, ""},
	} {
		if x.is {
			l.tell(x.symbol, name, x.more)
		}
	}
}

// office tells what an office file shows.
func (l *look) office(name string, o *office.Facts) {
	for _, x := range []struct{ symbol, what string }{
		{Macro, o.Macro}, {MacroAuto, o.Auto}, {MacroSheet, o.Sheet}, {Remote, o.Remote}, {DDE, o.DDE}, {Encrypted, o.Encrypted},
		{RichObject, o.Object}, {RichUpdate, o.Updates}, {RichEquation, o.Equation},
	} {
		if x.what != "" {
			l.tell(x.symbol, name, x.what)
		}
	}
	for _, p := range o.Packed {
		if f := file.Of(p.Names, "", p.Head); f.Class.Runs() || f.Class == file.Disk || f.Class == file.Page {
			l.tell(Packed, name, strings.Join(p.Names[:min(len(p.Names), 1)], "")+" "+string(f.Class))
		}
	}
	if o.Incomplete {
		l.tell(Cut, name, "")
	}
}

// notebook tells of files in a notebook that are no pictures of its pages.
func (l *look) notebook(name string, o *office.Facts) {
	for _, p := range o.Packed {
		if f := file.Of(nil, "", p.Head); f.Class != file.Picture {
			l.tell(Notebook, name, f.Kind)
			return
		}
	}
}
