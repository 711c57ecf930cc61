package reports_test

import (
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/reports"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/reportstest"
)

// open opens a store as it stands at storetest.Start.
func open(t testing.TB, c *conn.Conn, change ...func(*reports.Options)) *reports.Store {
	t.Helper()
	o := reports.Options{Conn: c, Now: func() time.Time { return storetest.Start }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range change {
		f(&o)
	}
	s, err := reports.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func format(n int) func(*reports.Options) {
	return func(o *reports.Options) { o.Write = func() int { return n } }
}

func TestSuite(t *testing.T) {
	server := redistest.Server(t)
	for n := 1; n <= 2; n++ {
		for name, empty := range map[string]func() *conn.Conn{
			"redis": func() *conn.Conn { return redistest.Empty(t, server) }, "miniredis": func() *conn.Conn { return redistest.Mini(t) },
		} {
			t.Run(fmt.Sprintf("counts, %s, format %d", name, n), func(t *testing.T) { reportstest.Counts(t, open(t, empty(), format(n))) })
			t.Run(fmt.Sprintf("received, %s, format %d", name, n), func(t *testing.T) { reportstest.Received(t, open(t, empty(), format(n))) })
		}
	}
}

func TestOnACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	o, cluster := redistest.Cluster(t)
	c := redistest.Connect(t, o)
	reportstest.Counts(t, open(t, c))
	redistest.Flush(t, cluster.Servers[:3]...)
	reportstest.Received(t, open(t, c))
}
