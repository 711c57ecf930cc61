// Package archive looks into archives inside hard limits. It expands in memory, never writes
// a file, never runs anything, and treats member names as data.
package archive

import (
	"context"
	"io"
)

// Limits bounds a walk over one archive and everything nested in it. The zero value of a
// field means its default.
type Limits struct {
	Depth      int   // archives inside archives
	Entries    int   // members, all levels together
	Bytes      int64 // expanded, all levels together
	EntryBytes int64 // expanded, one member
	Ratio      int64 // expanded to packed, beyond the first MiB
	Input      int64 // compressed bytes read, all levels together
}

// DefaultLimits are the limits used where a configuration says nothing.
func DefaultLimits() Limits {
	return Limits{Depth: 5, Entries: 1000, Bytes: 200 << 20, EntryBytes: 100 << 20, Ratio: 100}
}

// Entry is one member of an archive.
type Entry struct {
	Name      string // full way from the outermost archive, levels joined by "!"
	Size      int64  // expanded bytes; the declared size where it was not expanded
	Packed    int64  // packed bytes as declared
	Encrypted bool
	Dir       bool
}

// Facts is what a walk learned.
type Facts struct {
	Kind       string // zip, tar, gzip, bzip2, 7z, rar, ...; "" = not an archive known here
	Entries    []Entry
	Encrypted  []string // names of members that need a password
	Bomb       string   // plain sentence: which limit or trick; "" = none
	Unreadable []string // plain sentences: what we should have been able to read and could not
	Foreign    []string // members of kinds that are known but not read here
}

// Visit is called with every member that could be expanded; data must not be kept or changed.
type Visit func(e Entry, data []byte)

// Detect names the kind of archive by content, "" if it is none known here.
func Detect(head []byte) string { return "" }

// Walk reads the archive in r, which the message calls name, and everything nested in it.
// visit may be nil. The error is that of ctx alone; whatever the bytes are, there are facts.
func Walk(ctx context.Context, name string, r io.ReaderAt, size int64, lim Limits, visit Visit) (Facts, error) {
	return Facts{}, ctx.Err()
}
