package history

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Key names what is remembered: the first octets of a SHA-256, so that no address stands in
// clear in a store.
type Key [16]byte

// keyOf hashes the fields with their lengths, so that no two lists of fields are alike.
func keyOf(fields ...string) Key {
	buf := make([]byte, 0, 256)
	for _, f := range fields {
		buf = binary.AppendUvarint(buf, uint64(len(f)))
		buf = append(buf, f...)
	}
	sum := sha256.Sum256(buf)
	return Key(sum[:len(Key{})])
}

// Mark is one thing that happened under a key.
type Mark struct {
	Key  Key
	Bad  bool
	At   time.Time
	Keep time.Duration // how long after At it is of use
}

// Question asks for what happened under a key since a day.
type Question struct {
	Key   Key
	Since time.Time
}

// Day is what a store remembers of one day under a key.
type Day struct {
	Day  int64 `json:"d"` // since 1970
	Good int   `json:"g,omitempty"`
	Bad  int   `json:"b,omitempty"`
}

// Past is what a store remembers under a key.
type Past struct {
	Good, Bad int // marks; a store may stop counting at 255 a day
	Days      int // days (UTC) with a good mark
}

// Store remembers marks by the day. It may forget the days of a key before its 90 latest,
// and under pressure the keys that would be of use for the shortest time.
type Store interface {
	// Past answers each question, in the order asked, with the marks from the day of Since to
	// the day after now: what a wrong clock dated later does not count. Unknown keys are zero.
	Past(ctx context.Context, questions []Question, now time.Time) ([]Past, error)

	// Mark takes marks to be written soon, without waiting for that. The error says that
	// they are lost.
	Mark(ctx context.Context, marks []Mark) error

	// Prune forgets keys that are of no more use and says how many. It believes a clock that
	// jumped by more than a day only once that clock has run on for a day. A store whose server forgets by a clock of
	// its own returns 0; that clock must keep marks for a day longer than they are of use.
	Prune(ctx context.Context, now time.Time) (int, error)
}
