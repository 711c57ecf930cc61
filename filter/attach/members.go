package attach

import (
	"maps"
	"slices"
	"strings"

	"postern/filter/attach/file"
	"postern/filter/attach/office"
	"postern/internal/archive"
)

// fewMembers is up to how many files an archive is a wrapping around a script rather than a
// collection that has scripts in it.
const fewMembers = 10

// members looks at what an archive holds, and at the archives in it.
type members struct {
	l       *look
	seen    map[string]bool
	parcels map[string]*office.Facts // by the name of the archive: those that are office files
	scripts []string
}

// outer is the name of the archive that a member lies in, inner its name there.
func outer(name string) (archive, inner string) {
	i := strings.LastIndexByte(name, '!')
	return name[:max(i, 0)], name[i+1:]
}

// visit takes a member that could be expanded.
func (m *members) visit(e archive.Entry, head []byte) {
	m.seen[e.Name] = true
	in, inner := outer(e.Name)
	m.parcel(in, inner, head)
	m.member(e.Name, head)
}

// member judges one member; the parts of a document are no files to its reader unless they run.
func (m *members) member(name string, head []byte) {
	in, inner := outer(name)
	f := file.Of([]string{inner}, "", head)
	if (m.parcels[in] != nil || !collection(in)) && !f.Class.Runs() || !m.l.one(name, f) {
		return
	}
	if f.Class == file.Script {
		m.scripts = append(m.scripts, name)
	}
	if head != nil {
		m.l.inside(name, f, head)
	}
}

// parcel takes the members of an office file.
func (m *members) parcel(in, inner string, head []byte) {
	o := m.parcels[in]
	if o == nil {
		if inner != "[Content_Types].xml" && !strings.HasPrefix(inner, "_rels/") && !strings.HasPrefix(inner, "word/") &&
			!strings.HasPrefix(inner, "xl/") && !strings.HasPrefix(inner, "ppt/") {
			return
		}
		o = &office.Facts{}
		m.parcels[in] = o
	}
	if m.l.work -= int64(len(head)); m.l.work > 0 {
		o.Member(inner, head)
	}
}

// collection reports whether an archive is one to its reader, and not a document that happens to
// be stored as one.
func collection(name string) bool {
	_, last := outer(name)
	f := file.Of([]string{last}, "", nil)
	return f.Class == file.Archive || f.Class == file.Disk || f.Class == file.Unknown || f.Class.Runs() || f.Class == file.Picture || f.Class == file.Media || f.Class == file.PDF || f.Class == file.Text
}

// rest tells what only the whole shows, and judges by their names the members that could not be
// expanded.
func (m *members) rest(f archive.Facts) {
	count := map[string]int{}
	for _, e := range f.Entries {
		in, _ := outer(e.Name)
		count[in]++
		if !m.seen[e.Name] && !e.Dir {
			m.member(e.Name, nil)
		}
	}
	for _, name := range m.scripts {
		if in, _ := outer(name); count[in] <= fewMembers && !strings.Contains(strings.ToLower(in), ".tar") {
			m.l.tell(Script, name, "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.parcels)) {
		o := m.parcels[name]
		m.l.work -= o.Spent
		m.l.office(name, o)
	}
	m.nested(f)
}

// nested tells of archives in an archive, and of those that need a password.
func (m *members) nested(f archive.Facts) {
	var inner []string
	for _, e := range slices.Concat(f.Inner, f.Foreign) { // "name (kind)"
		i := strings.LastIndex(e, " (")
		name, kind := e[:max(i, 0)], strings.Trim(e[max(i, 0):], " ()")
		in, _ := outer(name)
		if in != "" && m.parcels[in] == nil && m.parcels[name] == nil && packs(kind) && (!slices.Contains([]string{"zip", "gzip", "bzip2"}, kind) || collection(name)) {
			inner = append(inner, name)
		}
	}
	if len(inner) > 0 {
		m.l.tell(ArchiveNested, inner[0], "")
	}
	for _, e := range f.Encrypted {
		if strings.Count(e, "!") > 1 || slices.Contains(inner, e) {
			m.l.tell(NestedLocked, e, "")
			return
		}
	}
}

// packs reports the kinds that wrap files. A compressed tar is one wrapping; what a disk image is has
// a symbol of its own.
func packs(kind string) bool {
	return slices.Contains([]string{"zip", "gzip", "bzip2", "rar", "7z", "xz", "zstd", "cab", "arj", "ace", "lha"}, kind)
}
