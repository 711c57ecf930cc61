package conn_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
)

// switchboard is one address behind which another server stands now and then, as a name or an
// address that moves with the master.
func switchboard(t *testing.T, to *atomic.Pointer[string]) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { _ = l.Close() })
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", *to.Load())
			if err != nil {
				_ = c.Close()
				continue
			}
			pass := func(a, b net.Conn) {
				_, _ = io.Copy(a, b)
				_, _ = a.Close(), b.Close()
			}
			work.Go(func() { pass(c, s) })
			work.Go(func() { pass(s, c) })
		}
	})
	return l.Addr().String()
}

// TestTheMasterMovesBehindItsAddress has the old master live on as a replica: the connections to
// it stay open and answer, and only writes are refused.
func TestTheMasterMovesBehindItsAddress(t *testing.T) {
	a, b := redistest.Server(t), redistest.Server(t)
	var to atomic.Pointer[string]
	to.Store(&a.Addr)
	c := redistest.Connect(t, us(switchboard(t, &to)))
	both := func(value string) error { // the write is not the first, so that the client keeps the connection
		_, err := c.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) {
			p.Get(t.Context(), c.Key("x"))
			p.Set(t.Context(), c.Key("x"), value, 0)
		})
		return err
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if err := both("1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	admin := a.Client()
	defer admin.Close()
	if err := admin.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	to.Store(&b.Addr)
	eventually(t, "a write to the new master", func() bool { return both("2") == nil })
	for range 50 {
		wg.Go(func() {
			if err := both("3"); err != nil {
				t.Error("to the old master: ", err)
			}
		})
	}
	wg.Wait()
}
