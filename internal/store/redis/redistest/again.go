package redistest

import (
	"errors"
	"time"

	"postern/internal/store/redis/conn"
)

// Again repeats a question that is answered too late for a lookup: a loaded machine is no
// fault. Writes that may have been done are not for it.
func Again[T any](ask func() (T, error)) (answer T, err error) {
	for range 200 {
		if answer, err = ask(); !errors.Is(err, conn.ErrAway) {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	return answer, err
}
