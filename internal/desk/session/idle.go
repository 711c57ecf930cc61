package session

import (
	"errors"
	"net/http"
	"strings"

	"postern/internal/entity"
)

// Background is the header of requests that a page makes by itself.
const Background = "X-Postern-Background"

// byItself reports whether a page asks and not its reader: what it does keeps no session from
// ending by disuse.
func byItself(r *http.Request) bool {
	return r.Header.Get(Background) != "" || strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream")
}

// Peek returns the session of a request as Of does, without that counting as use.
func (s *Sessions) Peek(r *http.Request) (Session, error) {
	c, err := r.Cookie(s.name())
	if err != nil || len(c.Value) > 100 {
		return Session{}, ErrNone
	}
	row, err := s.table.Get(r.Context(), hash(c.Value))
	switch {
	case errors.Is(err, entity.ErrNotFound), err == nil && row.Value.over(s.now()):
		return Session{}, ErrNone
	}
	return row.Value, err
}
