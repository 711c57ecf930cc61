package redistest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
)

func TestTLS(t *testing.T) {
	o, _ := redistest.TLS(t)
	writes(t, redistest.Connect(t, o))
	o.TLS = nil
	if err := write(t, redistest.Connect(t, o), "k"); err == nil {
		t.Error("a write without TLS")
	}
}

func TestSentinelGoesOnWithAnotherMaster(t *testing.T) {
	o, s := redistest.Sentinel(t)
	c := redistest.Connect(t, o)
	writes(t, c)
	dead, master := s.Fail(t)
	writes(t, c)
	s.Restart(t, dead)
	writes(t, c)
	redistest.Flush(t, master)
	empty(t, master)
}

func TestClusterGoesOnWithAnotherMaster(t *testing.T) {
	o, cluster := redistest.Cluster(t)
	c := redistest.Connect(t, o)
	writes(t, c)
	dead := cluster.Master(t, c.Key("{0}"))
	cluster.Fail(t, dead)
	writes(t, c)
	cluster.Restart(t, dead)
	writes(t, c)
	redistest.Flush(t, cluster.Masters(t)...)
	empty(t, cluster.Masters(t)...)
}

func TestTheRightsAreOursAlone(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	err := c.Do(t.Context(), conn.Write, func(ctx context.Context, r redis.UniversalClient) error {
		return r.Set(ctx, "of-somebody-else", "x", 0).Err()
	})
	if err == nil {
		t.Error("a key of somebody else was written")
	}
}

// writes writes and reads keys of many slots; the store may take its time to come back.
func writes(t *testing.T, c *conn.Conn) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for i := range 20 {
		for {
			err := write(t, c, fmt.Sprintf("{%d}", i))
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func write(t *testing.T, c *conn.Conn, part string) error {
	return c.Do(t.Context(), conn.Write, func(ctx context.Context, r redis.UniversalClient) error {
		if err := r.Set(ctx, c.Key(part), part, 0).Err(); err != nil {
			return err
		}
		got, err := r.Get(ctx, c.Key(part)).Result()
		if err == nil && got != part {
			t.Errorf("%s holds %q", part, got)
		}
		return err
	})
}

func empty(t *testing.T, masters ...*redisd.Server) {
	t.Helper()
	for _, m := range masters {
		admin := m.Client()
		if n, err := admin.DBSize(t.Context()).Result(); n != 0 || err != nil {
			t.Errorf("%s has %d keys: %v", m.Addr, n, err)
		}
		admin.Close()
	}
}
