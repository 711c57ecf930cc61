package file

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/internal/archive/kind"
)

// Facts is what is known of one file.
type Facts struct {
	Class   Class  // by content where that tells, else by name
	Kind    string // by content, see kind.File
	Ending  string // of the name, in lower case, without the dot
	Odd     bool   // an archive of a rare kind
	Double  bool   // the name shows a harmless ending before one that runs
	Hidden  string // how the name hides its ending; "" = it does not
	Claims  Class  // what name and declared type make readers expect
	Differs bool   // the content is something else
}

// Disguised reports whether something that acts is dressed as something to look at.
func (f Facts) Disguised() bool {
	if !f.Differs || !f.Claims.Harmless() {
		return false
	}
	switch {
	case f.Class.Runs() || f.Class == Disk:
		return true
	case f.Class == Page: // programs of the web hand out tables and letters that are pages
		return f.Claims == Picture || f.Claims == PDF || f.Claims == Media
	}
	return false
}

// Types are the words by which a policy can name the file: its classes, by name and by content,
// and its ending.
func (f Facts) Types() []string {
	var out []string
	add := func(s string) {
		if s == "" {
			return
		}
		for _, have := range out {
			if have == s {
				return
			}
		}
		out = append(out, s)
	}
	add(string(f.Class))
	add(string(endings[f.Ending]))
	add(f.Ending)
	return out
}

// Of looks at a file: every reading of its name, the media type the message declares ("" = none)
// and its content, of which the beginning is enough for most kinds (see kind.File). Without any
// content it goes by the names.
func Of(names []string, mediaType string, data []byte) Facts {
	var f Facts
	worst := Unknown
	for _, name := range names {
		f.name(name, &worst)
	}
	f.Kind = kind.File(data)
	f.Class = worst
	if f.Kind == kind.OLE && kind.Installer(data) {
		f.Class = Program
	} else if c := contents[f.Kind]; c != Unknown && !sameFamily(c, worst, f.Kind) {
		f.Class = c
	}
	switch f.Kind {
	case "ace", "arj", "lha", "cab", "lzip", "alz", "egg":
		f.Odd = true
	}
	f.compare(mediaType, worst)
	return f
}

// name takes one reading of the name; worst is the class of the worst so far.
func (f *Facts) name(name string, worst *Class) {
	name = strings.ToLower(lastName(name))
	bare := strings.TrimRight(strings.Map(seen, name), ". \t\u00a0")
	ending := strings.TrimPrefix(path.Ext(bare), ".")
	class := endings[ending]
	if class != Unknown && (*worst == Unknown || rank(class) > rank(*worst)) || f.Ending == "" {
		f.Ending = ending
		*worst = class
	}
	f.Odd = f.Odd || odd[ending] || volume(ending)
	stem := strings.TrimRight(strings.TrimSuffix(bare, "."+ending), " ._-\u00a0\t")
	before := endings[strings.TrimPrefix(path.Ext(stem), ".")]
	if class.Runs() || class == Disk {
		f.Double = f.Double || before.Harmless() || before == Page || before == Archive
		if padded(bare) {
			f.Hidden = "blanks push the ending out of sight"
		}
	}
	if reversed(name) && class != Unknown {
		f.Hidden = "marks of direction turn the ending round"
	}
}

// lastName is the name behind the last separator of a path or of an archive's level.
func lastName(name string) string {
	if i := strings.LastIndexAny(name, `/\!`); i >= 0 && i < len(name)-1 {
		return name[i+1:]
	}
	return name
}

// seen leaves out of a name what nobody sees.
func seen(r rune) rune {
	if r < ' ' || r == 0x7f || unicode.Is(unicode.Cf, r) {
		return -1
	}
	return r
}

// volume reports the endings of RAR volumes.
func volume(ending string) bool {
	return len(ending) == 3 && ending[0] == 'r' && ending[1] >= '0' && ending[1] <= '9' && ending[2] >= '0' && ending[2] <= '9'
}

// padded reports a name in which a run of blanks stands before the ending.
func padded(name string) bool {
	const run = 10
	n := 0
	for _, r := range name {
		if r != ' ' && r != '_' && r != '\u00a0' && r != '\u3000' && r != '\u2800' {
			n = 0
			continue
		}
		if n++; n >= run {
			return true
		}
	}
	return false
}

// reversed reports a name with an override of its direction.
func reversed(name string) bool {
	return strings.ContainsAny(name, "\u202e\u202d\u2067\u202b")
}

// rank orders classes by what a wrong guess would cost.
func rank(c Class) int {
	switch {
	case c.Runs():
		return 4
	case c == Disk || c == Macro || c == Note || c == Page:
		return 3
	case c == Archive || c == Office || c == Code:
		return 2
	case c == Unknown:
		return 0
	}
	return 1
}

// sameFamily reports whether a name's class says more than the content does: a letter that is a
// zip is still a letter, and a program for Java is one too.
func sameFamily(content, name Class, k string) bool {
	switch {
	case name == Unknown:
		return false
	case content == Archive:
		zipped := k == "zip" && (name == Office || name == Macro || name == Program || name == Note || name == Page)
		packed := (k == "cab" || k == "xar" || k == "ar") && name == Program || k == "gzip" && name == Page
		return zipped || packed
	case content == Office:
		return name == Macro || k == kind.OLE && (name == Program || name == Picture) // thumbs.db is nobody's picture
	case content == Page:
		return name == Script || name == Code || name == Text // .hta and .php are, .txt and .xml are not opened by browsers
	case content == Code || content == Script:
		return name == Script || name == Code || name == Text
	case content == Shortcut:
		return name == Shortcut || name == Text
	}
	return false
}

// compare holds the content against what readers expect.
func (f *Facts) compare(mediaType string, byName Class) {
	f.Claims = byName
	c := contents[f.Kind]
	if f.Class == Program && c == Office {
		c = Program
	}
	if c == Unknown || f.Kind == "" {
		f.typed(mediaType, byName)
		return
	}
	if byName == Unknown || !f.against(c, byName) {
		if d := declared(mediaType); d != Unknown && byName.agrees(d) && f.against(c, d) {
			f.Claims, f.Differs = d, true
		}
		return
	}
	f.Differs = true
}

// agrees reports whether the declared type is a claim of its own: one beside a name that says
// something else is only wrong.
func (c Class) agrees(d Class) bool {
	return c == Unknown || c == d || c.Runs() && d.Harmless()
}

// typed is for content that says nothing: a name that runs under the type of a picture.
func (f *Facts) typed(mediaType string, byName Class) {
	if d := declared(mediaType); byName.Runs() && (d == Picture || d == Media || d == PDF) {
		f.Claims, f.Differs = d, true
	}
}

// against reports whether content of class c is not what claim says.
func (f *Facts) against(c, claim Class) bool {
	switch {
	case c == claim || sameFamily(c, claim, f.Kind):
		return false
	case claim == Text && !c.Runs() && c != Disk:
		return false // anything may be called text
	case claim == Office && (c == Page || c == Archive && f.Kind == "zip"):
		return false
	case claim == Page && c == Archive, claim == Archive && (c == Office || c == Disk), claim == Disk && c == Archive:
		return false
	case claim == Program && c == Archive || claim == Archive && c == Program: // installers that unpack themselves
		return false
	case claim == Code || claim == Script:
		return c.Runs() && c != claim
	}
	return true
}

// Shown bounds a name for people; its end, with the ending, is what matters.
func Shown(name string) string {
	const most = 80
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || seen(r) < 0 {
			return '?'
		}
		return r
	}, name)
	if len(name) > most {
		name = "..." + strings.ToValidUTF8(name[len(name)-most:], "")
	}
	return name
}
