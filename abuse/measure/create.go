package measure

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"postern/internal/entity"
	"postern/internal/said"
)

// create writes a measure, unless the same was asked for before. One without a name that ended
// within the same second is no reason not to take it anew.
func (d *Desk) create(ctx context.Context, m Measure) (row entity.Row[Measure], fresh bool, err error) {
	named := m.ID != ""
	for try := 0; ; try++ {
		if !named {
			m.ID = derive(m, try)
		}
		row, err = d.table.Create(ctx, m)
		if !errors.Is(err, entity.ErrExists) {
			return row, err == nil, err
		}
		if row, err = d.table.Get(ctx, m.ID); err != nil || row.Value.State != Removed {
			return row, false, err
		}
		if named || try == 9 {
			return row, false, said.Errorf("detail", "%w: %s", "kind", ErrEnded, "what", m.ID)
		}
	}
}

// derive makes the ID of a measure from what it is about, by the second.
func derive(m Measure, try int) string {
	about := fmt.Appendf(nil, "%s|%d|%s|%d", m.Target, m.Level, m.Case, m.At.Unix())
	if try > 0 {
		about = fmt.Appendf(about, "|%d", try)
	}
	sum := sha256.Sum256(about)
	return "m-" + hex.EncodeToString(sum[:10])
}
