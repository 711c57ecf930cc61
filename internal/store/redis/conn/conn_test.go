package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
)

// lines is a log that can be counted.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// dial connects to a server without a password.
func dial(t testing.TB, addr string) *conn.Conn {
	t.Helper()
	return redistest.Connect(t, conn.Options{Addrs: []string{addr}})
}

func read(ctx context.Context, c *conn.Conn, key string) (value string, err error) {
	err = c.Do(ctx, conn.Lookup, func(ctx context.Context, r redis.UniversalClient) error {
		value, err = r.Get(ctx, c.Key(key)).Result()
		return err
	})
	return value, err
}

// patient reads as read does, on a machine that has much else to do.
func patient(ctx context.Context, c *conn.Conn, key string) (value string, err error) {
	err = c.Do(ctx, conn.Write, func(ctx context.Context, r redis.UniversalClient) error {
		value, err = r.Get(ctx, c.Key(key)).Result()
		return err
	})
	return value, err
}

func write(ctx context.Context, c *conn.Conn, key, value string) error {
	return c.Do(ctx, conn.Write, func(ctx context.Context, r redis.UniversalClient) error {
		return r.Set(ctx, c.Key(key), value, 0).Err()
	})
}

// eventually waits until f is true, and fails when the test's time is over.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for limit := time.After(30 * time.Second); !f(); {
		select {
		case <-limit:
			t.Fatal("never: ", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// reason is that of a fault, or "" for anything else.
func reason(err error) string {
	var f *conn.Fault
	if errors.As(err, &f) && errors.Is(err, conn.ErrAway) {
		return f.Reason
	}
	return ""
}

func TestASilentServerIsLeftAlone(t *testing.T) {
	var asked atomic.Int64
	s := redisd.StartScripted(t, func([]string) redisd.Answer {
		asked.Add(1)
		return redisd.Answer{Silent: true}
	})
	log := &lines{}
	c := redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, Log: log.logger()})
	for range 5 {
		if _, err := read(t.Context(), c, "x"); reason(err) != "no answer in time" || !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
			t.Fatal(err)
		}
	}
	before := asked.Load()
	var wg sync.WaitGroup
	var most atomic.Int64
	for range 100 {
		wg.Go(func() {
			for range 100 {
				if _, err := read(t.Context(), c, "x"); reason(err) != "no answer in time" {
					t.Error(err)
				}
				if n := int64(runtime.NumGoroutine()); n > most.Load() {
					most.Store(n)
				}
			}
		})
	}
	wg.Wait()
	if n := asked.Load() - before; n > 100 {
		t.Errorf("10,000 calls asked the silent server %d times", n)
	}
	if most.Load() > 200 {
		t.Errorf("%d goroutines for 100 callers", most.Load())
	}
	if n := log.count("redis is away"); n != 1 {
		t.Errorf("%d lines for 10,000 faults", n)
	}
	if st := c.Status(); st.Up || st.Reason != "no answer in time" || st.Faults["no answer in time"] < 5 {
		t.Errorf("%+v", st)
	}
	s.Script(func([]string) redisd.Answer { return redisd.Answer{} })
	eventually(t, "answers again", func() bool { _, err := read(t.Context(), c, "x"); return errors.Is(err, redis.Nil) })
	eventually(t, "said to be back", func() bool { read(t.Context(), c, "x"); return log.count("redis is back") == 1 })
	if st := c.Status(); !st.Up || st.Reason != "" {
		t.Errorf("%+v", st)
	}
}

func TestAFrozenServerComesBack(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	if err := write(t.Context(), c, "x", "1"); err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, err := read(t.Context(), c, "x"); reason(err) == "" {
				t.Fatal("a frozen server answered: ", err)
			}
		}
		if round == 0 {
			if err := s.Continue(); err != nil {
				t.Fatal(err)
			}
		} else {
			s.Kill()
			s.Run(t)
		}
		eventually(t, "it answers", func() bool { v, err := read(t.Context(), c, "x"); return err == nil && v == "1" })
	}
}

func TestNobodyListens(t *testing.T) {
	port, err := mailtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, fmt.Sprintf("127.0.0.1:%d", port))
	if _, err := read(t.Context(), c, "x"); reason(err) != "nobody listens" {
		t.Error(err)
	}
	c = dial(t, "unix:"+t.TempDir()+"/none")
	if _, err := read(t.Context(), c, "x"); reason(err) != "nobody listens" {
		t.Error(err)
	}
}

// TestConnectionsAreNotTaken has a listener whose queue is full: the handshake never ends.
func TestConnectionsAreNotTaken(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 10 {
		n, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			break
		}
		defer n.Close()
	}
	c := dial(t, addr)
	for range 8 {
		if _, err := read(t.Context(), c, "x"); reason(err) != "no answer in time" {
			t.Error(err)
		}
	}
}

func TestSlowWritesLeaveRoomForLookups(t *testing.T) {
	waiting := make(chan struct{}, 100)
	s := redisd.StartScripted(t, func(args []string) redisd.Answer {
		if args[0] == "set" {
			waiting <- struct{}{}
			return redisd.Answer{Silent: true}
		}
		return redisd.Answer{}
	})
	c := redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, Pool: 8})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := write(ctx, c, "x", "1"); reason(err) == "" {
				t.Error("a silent write: ", err)
			}
		})
	}
	for range 4 {
		<-waiting
	}
	for range 50 {
		if _, err := read(t.Context(), c, "x"); !errors.Is(err, redis.Nil) && reason(err) != "no answer in time" {
			t.Fatal("a lookup behind slow writes: ", err)
		}
	}
	if n := len(waiting); n != 0 {
		t.Errorf("%d writes more than half the pool are under way", n)
	}
	cancel()
	wg.Wait()
}

func TestTheCallerGivesUp(t *testing.T) {
	s := redisd.StartScripted(t, func([]string) redisd.Answer { return redisd.Answer{Silent: true} })
	c := dial(t, s.Addr)
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		_, err := read(ctx, c, "x")
		cancel()
		if reason(err) == "" {
			t.Fatal(err)
		}
	}
	if st := c.Status(); !st.Up || len(st.Faults) != 0 {
		t.Errorf("callers without patience count against the store: %+v", st)
	}
}

func TestAnswersOfScripts(t *testing.T) {
	s := redistest.Server(t)
	for name, c := range map[string]*conn.Conn{"redis": redistest.Empty(t, s), "mini": redistest.Mini(t)} {
		t.Run(name, func(t *testing.T) {
			no := conn.Script(`return redis.error_reply("POSTERN gone")`)
			for range 20 {
				var cmd *redis.Cmd
				_, err := c.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) {
					p.Set(t.Context(), c.Key("{a}"), "1", 0)
					cmd = no.Run(t.Context(), p, []string{c.Key("{a}")})
					p.Get(t.Context(), c.Key("none"))
				})
				if err != nil || conn.Refused(cmd.Err()) != "gone" {
					t.Fatal(err, cmd.Err())
				}
				mine := errors.New("mine")
				err = c.Do(t.Context(), conn.Write, func(context.Context, redis.UniversalClient) error { return conn.Answer(mine) })
				if !errors.Is(err, mine) || errors.Is(err, conn.ErrAway) {
					t.Fatal(err)
				}
			}
			if st := c.Status(); !st.Up || len(st.Faults) != 0 {
				t.Errorf("%+v", st)
			}
			if conn.Answer(nil) != nil || conn.Refused(nil) != "" || conn.Refused(errors.New("OOM")) != "" {
				t.Error("nothing became something")
			}
			if cmds, err := c.Pipe(t.Context(), conn.Lookup, func(redis.Pipeliner) {}); err != nil || cmds != nil {
				t.Error(cmds, err)
			}
		})
	}
}

func TestAChangedKeyIsAnAnswer(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	err := c.Do(t.Context(), conn.Write, func(ctx context.Context, r redis.UniversalClient) error {
		return r.Watch(ctx, func(tx *redis.Tx) error {
			if err := r.Set(ctx, c.Key("{w}"), "other", 0).Err(); err != nil {
				return err
			}
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, c.Key("{w}"), "mine", 0)
				return nil
			})
			return err
		}, c.Key("{w}"))
	})
	if !errors.Is(err, redis.TxFailedErr) || errors.Is(err, conn.ErrAway) {
		t.Error(err)
	}
}

func TestTripsAndCommands(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	read(t.Context(), c, "x") // connects
	before := c.Status()
	read(t.Context(), c, "x")
	if _, err := c.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) {
		for range 10 {
			p.Incr(t.Context(), c.Key("n"))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if after := c.Status(); after.Trips-before.Trips != 2 || after.Commands-before.Commands != 11 || c.Trips() != after.Trips {
		t.Errorf("%+v, then %+v", before, after)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []conn.Options{
		{},
		{Addrs: []string{"a:1"}, Prefix: "a{b}"},
		{Addrs: []string{"a:1"}, Prefix: "a*"},
		{Addrs: []string{"a:1"}, Prefix: "a b"},
		{Addrs: []string{"a:1"}, Prefix: strings.Repeat("a", 65)},
		{Addrs: []string{"a:1"}, Cluster: true, Sentinel: "m"},
	} {
		if c, err := conn.Open(o); err == nil {
			c.Close()
			t.Errorf("%+v was taken", o)
		}
	}
	c, err := conn.Open(conn.Options{Addrs: []string{"a:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Key() != "postern" || c.Key("a", "{b}") != "postern:a:{b}" {
		t.Error(c.Key("a", "{b}"))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := read(t.Context(), c, "x"); reason(err) != "closed" {
		t.Error(err)
	}
	if err := c.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		t.Error(err)
	}
	if conn.Hash("a", "b") == conn.Hash("ab") || conn.Hash("a", "") == conn.Hash("a") || len(conn.Hash()) != 32 {
		t.Error("fields run into each other")
	}
}
