package holds

import (
	"sync"

	"postern/internal/store/redis/holds/ground"
)

// maxRecent bounds the holds that are remembered between Put and Confirm.
const maxRecent = 1024

// recent remembers what this process has just put, so that Confirm need not read it. It is
// never believed: a script compares it with what is there.
type recent struct {
	mu    sync.Mutex
	rows  map[string]ground.Row
	order []string
}

func (r *recent) keep(row ground.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := row.ID.String()
	if _, ok := r.rows[id]; !ok {
		r.order = append(r.order, id)
	}
	r.rows[id] = row
	for len(r.order) > maxRecent {
		delete(r.rows, r.order[0])
		r.order = r.order[1:]
	}
}

// take returns the rows of all IDs and forgets them; ok is false when one is not known.
func (r *recent) take(ids []string) (rows []ground.Row, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		row, ok := r.rows[id]
		if !ok {
			return nil, false
		}
		rows = append(rows, row)
	}
	for _, id := range ids {
		delete(r.rows, id)
	}
	return rows, true
}
