package book

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"postern/internal/entity"
)

// Merges make one record of two of the same node and day, for a move between homes: the node
// counts on in the new one. Each is the old record's data and that in the new home; what was
// merged once may be given again.
func Merges() map[entity.Kind]func(old, there []byte) ([]byte, error) {
	return map[entity.Kind]func(old, there []byte) ([]byte, error){
		kindDay: func(old, there []byte) ([]byte, error) {
			return merge(old, there, func(older, d *Day) *[]string {
				older.add(d)
				older.Merged = d.Merged
				*d = *older
				return &d.Merged
			})
		},
		kindTenants: func(old, there []byte) ([]byte, error) {
			return merge(old, there, func(older, t *Tenants) *[]string {
				older.add(t)
				older.Merged = t.Merged
				*t = *older
				return &t.Merged
			})
		},
	}
}

// merge lays there over old, unless it holds old already by its digest.
func merge[T any](old, there []byte, join func(older, now *T) *[]string) ([]byte, error) {
	var older, now T
	if err := json.Unmarshal(old, &older); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(there, &now); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(old)
	digest := hex.EncodeToString(sum[:8])
	merged := join(&older, &now)
	if slices.Contains(*merged, digest) {
		return there, nil
	}
	*merged = append(*merged, digest)
	return json.Marshal(now)
}
