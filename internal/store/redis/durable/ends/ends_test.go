package ends_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/durable/ends"
	"postern/internal/store/redis/redistest"
)

func TestMarks(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *conn.Conn{
		"redis": func(t *testing.T) *conn.Conn { return redistest.Empty(t, redistest.Server(t)) },
		"mini":  func(t *testing.T) *conn.Conn { return redistest.Mini(t) },
	} {
		t.Run(name, func(t *testing.T) { marks(t, open(t)) })
	}
}

func marks(t *testing.T, c *conn.Conn) {
	var log strings.Builder
	s := &ends.Store{Conn: c, Ring: redistest.Ring(t), Log: slog.New(slog.NewTextHandler(&log, nil))}
	check := func(want ...bool) {
		t.Helper()
		got, err := s.Ended(t.Context(), []string{"a", "b", "c{}: \n"})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Ended: %v, %v; want %v", got, err, want)
		}
	}
	check(false, false, false)
	for range 2 {
		if err := s.Mark(t.Context(), []string{"a", "c{}: \n"}); err != nil {
			t.Fatal(err)
		}
		check(true, false, true)
	}
	if err := s.Mark(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if none, err := s.Ended(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
	forge(t, c, "a", "b") // a mark moved under another name
	check(true, false, true)
	if !strings.Contains(log.String(), "no valid seal") {
		t.Errorf("said: %s", log.String())
	}
	if ttl := c.Client().TTL(t.Context(), c.Key("{o:"+conn.Hash("a")+"}", "end")).Val(); ttl <= 0 || ttl > ends.Kept {
		t.Errorf("a mark lives for %v", ttl)
	}
	c.Close()
	if _, err := s.Ended(t.Context(), []string{"a"}); !errors.Is(err, conn.ErrAway) {
		t.Errorf("away: %v", err)
	}
	if err := s.Mark(t.Context(), []string{"a"}); !errors.Is(err, conn.ErrAway) {
		t.Errorf("away: %v", err)
	}
}

func forge(t *testing.T, c *conn.Conn, from, to string) {
	t.Helper()
	key := func(id string) string { return c.Key("{o:"+conn.Hash(id)+"}", "end") }
	_, err := c.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) {
		p.Set(t.Context(), key(to), c.Client().Get(t.Context(), key(from)).Val(), 0)
	})
	if err != nil {
		t.Fatal(err)
	}
}
