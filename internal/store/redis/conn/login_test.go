package conn_test

import (
	"errors"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
)

// A server that answers the login with what looks like the answer to a command has been asked
// nothing: no pipeline counts as done.
func TestLoginIsNoAnswer(t *testing.T) {
	for _, text := range []string{"$-1\r\n", "-POSTERN done\r\n", "-WRONGTYPE of login\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if _, err := c.Read(make([]byte, 4096)); err == nil {
					_, _ = c.Write([]byte(text + text + text))
				}
				_ = c.Close()
			}
		}()
		c, err := conn.Open(conn.Options{Addrs: []string{l.Addr().String()}, User: "a", Password: "b"})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		queue := func(p redis.Pipeliner) { p.Set(ctx, "k", "v", 0) }
		if _, err := c.Pipe(ctx, conn.Write, queue); !errors.Is(err, conn.ErrAway) {
			t.Errorf("Pipe after %q: %v", text, err)
		}
		if _, err := c.Each(ctx, conn.Write, queue); !errors.Is(err, conn.ErrAway) {
			t.Errorf("Each after %q: %v", text, err)
		}
		_ = c.Close()
		_ = l.Close()
		<-done
	}
}
