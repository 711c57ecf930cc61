package traffic_test

import (
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/traffic"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/recordtest"
)

// open opens a store as it stands at storetest.Start.
func open(t testing.TB, c *conn.Conn, change ...func(*traffic.Options)) *traffic.Store {
	t.Helper()
	o := traffic.Options{Conn: c, Now: func() time.Time { return storetest.Start }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Keep: 90 * 24 * time.Hour}
	for _, f := range change {
		f(&o)
	}
	s, err := traffic.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func format(n int) func(*traffic.Options) {
	return func(o *traffic.Options) { o.Write = func() int { return n } }
}

func TestSuite(t *testing.T) {
	server := redistest.Server(t)
	for n := 1; n <= 2; n++ {
		t.Run(fmt.Sprint("redis, format ", n), func(t *testing.T) {
			recordtest.Traffic(t, open(t, redistest.Empty(t, server), format(n)))
		})
		t.Run(fmt.Sprint("miniredis, format ", n), func(t *testing.T) { recordtest.Traffic(t, open(t, redistest.Mini(t), format(n))) })
	}
}
