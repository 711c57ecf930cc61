package redisd

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// MasterName is what the sentinels call the master they watch.
const MasterName = "postern"

// Sentinel is a master with replicas, and three sentinels that replace a master that is gone.
type Sentinel struct {
	Servers []*Server // the first began as the master
	Addrs   []string  // of the sentinels; "default" with Password

	watchers []*Server
	timing   Timing
}

// Timing is how fast sentinels act. The zero value is faster than people set it up: they talk
// every 200 ms, and take a silent master for dead after half a second.
type Timing struct{ DownAfter, Failover time.Duration }

// StartSentinel starts a master, its replicas (at least one) and three fast sentinels, and waits
// until all know each other.
func StartSentinel(t testing.TB, replicas int, o Options) *Sentinel {
	t.Helper()
	return StartSentinelWith(t, replicas, o, Timing{})
}

// StartSentinelWith is StartSentinel with sentinels as they are set up somewhere.
func StartSentinelWith(t testing.TB, replicas int, o Options, timing Timing) *Sentinel {
	t.Helper()
	o.Args = append([]string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}, o.Args...)
	s := &Sentinel{timing: timing}
	for i := range 1 + max(replicas, 1) {
		server := prepared(t, o)
		if i == 0 {
			server.Run(t)
		} else {
			server.RunWith(t, replicaOf(s.Servers[0])...)
		}
		s.Servers = append(s.Servers, server)
	}
	for range 3 {
		w := s.watcher(t)
		s.watchers, s.Addrs = append(s.watchers, w), append(s.Addrs, w.Addr)
	}
	until(t, "sentinels", s.missing)
	return s
}

// watcher starts one sentinel. It keeps what it learns in its own configuration file.
func (s *Sentinel) watcher(t testing.TB) *Server {
	t.Helper()
	w := prepared(t, Options{})
	host, port, err := net.SplitHostPort(s.Servers[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	_, own, err := net.SplitHostPort(w.Addr)
	if err != nil {
		t.Fatal(err)
	}
	file, timing := filepath.Join(w.Dir, "sentinel.conf"), s.timing
	if timing == (Timing{}) {
		timing = Timing{500 * time.Millisecond, 2 * time.Second}
	}
	text := fmt.Sprintf(`port %[1]s
bind 127.0.0.1
dir %[2]s
logfile %[2]s/log
user default on >%[3]s ~* &* +@all
sentinel sentinel-user default
sentinel sentinel-pass %[3]s
sentinel monitor %[4]s %[5]s %[6]s 2
sentinel auth-user %[4]s default
sentinel auth-pass %[4]s %[3]s
sentinel down-after-milliseconds %[4]s %[7]d
sentinel failover-timeout %[4]s %[8]d
sentinel parallel-syncs %[4]s 2
`, own, w.Dir, Password, MasterName, host, port, timing.DownAfter.Milliseconds(), timing.Failover.Milliseconds())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.args = []string{file, "--sentinel"}
	w.Run(t)
	if s.timing != (Timing{}) {
		return w
	}
	c := w.Client()
	defer end(c)
	// Sentinels talk every second or two; here they talk five times as often.
	for _, period := range []string{"info-period", "publish-period", "ask-period", "ping-period"} {
		if err := c.Do(context.Background(), "sentinel", "debug", period, "200").Err(); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// missing says what keeps the sentinels from replacing a master right now.
func (s *Sentinel) missing(ctx context.Context) string {
	live := 0
	for _, server := range s.Servers {
		if server.running() {
			live++
		}
	}
	for _, w := range s.watchers {
		m, err := w.sentinel(ctx, func(ctx context.Context, c *redis.SentinelClient) (map[string]string, error) {
			return c.Master(ctx, MasterName).Result()
		})
		if err != nil {
			return err.Error()
		}
		if m["flags"] != "master" || m["num-other-sentinels"] != "2" {
			return fmt.Sprintf("sentinel %s: %s with %s others", w.Addr, m["flags"], m["num-other-sentinels"])
		}
		if n, _ := strconv.Atoi(m["num-slaves"]); n < live-1 {
			return fmt.Sprintf("sentinel %s knows %d replicas of %d", w.Addr, n, live-1)
		}
	}
	return s.unlinked(ctx)
}

// unlinked says which replica does not follow the master yet.
func (s *Sentinel) unlinked(ctx context.Context) string {
	masters := 0
	for _, server := range s.Servers {
		if !server.running() {
			continue
		}
		switch server.Role(ctx) {
		case "master":
			masters++
		case "slave":
			if server.replication(ctx, "master_link_status") != "up" {
				return server.Addr + " does not follow"
			}
		default:
			return server.Addr + " does not answer"
		}
	}
	if masters != 1 {
		return fmt.Sprintf("%d masters", masters)
	}
	return ""
}

// Tell says something to every sentinel.
func (s *Sentinel) Tell(t testing.TB, words ...any) {
	t.Helper()
	for _, w := range s.watchers {
		c := w.Client()
		err := c.Do(context.Background(), words...).Err()
		end(c)
		if err != nil {
			t.Fatalf("%v: %v", words, err)
		}
	}
}

// Elections counts how often a sentinel wanted to be the one that replaces a master: more than
// once for a failover where they could not agree.
func (s *Sentinel) Elections(t testing.TB) (n int) {
	t.Helper()
	for _, w := range s.watchers {
		text, err := os.ReadFile(filepath.Join(w.Dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(string(text), "+try-failover")
	}
	return n
}

func (s *Server) sentinel(ctx context.Context, f func(context.Context, *redis.SentinelClient) (map[string]string, error)) (map[string]string, error) {
	c := redis.NewSentinelClient(&redis.Options{Addr: s.Addr, Username: "default", Password: Password, Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true})
	defer end(c)
	return f(ctx, c)
}

// Master is the master that the sentinels name.
func (s *Sentinel) Master(t testing.TB) *Server {
	t.Helper()
	m, err := s.master(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (s *Sentinel) master(ctx context.Context) (*Server, error) {
	var last error
	for _, w := range s.watchers {
		m, err := w.sentinel(ctx, func(ctx context.Context, c *redis.SentinelClient) (map[string]string, error) {
			return c.Master(ctx, MasterName).Result()
		})
		if err != nil {
			last = err
			continue
		}
		addr := net.JoinHostPort(m["ip"], m["port"])
		for _, server := range s.Servers {
			if server.Addr == addr {
				return server, nil
			}
		}
		last = fmt.Errorf("sentinel %s names %s", w.Addr, addr)
	}
	return nil, last
}

// Fail kills the master and returns it with the one that took its place.
func (s *Sentinel) Fail(t testing.TB) (dead, master *Server) {
	t.Helper()
	dead = s.Master(t)
	dead.Kill()
	return dead, s.Failover(t, dead)
}

// Failover waits until a server other than the one that is gone is the master.
func (s *Sentinel) Failover(t testing.TB, gone *Server) (master *Server) {
	t.Helper()
	until(t, "failover", func(ctx context.Context) string {
		m, err := s.master(ctx)
		switch {
		case err != nil:
			return err.Error()
		case m == gone:
			return "the sentinels still name " + m.Addr
		case m.Role(ctx) != "master":
			return m.Addr + " is no master"
		}
		master = m
		return ""
	})
	return master
}

// Restart starts a killed server again as a replica of the master, and waits until it follows.
func (s *Sentinel) Restart(t testing.TB, dead *Server) {
	t.Helper()
	dead.RunWith(t, replicaOf(s.Master(t))...)
	until(t, "restart", s.missing)
}

func replicaOf(master *Server) []string {
	host, port, _ := net.SplitHostPort(master.Addr)
	return []string{"--replicaof", host + " " + port}
}
