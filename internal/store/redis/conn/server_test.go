package conn_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
)

// us is our user at a server.
func us(addrs ...string) conn.Options {
	return conn.Options{Addrs: addrs, User: redistest.User, Password: redisd.Password}
}

// all has everything that the package itself asks of a server go through a connection.
func all(t *testing.T, c *conn.Conn) {
	t.Helper()
	if err := write(t.Context(), c, "x", "1"); err != nil {
		t.Fatal(err)
	}
	if v, err := patient(t.Context(), c, "x"); err != nil || v != "1" {
		t.Fatal(v, err)
	}
	if err := c.Masters(t.Context(), func(ctx context.Context, r *redis.Client) error { return r.Ping(ctx).Err() }); err != nil {
		t.Fatal(err)
	}
	if found, err := c.Strict(t.Context()); err != nil || len(found) != 0 {
		t.Fatal(found, err)
	}
	if cmd := conn.Script(`return redis.call("get", KEYS[1])`).Run(t.Context(), c.Client(), []string{c.Key("x")}); cmd.Val() != "1" {
		t.Fatal(cmd.Err())
	}
}

// denied is what a server refused for want of rights.
func denied(t *testing.T, s *redisd.Server) []string {
	t.Helper()
	admin := s.Client()
	defer admin.Close()
	log, err := admin.Do(t.Context(), "acl", "log").Slice()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, entry := range log {
		out = append(out, fmt.Sprint(entry))
	}
	return out
}

func TestWaysToAServer(t *testing.T) {
	s := redistest.Server(t)
	t.Run("tcp", func(t *testing.T) { all(t, redistest.Connect(t, us(s.Addr))) })
	t.Run("unix", func(t *testing.T) { all(t, redistest.Connect(t, us("unix:"+s.Socket))) })
	if got := denied(t, s); len(got) != 0 {
		t.Error("beyond the rights of our user: ", got)
	}
}

func TestTLS(t *testing.T) {
	s := redisd.Start(t, redisd.Options{TLS: true, ACL: conn.Rule(redistest.User, redisd.Password, conn.DefaultPrefix)})
	o := us(s.Addr)
	o.TLS = s.TLS
	c := redistest.Connect(t, o)
	all(t, c)
	c = redistest.Connect(t, o)
	var wg sync.WaitGroup
	for range 20 { // several connections that are open when the server goes
		wg.Go(func() {
			if err := write(t.Context(), c, "x", "1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s.Kill()
	s.Run(t)
	for range 10 {
		if err := write(t.Context(), c, "x", "1"); err != nil {
			t.Fatal("a connection of before the restart was used: ", err)
		}
	}
	for name, bad := range map[string]*tls.Config{
		"no certificate of a client": {RootCAs: s.TLS.RootCAs, ServerName: "localhost"},
		"an authority of nobody":     {Certificates: s.TLS.Certificates, ServerName: "localhost"},
		"another name":               {RootCAs: s.TLS.RootCAs, Certificates: s.TLS.Certificates, ServerName: "example.com"},
	} {
		o.TLS = bad
		if _, err := read(t.Context(), redistest.Connect(t, o), "x"); reason(err) == "" {
			t.Errorf("%s: %v", name, err)
		} else {
			t.Log(name, ": ", err)
		}
	}
	o.TLS = nil
	if _, err := read(t.Context(), redistest.Connect(t, o), "x"); reason(err) == "" {
		t.Error("without TLS: ", err)
	}
}

func TestOutOfMemory(t *testing.T) {
	s := redistest.Server(t, "--maxmemory", "2mb")
	c := redistest.Empty(t, s)
	if err := write(t.Context(), c, "x", "1"); err != nil {
		t.Fatal(err)
	}
	var full error
	for i := 0; full == nil && i < 1000; i++ {
		full = write(t.Context(), c, fmt.Sprint("fill", i), strings.Repeat("x", 10_000))
	}
	if reason(full) != "out of memory" {
		t.Fatal(full)
	}
	for range 20 {
		if err := write(t.Context(), c, "more", strings.Repeat("x", 10_000)); reason(err) != "out of memory" {
			t.Fatal(err)
		}
		if v, err := patient(t.Context(), c, "x"); err != nil || v != "1" {
			t.Fatal("a lookup on a full server: ", v, err)
		}
	}
	script := conn.Script(`return redis.call("set", KEYS[1], ARGV[1])`)
	if _, err := c.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) { script.Run(t.Context(), p, []string{c.Key("y")}, "1") }); reason(err) != "out of memory" {
		t.Error("a script on a full server: ", err)
	}
	if st := c.Status(); st.Up || st.Reason != "out of memory" {
		t.Errorf("%+v", st)
	}
	if _, err := c.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) {
		for i := range 100 {
			p.Del(t.Context(), c.Key(fmt.Sprint("fill", i)))
		}
	}); err != nil {
		t.Fatal("what frees the server did not get through: ", err)
	}
	if err := write(t.Context(), c, "x", "2"); err != nil {
		t.Error(err)
	}
}

func TestAReplicaThatWasTheMaster(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	if err := write(t.Context(), c, "x", "1"); err != nil {
		t.Fatal(err)
	}
	admin := s.Client()
	defer admin.Close()
	if err := admin.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := write(t.Context(), c, "x", "2"); reason(err) != "read-only replica" {
			t.Fatal(err)
		}
		if v, err := patient(t.Context(), c, "x"); err != nil || v != "1" {
			t.Fatal(v, err)
		}
	}
	if err := admin.ConfigSet(t.Context(), "replica-serve-stale-data", "no").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a replica without its master", func() bool {
		_, err := read(t.Context(), c, "x")
		return reason(err) == "a replica without its master"
	})
	if err := admin.ReplicaOf(t.Context(), "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes", func() bool { return write(t.Context(), c, "x", "3") == nil })
	eventually(t, "lookups", func() bool { v, _ := read(t.Context(), c, "x"); return v == "3" })
}

func TestTooFewReplicas(t *testing.T) {
	s := redistest.Server(t, "--min-replicas-to-write", "1")
	c := redistest.Connect(t, us(s.Addr))
	for range 10 {
		if err := write(t.Context(), c, "x", "1"); reason(err) != "too few replicas" {
			t.Fatal(err)
		}
		if _, err := patient(t.Context(), c, "x"); !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
	}
}

func TestRights(t *testing.T) {
	s := redistest.Server(t)
	admin := s.Client()
	defer admin.Close()
	for name, o := range map[string]conn.Options{
		"wrong password": {Addrs: []string{s.Addr}, User: redistest.User, Password: "wrong"},
		"wrong user":     {Addrs: []string{s.Addr}, User: "nobody", Password: redisd.Password},
		"no user":        {Addrs: []string{s.Addr}},
	} {
		c := redistest.Connect(t, o)
		for range 7 {
			if _, err := patient(t.Context(), c, "x"); reason(err) != "login refused" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	c := redistest.Connect(t, us(s.Addr))
	other := func() error {
		return c.Do(t.Context(), conn.Write, func(ctx context.Context, r redis.UniversalClient) error { return r.Get(ctx, "other:x").Err() })
	}
	for range 10 {
		if err := other(); reason(err) != "not allowed" {
			t.Fatal("a key that is not ours: ", err)
		}
		if _, err := patient(t.Context(), c, "x"); !errors.Is(err, redis.Nil) {
			t.Fatal("one command that is not allowed stops the others: ", err)
		}
	}
	if err := admin.Do(t.Context(), "acl", "setuser", redistest.User, "-set", "-config|get").Err(); err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), c, "x", "1"); reason(err) != "not allowed" {
		t.Error(err)
	}
	found, err := c.Strict(t.Context())
	if err != nil || len(found) != 4 || !strings.Contains(found[0], "appendfsync cannot be asked (not allowed)") {
		t.Error(found, err)
	}
	if err := admin.Do(t.Context(), "acl", "setuser", redistest.User, "off").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.Do(t.Context(), "client", "kill", "user", redistest.User).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "login refused", func() bool { _, err := read(t.Context(), c, "x"); return reason(err) == "login refused" })
	if err := admin.Do(t.Context(), "acl", "setuser", redistest.User, "on").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "back", func() bool { _, err := read(t.Context(), c, "x"); return errors.Is(err, redis.Nil) })
}

// TestRule reads the line as a server does, with the prefix of somebody else beside it.
func TestRule(t *testing.T) {
	s := redisd.Start(t, redisd.Options{ACL: conn.Rule("a", "pass word > #1", "mine") + "\n" + conn.Rule("b", "x", "other.1")})
	o := conn.Options{Addrs: []string{s.Addr}, User: "a", Password: "pass word > #1", Prefix: "mine"}
	c := redistest.Connect(t, o)
	all(t, c)
	for _, cmd := range [][]any{
		{"get", "other.1:x"}, {"get", "mine"}, {"flushall"}, {"keys", "*"}, {"config", "set", "appendonly", "no"}, {"acl", "whoami"}, {"publish", "other.1:ev", "x"},
		{"function", "list"}, {"client", "list"}, {"debug", "sleep", "0"}, {"shutdown"}, {"replicaof", "no", "one"}, {"eval", "return redis.call('get', 'other.1:x')", "0"},
	} {
		if err := c.Client().Do(t.Context(), cmd...).Err(); err == nil || errors.Is(err, redis.Nil) {
			t.Errorf("%v was allowed: %v", cmd, err)
		}
	}
	if text := conn.Rule("a", "secret", "mine"); strings.Contains(text, "secret") || strings.Contains(text, "\n") {
		t.Error(text)
	}
	sorted := slices.Clone(conn.Commands)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != len(conn.Commands) {
		t.Error("a command is there twice")
	}
}

func TestStrict(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	admin := s.Client()
	defer admin.Close()
	for name, value := range map[string][2]string{
		"appendonly": {"no", "yes"}, "appendfsync": {"everysec", "always"}, "no-appendfsync-on-rewrite": {"yes", "no"}, "maxmemory-policy": {"allkeys-lru", "noeviction"},
	} {
		if found, err := c.Strict(t.Context()); err != nil || len(found) != 0 {
			t.Fatal(found, err)
		}
		if err := admin.ConfigSet(t.Context(), name, value[0]).Err(); err != nil {
			t.Fatal(err)
		}
		found, err := c.Strict(t.Context())
		if want := fmt.Sprintf("%s: %s is %q, not %q", s.Addr, name, value[0], value[1]); err != nil || len(found) != 1 || found[0] != want {
			t.Error(found, err)
		}
		if err := admin.ConfigSet(t.Context(), name, value[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"*0\r\n":                               "is not a setting of this server", // Kvrocks
		"-ERR unknown command 'config'\r\n":    "cannot be asked (unknown command)",
		"-ERR CONFIG is disabled here\r\n":     "cannot be asked (refused)",
		"*2\r\n$1\r\nx\r\n$3\r\nyes\r\n":       "is not a setting of this server",
		"-NOPERM no permissions to run it\r\n": "cannot be asked (not allowed)",
	} {
		s := redisd.StartScripted(t, func([]string) redisd.Answer { return redisd.Answer{Text: text} })
		if found, err := dial(t, s.Addr).Strict(t.Context()); err != nil || len(found) != 4 || !strings.HasSuffix(found[0], want) {
			t.Errorf("%q: %q, %v", text, found, err)
		}
	}
	quiet := redisd.StartScripted(t, func([]string) redisd.Answer { return redisd.Answer{Close: true} })
	if found, err := dial(t, quiet.Addr).Strict(t.Context()); !errors.Is(err, conn.ErrAway) || found != nil {
		t.Error(found, err)
	}
}

func TestSentinel(t *testing.T) {
	rule := conn.Rule(redistest.User, redisd.Password, conn.DefaultPrefix)
	set := redisd.StartSentinel(t, 1, redisd.Options{ACL: rule})
	o := us(set.Addrs...)
	o.Sentinel, o.SentinelUser, o.SentinelPassword = redisd.MasterName, "default", redisd.Password
	c := redistest.Connect(t, o)
	all(t, c)
	set.Fail(t)
	eventually(t, "writes go to the new master", func() bool { return write(t.Context(), c, "y", "2") == nil })
	if v, err := patient(t.Context(), c, "y"); err != nil || v != "2" {
		t.Error(v, err)
	}
	o.SentinelPassword = "wrong"
	if _, err := read(t.Context(), redistest.Connect(t, o), "x"); reason(err) == "" {
		t.Error("sentinels with the wrong password: ", err)
	}
	for _, s := range set.Servers {
		if s != set.Master(t) {
			continue
		}
		if got := denied(t, s); len(got) != 0 {
			t.Error("beyond the rights of our user: ", got)
		}
	}
}

// TestAFrozenMaster has the master and a sentinel freeze, so that nobody closes a connection.
func TestAFrozenMaster(t *testing.T) {
	set := redisd.StartSentinel(t, 1, redisd.Options{ACL: conn.Rule(redistest.User, redisd.Password, conn.DefaultPrefix)})
	o := us(set.Addrs...)
	o.Sentinel, o.SentinelUser, o.SentinelPassword = redisd.MasterName, "default", redisd.Password
	c := redistest.Connect(t, o)
	all(t, c)
	old := set.Master(t)
	if err := old.Stop(); err != nil {
		t.Fatal(err)
	}
	set.Failover(t, old)
	eventually(t, "writes go to the new master", func() bool { return write(t.Context(), c, "y", "2") == nil })
	if err := old.Continue(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := write(t.Context(), c, "z", "3"); err != nil {
			t.Error("after the old master is back: ", err)
		}
	}
}

func TestCluster(t *testing.T) {
	cluster := redisd.StartCluster(t, 3, 3, redisd.Options{ACL: conn.Rule(redistest.User, redisd.Password, conn.DefaultPrefix)})
	c := redistest.Connect(t, us(cluster.Addrs()...))
	all(t, c)
	one := us(cluster.Addrs()[0])
	one.Cluster = true
	all(t, redistest.Connect(t, one))
	var masters []string
	var mu sync.Mutex
	if err := c.Masters(t.Context(), func(_ context.Context, r *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		masters = append(masters, r.Options().Addr)
		return nil
	}); err != nil || len(masters) != 3 {
		t.Fatal(masters, err)
	}
	before := c.Trips()
	if _, err := c.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) {
		for i := range 30 {
			p.Set(t.Context(), c.Key(fmt.Sprint("k", i)), "v", 0)
		}
	}); err != nil || c.Trips()-before != 1 {
		t.Fatal(err, c.Trips()-before)
	}
	cluster.Fail(t, cluster.Masters(t)[0])
	works := func() {
		for i := range 30 {
			eventually(t, "every key is there", func() bool {
				v, err := read(t.Context(), c, fmt.Sprint("k", i))
				return err == nil && strings.HasPrefix(v, "v")
			})
			eventually(t, "every key is written", func() bool { return write(t.Context(), c, fmt.Sprint("k", i), "vv") == nil })
		}
	}
	works()
	frozen := cluster.Masters(t)[0]
	if err := frozen.Stop(); err != nil {
		t.Fatal(err)
	}
	works()
	if err := frozen.Continue(); err != nil {
		t.Fatal(err)
	}
	cluster.Settled(t)
	works()
	for _, s := range cluster.Masters(t) {
		if got := denied(t, s); len(got) != 0 {
			t.Error("beyond the rights of our user: ", got)
		}
	}
}

// TestOneServerOfAClusterRests has one master go for good: the others are asked as before.
func TestOneServerOfAClusterRests(t *testing.T) {
	cluster := redisd.StartCluster(t, 3, 0, redisd.Options{
		ACL: conn.Rule(redistest.User, redisd.Password, conn.DefaultPrefix), Args: []string{"--cluster-require-full-coverage", "no"},
	})
	c := redistest.Connect(t, us(cluster.Addrs()...))
	all(t, c)
	gone := cluster.Masters(t)[0]
	on := map[string]bool{}
	for i := range 60 {
		key := fmt.Sprint("k", i)
		on[key] = cluster.Master(t, c.Key(key)) == gone
	}
	if err := gone.Stop(); err != nil {
		t.Fatal(err)
	}
	lost, kept := 0, 0
	for key, gone := range on {
		_, err := read(t.Context(), c, key)
		if gone {
			if lost++; reason(err) == "" {
				t.Errorf("%s: %v", key, err)
			}
			continue
		}
		kept++
		if _, err := patient(t.Context(), c, key); !errors.Is(err, redis.Nil) {
			t.Errorf("%s is on a master that lives: %v", key, err)
		}
	}
	if lost < 6 || kept < 6 {
		t.Fatal(lost, kept)
	}
	if err := gone.Continue(); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		eventually(t, "every key", func() bool { _, err := read(t.Context(), c, fmt.Sprint("k", i)); return errors.Is(err, redis.Nil) })
	}
}
