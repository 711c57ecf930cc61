// Package redistest connects tests to a store: Debian's redis-server under the rights the
// documentation gives our user, or miniredis where it behaves like one.
package redistest

import (
	"log/slog"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/sealed"
)

// User is who we are at the server; the rights are conn.Rule's.
const User = "postern"

// Server starts a redis-server that knows our user.
func Server(t testing.TB, args ...string) *redisd.Server {
	t.Helper()
	return redisd.Start(t, redisd.Options{ACL: rule(), Args: args})
}

// Empty empties the server and connects to it.
func Empty(t testing.TB, s *redisd.Server) *conn.Conn {
	t.Helper()
	Flush(t, s)
	return Connect(t, conn.Options{Addrs: []string{s.Addr}, User: User, Password: redisd.Password})
}

// Mini connects to a new miniredis.
func Mini(t testing.TB) *conn.Conn {
	t.Helper()
	return Connect(t, conn.Options{Addrs: []string{miniredis.RunT(t).Addr()}})
}

// Connect opens a connection that ends with the test.
func Connect(t testing.TB, o conn.Options) *conn.Conn {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	c, err := conn.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Ring has one key.
func Ring(t testing.TB) *sealed.Ring {
	t.Helper()
	r, err := sealed.New([]byte("a key of the tests alone"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TLS starts a redis-server that speaks TLS alone and asks clients for a certificate.
func TLS(t testing.TB) (conn.Options, *redisd.Server) {
	t.Helper()
	s := redisd.Start(t, redisd.Options{ACL: rule(), TLS: true})
	return conn.Options{Addrs: []string{s.Addr}, User: User, Password: redisd.Password, TLS: s.TLS}, s
}

// Sentinel starts a master with two replicas behind three sentinels.
func Sentinel(t testing.TB) (conn.Options, *redisd.Sentinel) {
	t.Helper()
	s := redisd.StartSentinel(t, 2, redisd.Options{ACL: rule()})
	return conn.Options{
		Addrs: s.Addrs, Sentinel: redisd.MasterName, SentinelUser: "default", SentinelPassword: redisd.Password,
		User: User, Password: redisd.Password,
	}, s
}

// Cluster starts three masters with a replica each.
func Cluster(t testing.TB) (conn.Options, *redisd.Cluster) {
	t.Helper()
	c := redisd.StartCluster(t, 3, 3, redisd.Options{ACL: rule()})
	return conn.Options{Addrs: c.Addrs(), Cluster: true, User: User, Password: redisd.Password}, c
}

// Flush empties servers: the masters of a cluster, or the one of the sentinels.
func Flush(t testing.TB, masters ...*redisd.Server) {
	t.Helper()
	for _, s := range masters {
		admin := s.Client()
		err := admin.FlushAll(t.Context()).Err()
		_ = admin.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func rule() string { return conn.Rule(User, redisd.Password, conn.DefaultPrefix) }
