// Package entity is how the rooms keep their records: named, versioned, each changed by an
// optimistic transaction of its own, and found by keys that are derived from it. Both homes
// implement it; what a record means is known only to the room that writes it.
package entity

import (
	"context"
	"io"
	"time"

	"postern/internal/said"
)

// Errors of a Store. They are wrapped: use errors.Is.
var (
	ErrNotFound = said.New("record.no-such-record", "no such record")
	ErrConflict = said.New("record.the-record-was-changed-in-the-meantime", "the record was changed in the meantime")
	ErrExists   = said.New("record.there-is-such-a-record-already", "there is such a record already")
	ErrFull     = said.New("record.there-is-no-room-for-it", "there is no room for it")
	ErrInvalid  = said.New("record.the-record-cannot-be-kept-like-this", "the record cannot be kept like this")
)

// Bounds of what a Store takes.
const (
	MaxID      = 128     // octets of an ID, from the letters, digits and ".:@+_-"; other IDs are hashed by those who choose them
	MaxData    = 1 << 20 // octets of a record
	MaxKeys    = 64      // keys of a record
	MaxValue   = 512     // octets of a key's value
	MaxPage    = 1000    // records of one page
	MaxWeight  = 8 << 20 // octets of the records of one page: a page with more than one record ends before
	MaxBlob    = 64 << 20
	DefaultPer = 50 // records of a page that does not say
)

// Kind names a sort of records: letters and hyphens, "case", "api-token". Rooms choose their
// own; two rooms never share one.
type Kind string

// Key files a record under a value of one of its kind's indexes, in the order of At. A record
// may be filed under several values of an index, and under one value at several At; the very
// same key twice counts once. At is free: most are Unix milliseconds.
type Key struct {
	Index string `json:"i"`
	Value string `json:"v,omitempty"`
	At    int64  `json:"a"`
}

// Record is one thing kept.
type Record struct {
	Kind    Kind
	ID      string
	Version uint64 // 1 for the first, then one more at each change
	Data    []byte // JSON
	Keys    []Key
}

// Query asks for records of a kind by an index. Results come with the largest At first, those
// of the same At by descending ID; Rising turns that round.
type Query struct {
	Kind     Kind
	Index    string
	Value    string
	From, To int64 // bounds of At, both inclusive; 0 and 0 = all
	Rising   bool
	After    string // Next of the page before; "" = from the start
	Limit    int    // 0 = DefaultPer; at most MaxPage. A page may be shorter: Next tells
}

// Page is a part of an answer.
type Page struct {
	Records []Record
	Next    string // where to go on; "" = this was the last
}

// Store keeps records. A change of one record is atomic and durable when it returns; nothing is
// atomic over two. Indexes may lag behind for a moment after a crash, and are verified when
// read: a record never turns up under a key that it no longer has.
type Store interface {
	// Put writes r if the stored version is r.Version-1; 0 = there is none. Else the error is
	// ErrConflict, or ErrExists where r.Version is 1.
	Put(ctx context.Context, r Record) error
	// Get returns a record, or ErrNotFound.
	Get(ctx context.Context, kind Kind, id string) (Record, error)
	// Find returns a page.
	Find(ctx context.Context, q Query) (Page, error)
	// Count counts up to limit records that Find would return over all pages.
	Count(ctx context.Context, q Query, limit int) (int, error)
	// Remove forgets a record if its version is still that one, else ErrConflict. What is not
	// there is no error.
	Remove(ctx context.Context, kind Kind, id string, version uint64) error
	// Revision grows at each change of any record of the kind, made anywhere; it is cheap.
	Revision(ctx context.Context, kind Kind) (uint64, error)
}

// Class is what a blob is kept for; each class has a cap of its own.
type Class string

// The classes.
const (
	Intake   Class = "intake"   // what arrived at abuse@, byte for byte
	Evidence Class = "evidence" // what a case rests on
	Papers   Class = "papers"   // letters and licence copies
	Inbox    Class = "inbox"    // what came for a test inbox
)

// Classes are all of them.
func Classes() []Class { return []Class{Intake, Evidence, Papers, Inbox} }

// Blobs keep byte strings that do not change, named by their SHA-256 (64 hex digits) within a
// class. Putting the same bytes again is free; a damaged blob is whole again after it. A class
// that there is not is ErrInvalid.
type Blobs interface {
	// PutBlob keeps the bytes durably and returns their name. ErrFull: the class's cap is
	// reached, or there are more than MaxBlob bytes.
	PutBlob(ctx context.Context, class Class, r io.Reader) (sum string, size int64, err error)
	// Blob opens one, or ErrNotFound; ctx must live as long as the reader. The bytes are verified against the name while they are
	// read: a damaged blob ends in an error, never in silence.
	Blob(ctx context.Context, class Class, sum string) (io.ReadCloser, error)
	// RemoveBlob forgets one. What is not there is no error.
	RemoveBlob(ctx context.Context, class Class, sum string) error
	// BlobsBefore lists up to limit blobs of a class put before a time, oldest first.
	BlobsBefore(ctx context.Context, class Class, t time.Time, limit int) ([]string, error)
	// BlobBytes is what a class takes as it is stored, and its cap; 0 = none.
	BlobBytes(ctx context.Context, class Class) (used, limit int64, err error)
}

// Home is both.
type Home interface {
	Store
	Blobs
}
