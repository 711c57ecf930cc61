// Package archive looks into archives inside hard limits. It expands in memory, never writes
// a file, never runs anything, and treats member names as data.
package archive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"postern/internal/archive/image"
	"postern/internal/archive/kind"
)

// Limits bounds a walk over one archive and everything nested in it. A field that is zero or
// less means its default.
type Limits struct {
	Depth      int   // archives inside archives; a compressed tar counts once; default 5
	Entries    int   // members, all levels together; default 1,000
	Bytes      int64 // expanded, all levels together; default 200 MB. bzip2 counts four times, LZMA and RAR twice, for their cost
	EntryBytes int64 // expanded, one member; default 100 MB, which is clamd's MaxFileSize
	Ratio      int64 // expanded to packed, beyond the first 4 MB of one member; default 100
	Nested     int64 // bytes of a zip, 7z or disk image inside another archive that are held in memory; default 64 MB
	Dictionary int64 // bytes that RAR and LZMA may keep of what they have expanded; default 64 MB
	Head       int   // bytes of a member that a visit is given; default 1 MB
}

// DefaultLimits are the limits used where a configuration says nothing.
func DefaultLimits() Limits {
	return Limits{Depth: 5, Entries: 1000, Bytes: 200 << 20, EntryBytes: 100 << 20, Ratio: 100, Nested: 64 << 20, Dictionary: 64 << 20, Head: 1 << 20}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		Depth: positive(l.Depth, d.Depth), Entries: positive(l.Entries, d.Entries), Bytes: positive(l.Bytes, d.Bytes), EntryBytes: positive(l.EntryBytes, d.EntryBytes),
		Ratio: positive(l.Ratio, d.Ratio), Nested: positive(l.Nested, d.Nested), Dictionary: positive(l.Dictionary, d.Dictionary), Head: positive(l.Head, d.Head),
	}
}

// positive is n, or the default where n says nothing.
func positive[N int | int64](n, otherwise N) N {
	if n > 0 {
		return n
	}
	return otherwise
}

// Entry is one member of an archive.
type Entry struct {
	Name      string // full way from the outermost archive, levels joined by "!"; attacker text
	Size      int64  // expanded bytes; the declared size where it was not expanded
	Packed    int64  // packed bytes as declared; -1 where the format does not say
	Encrypted bool
	Dir       bool
}

// Facts is what a walk learned.
type Facts struct {
	Kind       string   // zip, tar, gzip, bzip2, 7z, rar, ...; "" = not an archive known here
	Entries    []Entry  // at most Limits.Entries
	Encrypted  []string // members that need a password
	Bomb       string   // plain sentence: which limit or trick ended the walk; "" = none
	Unreadable []string // plain sentences: what should have been readable and was not
	Foreign    []string // members, or the archive itself, of kinds known but not read here
	Inner      []string // archives inside this one that were read, "name (kind)"
	Expanded   int64    // bytes expanded, all levels together
	Largest    int64    // bytes of the largest member
}

// Visit is called with every member that could be expanded and the beginning of its
// content, which must not be kept or changed.
type Visit func(e Entry, head []byte)

// maxSentences bounds each list of facts other than Entries.
const maxSentences = 20

// errBomb ends a walk whose Facts say why.
var errBomb = errors.New("archive: over a limit")

// Detect names the kind of archive by content, "" if it is none known here. The first
// kilobyte is enough.
func Detect(head []byte) string { return kind.Detect(head) }

// Walk reads the archive in r, which the message calls name, and everything nested in it.
// visit may be nil. The error is that of ctx alone; whatever the bytes are, there are facts.
func Walk(ctx context.Context, name string, r io.ReaderAt, size int64, lim Limits, visit Visit) (Facts, error) {
	w := &walker{ctx: ctx, lim: lim.withDefaults(), visit: visit}
	head := make([]byte, min(size, kind.Head))
	n, _ := r.ReadAt(head, 0)
	k := kind.Detect(head[:n])
	second := k != "zip" && hasDirectory(r, size) // a self-extractor, or a file of two kinds
	disk := image.Is(r, size)
	var err error
	switch {
	case k == "zip":
		err = w.zip(name, r, size, 1)
	case k == "7z":
		err = w.seven(name, r, size, 1)
	case kind.Readable(k):
		err = w.container(k, name, bufio.NewReaderSize(io.NewSectionReader(r, 0, size), bufSize), 1)
	case k != "":
		w.foreign(k, name, bufio.NewReaderSize(io.NewSectionReader(r, 0, size), bufSize))
		if k == "ole" {
			err = w.letter(name, io.NewSectionReader(r, 0, size), 1)
		}
	case disk:
		k = "iso"
	case second:
		k = "zip"
	}
	w.facts.Kind = k
	if disk && err == nil {
		err = w.disk(name, r, size, 1)
	}
	if second && err == nil {
		w.lenient = true
		err = w.zip(name, r, size, 1)
	}
	if ctx.Err() != nil {
		return w.facts, fmt.Errorf("archive: %w", ctx.Err())
	}
	if err != nil && !errors.Is(err, errBomb) {
		w.unreadable(name, "it is damaged")
	}
	return w.facts, nil
}

// walker is one walk.
type walker struct {
	ctx   context.Context
	lim   Limits
	visit Visit
	facts Facts
	spent int64 // expanded bytes, weighted by cost
	// lenient is set for a zip inside a file of another kind: an Office document of the old
	// format holds many, of which the last directory lists one.
	lenient bool
}

// bomb ends the walk.
func (w *walker) bomb(format string, args ...any) error {
	if w.facts.Bomb == "" {
		w.facts.Bomb = fmt.Sprintf(format, args...)
	}
	return errBomb
}

func (w *walker) unreadable(name, why string) {
	if !w.lenient {
		w.facts.Unreadable = sentence(w.facts.Unreadable, shown(name)+": "+why)
	}
}

// foreign notes an archive that is not read here.
func (w *walker) foreign(k, name string, r *bufio.Reader) {
	w.facts.Foreign = sentence(w.facts.Foreign, shown(name)+" ("+k+")")
	if head, _ := r.Peek(bufSize); kind.Encrypted(k, head) {
		w.encrypted(name)
	}
}

func (w *walker) encrypted(name string) {
	w.facts.Encrypted = sentence(w.facts.Encrypted, shown(name))
}

func sentence(list []string, s string) []string {
	if len(list) >= maxSentences {
		return list
	}
	return append(list, s)
}

// shown bounds a name for people; the end, with its extension, is what matters.
func shown(name string) string {
	const most = 100
	if len(name) > most {
		return "..." + name[len(name)-most:]
	}
	return name
}

// entry counts a member.
func (w *walker) entry(e Entry) error {
	if len(w.facts.Entries) >= w.lim.Entries {
		return w.bomb("it holds more members than are read")
	}
	w.facts.Entries = append(w.facts.Entries, e)
	return nil
}

// member expands one member whose content is r, each byte of which counts cost times, and what is
// nested in it.
func (w *walker) member(e Entry, r io.Reader, cost int64, depth int) error {
	at := len(w.facts.Entries)
	if err := w.entry(e); err != nil {
		return err
	}
	m := &meter{w: w, r: r, name: e.Name, packed: e.Packed, cost: cost}
	br := bufio.NewReaderSize(m, bufSize)
	head, err := br.Peek(kind.Head)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	err = w.content(e, head, br, depth)
	if err == nil {
		_, err = io.Copy(io.Discard, br)
	}
	w.facts.Entries[at].Size = m.n
	w.facts.Largest = max(w.facts.Largest, m.n)
	return err
}

// content reads what a member holds; head is its beginning.
func (w *walker) content(e Entry, head []byte, br *bufio.Reader, depth int) error {
	k := kind.Detect(head)
	if kind.Readable(k) {
		return w.container(k, e.Name, br, depth+1)
	}
	if k != "" {
		w.foreign(k, e.Name, br)
		if k == "ole" {
			held := &bytes.Buffer{}
			if err := w.leaf(e, io.TeeReader(br, held)); err != nil {
				return err
			}
			return w.letter(e.Name, io.MultiReader(held, br), depth+1)
		}
	} else if head, _ = br.Peek(image.Seen); image.Is(bytes.NewReader(head), int64(len(head))) {
		return w.container("iso", e.Name, br, depth+1)
	}
	return w.leaf(e, br)
}

// leaf reads a member that is no archive.
func (w *walker) leaf(e Entry, r io.Reader) error {
	if w.visit == nil {
		return nil
	}
	head, err := io.ReadAll(io.LimitReader(r, int64(w.lim.Head)))
	if err == nil {
		w.visit(e, head)
	}
	return err
}

// bufSize is the buffer before each level; signs of encryption are looked for in it.
const bufSize = 64 << 10

// container reads an archive of a readable kind from a stream.
func (w *walker) container(k, name string, r *bufio.Reader, depth int) error {
	if depth > w.lim.Depth {
		return w.bomb("archives are nested more than %d deep", w.lim.Depth)
	}
	if depth > 1 {
		w.facts.Inner = sentence(w.facts.Inner, shown(name)+" ("+k+")")
	}
	switch k {
	case "tar":
		return w.tar(name, r, depth)
	case "rar":
		return w.rar(name, r, depth)
	case "zip", "7z", "iso":
		return w.held(k, name, r, depth)
	}
	return w.stream(k, name, r, depth)
}

// held reads an archive that is not read from its beginning to its end, and so has to be in memory.
func (w *walker) held(k, name string, r io.Reader, depth int) error {
	b, err := io.ReadAll(io.LimitReader(r, w.lim.Nested+1))
	if err != nil {
		return err
	}
	in, size := bytes.NewReader(b), int64(len(b))
	if size > w.lim.Nested {
		return w.bomb("a nested %s is larger than %d bytes", k, w.lim.Nested)
	}
	switch k {
	case "7z":
		return w.seven(name, in, size, depth)
	case "iso":
		return w.disk(name, in, size, depth)
	}
	return w.zip(name, in, size, depth)
}

// meter counts what a member expands to and stops it at the limits.
type meter struct {
	w      *walker
	r      io.Reader
	name   string
	packed int64
	cost   int64 // weight of a byte; 0 = 1
	n      int64
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	m.w.facts.Expanded += int64(n)
	m.w.spent += int64(n) * max(m.cost, 1)
	lim := m.w.lim
	switch {
	case m.n > lim.EntryBytes:
		return n, m.w.bomb("%s expands to more than %d bytes", shown(m.name), lim.EntryBytes)
	case m.w.spent > lim.Bytes:
		return n, m.w.bomb("it expands to more bytes than are read")
	case m.packed > 0 && m.n > freeRatio && m.n/m.packed > lim.Ratio:
		return n, m.w.bomb("%s expands more than %d times", shown(m.name), lim.Ratio)
	}
	return n, err
}

// freeRatio is how much a member may expand to whatever its ratio: small files of one
// repeated byte are ordinary.
const freeRatio = 4 << 20
