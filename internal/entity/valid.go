package entity

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"postern/internal/said"
)

// Validate says why a Store may not take r, or nil. Its error is ErrInvalid.
func (r Record) Validate() error {
	switch {
	case !name(string(r.Kind)):
		return said.Errorf("record.kind", "kind %q: %w", "kind", r.Kind, "kind2", ErrInvalid)
	case !validID(r.ID):
		return said.Errorf("record.the-id", "%s: the ID %q: %w", "kind", r.Kind, "id", r.ID, "kind2", ErrInvalid)
	case r.Version == 0:
		return said.Errorf("record.version-0", "%s %s: version 0: %w", "kind", r.Kind, "id", r.ID, "kind2", ErrInvalid)
	case len(r.Data) > MaxData:
		return said.Errorf("record.has-octets-at-most-are-taken", "%s %s has %d octets, at most %d are taken: %w", "kind", r.Kind, "id", r.ID, "n", len(r.Data), "most", MaxData, "kind2", ErrInvalid)
	case !json.Valid(r.Data):
		return said.Errorf("record.is-no-json", "%s %s is no JSON: %w", "kind", r.Kind, "id", r.ID, "kind2", ErrInvalid)
	case len(r.Keys) > MaxKeys:
		return said.Errorf("record.has-keys-at-most-are-taken", "%s %s has %d keys, at most %d are taken: %w", "kind", r.Kind, "id", r.ID, "n", len(r.Keys), "most", MaxKeys, "kind2", ErrInvalid)
	}
	for _, k := range r.Keys {
		if !name(k.Index) || len(k.Value) > MaxValue || !utf8.ValidString(k.Value) {
			return said.Errorf("record.key", "%s %s: key %s=%.40q: %w", "kind", r.Kind, "id", r.ID, "index", k.Index, "value", k.Value, "kind2", ErrInvalid)
		}
	}
	return nil
}

// ValidName says why there cannot be a record of this name, or nil. Its error is ErrInvalid.
func ValidName(kind Kind, id string) error {
	if name(string(kind)) && validID(id) {
		return nil
	}
	return fmt.Errorf("%.40q %.140q: %w", string(kind), id, ErrInvalid)
}

// Per is how many records a page of q has at most.
func (q Query) Per() int { return min(cmp.Or(max(q.Limit, 0), DefaultPer), MaxPage) }

// Covers reports whether At lies within the bounds of q.
func (q Query) Covers(at int64) bool { return q.From == 0 && q.To == 0 || at >= q.From && at <= q.To }

// Cursor is where a page ends; the zero one is before everything.
type Cursor struct {
	At int64
	ID string
}

// String is what a page's Next says.
func (c Cursor) String() string { return strconv.FormatInt(c.At, 10) + "/" + c.ID }

// Start reads q's After. Its error is ErrInvalid.
func (q Query) Start() (Cursor, error) {
	if q.After == "" {
		return Cursor{}, nil
	}
	at, id, ok := strings.Cut(q.After, "/")
	n, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || !validID(id) {
		return Cursor{}, said.Errorf("record.cursor", "cursor %.60q: %w", "after", q.After, "kind", ErrInvalid)
	}
	return Cursor{n, id}, nil
}

// Validate says why a Store cannot have blobs of c, or nil. Its error is ErrInvalid.
func (c Class) Validate() error {
	if slices.Contains(Classes(), c) {
		return nil
	}
	return said.Errorf("record.there-is-no-class-of-blobs", "there is no class of blobs %.40q: %w", "c", string(c), "kind", ErrInvalid)
}

// Unique is the keys without those that are there twice.
func Unique(keys []Key) []Key {
	seen := make(map[Key]bool, len(keys))
	out := make([]Key, 0, len(keys))
	for _, k := range keys {
		if !seen[k] {
			out = append(out, k)
		}
		seen[k] = true
	}
	return out
}

func name(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

func validID(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == ':', c == '@', c == '+', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= MaxID
}
