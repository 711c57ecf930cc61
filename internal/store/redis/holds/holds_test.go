package holds_test

import (
	"log/slog"
	"testing"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// on makes a store on a connection.
func on(t testing.TB, c *conn.Conn) *holds.Store {
	t.Helper()
	return holds.New(holds.Options{Conn: c, Ring: redistest.Ring(t), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
}

// empty makes a store on an emptied server.
func empty(t testing.TB, s *redisd.Server) *holds.Store {
	t.Helper()
	return on(t, redistest.Empty(t, s))
}

func TestHolds(t *testing.T) {
	server := redistest.Server(t)
	storetest.Holds(t, func(t testing.TB) quarantine.Store { return empty(t, server) })
}

func TestHoldsMini(t *testing.T) {
	storetest.Holds(t, func(t testing.TB) quarantine.Store { return on(t, redistest.Mini(t)) })
}
