package record

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Seal numbers e after last, the entry before it, and chains it to that one. The zero last
// starts the chain.
func Seal(last, e Entry) (Entry, error) {
	e.Seq, e.Prev = last.Seq+1, last.Hash
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	// What is no UTF-8 would read back as something else than was hashed.
	for _, f := range []*string{&e.Actor, &e.Action, &e.Object, &e.Note} {
		*f = strings.ToValidUTF8(*f, "\uFFFD")
	}
	var err error
	if e.Before, err = compact(e.Before); err != nil {
		return Entry{}, fmt.Errorf("audit: before: %w", err)
	}
	if e.After, err = compact(e.After); err != nil {
		return Entry{}, fmt.Errorf("audit: after: %w", err)
	}
	e.Hash, err = hashEntry(e)
	return e, err
}

// compact gives a JSON text the one form in which it is stored, so that reading it back and
// hashing it again gives the same bytes.
func compact(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	return json.Marshal(raw)
}

// hashEntry is SHA-256 over the JSON of the entry without its own hash.
func hashEntry(e Entry) (string, error) {
	e.Hash = ""
	text, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// BrokenError says where the audit is not what was written.
type BrokenError struct {
	Seq int64 // the entry that should be there
	Why string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("audit entry %d: %s", e.Seq, e.Why)
}

// verifyPage is the number of entries read at once.
const verifyPage = 500

// Verify reads the whole audit and checks numbers and hashes. It returns the last good entry,
// and a *BrokenError for the first that is not. The hash of the last entry, written down
// elsewhere, also shows whether the end was cut off.
func Verify(ctx context.Context, s AuditStore) (last Entry, err error) {
	for {
		page, err := s.Entries(ctx, last.Seq, verifyPage)
		if err != nil || len(page) == 0 {
			return last, err
		}
		for _, e := range page {
			if err := Follows(last, e); err != nil {
				return last, err
			}
			last = e
		}
	}
}

// Follows says why e is not the entry that was written after last, or nil.
func Follows(last, e Entry) error {
	want := last.Seq + 1
	switch hash, err := hashEntry(e); {
	case err != nil:
		return err
	case e.Seq != want:
		return &BrokenError{Seq: want, Why: fmt.Sprintf("is missing; entry %d comes next", e.Seq)}
	case e.Prev != last.Hash:
		return &BrokenError{Seq: want, Why: "does not follow the entry before it"}
	case e.Hash != hash:
		return &BrokenError{Seq: want, Why: "was changed after it was written"}
	}
	return nil
}

// Auditor writes audit entries.
type Auditor struct {
	Store AuditStore
	Now   func() time.Time
}

// Write appends what actor did to object; before and after are marshalled to JSON, nil is
// left out. The entry is durable when it returns nil.
func (a *Auditor) Write(ctx context.Context, actor, action, object string, before, after any, note string) error {
	e := Entry{Time: a.Now(), Actor: Clean(actor, 200), Action: Clean(action, 64), Object: Clean(object, 400), Note: Clean(note, 1000)}
	var err error
	if e.Before, err = marshal(before); err != nil {
		return err
	}
	if e.After, err = marshal(after); err != nil {
		return err
	}
	_, err = a.Store.Append(ctx, e)
	return err
}

func marshal(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return raw, nil
}
