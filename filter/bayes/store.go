package bayes

import "context"

// Class is what a person said of a message.
type Class uint8

// The classes. None is that of a message that nobody said anything of, or that was forgotten.
const (
	None Class = iota
	Spam
	Ham
)

// String is the class as it is written in commands and records.
func (c Class) String() string {
	switch c {
	case Spam:
		return "spam"
	case Ham:
		return "ham"
	}
	return "none"
}

// ParseClass is the inverse of String.
func ParseClass(s string) (Class, bool) {
	for _, c := range []Class{None, Spam, Ham} {
		if c.String() == s {
			return c, true
		}
	}
	return None, false
}

// Count is in how many messages of each class a token was.
type Count struct{ Spam, Ham int }

// Change says what a message counts as from now on.
type Change struct {
	ID     string // of the message, 32 hex digits
	Class  Class
	Tokens []uint64 // of the message, each once; the same at every change of it
}

// Store counts in how many messages tokens were. It is derived: what was learned stands in a
// journal, from which it can be made anew.
type Store interface {
	// Counts returns the counts of tokens in the order asked; those never seen are zero.
	Counts(ctx context.Context, tokens []uint64) ([]Count, error)

	// Apply counts messages as of their classes and no longer as what they counted as before.
	// A change made twice counts once, also where the first was cut short.
	Apply(ctx context.Context, changes []Change) error

	// Reset forgets all counts.
	Reset(ctx context.Context) error

	// Size is how many tokens there are, and about how many octets they take.
	Size(ctx context.Context) (tokens, bytes int64, err error)
}

// Add adds n messages of a class.
func (c *Count) Add(class Class, n int) {
	switch class {
	case Spam:
		c.Spam += n
	case Ham:
		c.Ham += n
	case None:
	}
}
