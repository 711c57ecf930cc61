package second

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"postern/internal/entity"
)

// How often one person may do alone what undoes the work of others.
const (
	Most = 10
	Per  = time.Hour
)

// Pace counts such acts of each person, on all nodes.
type Pace struct {
	Store entity.Store
	Now   func() time.Time
}

// steps are the last acts of a person.
type steps struct {
	ID string      `json:"id"`
	At []time.Time `json:"at"` // at most Most, the oldest first
}

func (p *Pace) table() entity.Table[steps] {
	return entity.Table[steps]{Store: p.Store, Kind: "pace", ID: func(s *steps) string { return s.ID }}
}

// Take counts an act, unless there were Most within the time before it; it says whether it may
// be done.
func (p *Pace) Take(ctx context.Context, who string) (bool, error) {
	sum := sha256.Sum256([]byte(who))
	id, now := hex.EncodeToString(sum[:8]), p.Now().UTC()
	may := false
	take := func(s *steps) error {
		var young []time.Time
		for _, at := range s.At {
			if now.Sub(at) < Per && !at.After(now.Add(Per)) {
				young = append(young, at)
			}
		}
		if may = len(young) < Most; !may {
			return entity.ErrUnchanged
		}
		s.At = append(young, now)
		return nil
	}
	_, err := p.table().Change(ctx, id, take)
	if errors.Is(err, entity.ErrNotFound) {
		if _, err = p.table().Create(ctx, steps{ID: id, At: []time.Time{now}}); err == nil {
			return true, nil
		}
		if errors.Is(err, entity.ErrExists) {
			_, err = p.table().Change(ctx, id, take)
		}
	}
	return may && err == nil, err
}
