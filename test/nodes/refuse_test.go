package nodes_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/cmd/postern/calls"
	"postern/internal/mailtest/redisd"
	"postern/test/rig"
	"postern/test/world"
)

// refusal is a way in which a store does not serve, and how that ends.
type refusal struct {
	name        string
	begin, heal func()
}

// refused lets one refusal after the other come and go.
func refusedBy(t *testing.T, r *rig.Rig, all ...refusal) {
	t.Helper()
	back(t, "at first", r)
	for _, c := range all {
		c.begin()
		for range 5 {
			away(t, c.name, r)
		}
		c.heal()
		back(t, c.name, r)
	}
	lines(t, r)
}

// say is admin by the Unix socket.
func say(t *testing.T, s *redisd.Server, words ...any) string {
	t.Helper()
	c := s.Local()
	defer c.Close()
	out, err := c.Do(t.Context(), words...).Result()
	if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	return fmt.Sprint(out)
}

// F8: Redis is loading its data, cannot write to its disk, or has another password.
func TestF8RedisNotReady(t *testing.T) {
	s := single(t)
	f, _ := fleet(t, at(s.Addr), 1, rig.Options{})
	dump := filepath.Join(s.Dir, "dump.rdb")
	refusedBy(t, f.Nodes[0],
		refusal{"LOADING", func() {
			admin(t, s, "EVAL", "for i = 1, 12000 do redis.call('SET', 'x:' .. i, '') end return 1", 0)
			s.Kill()
			s.Begin(t, "--key-load-delay", "400")
			world.Await(t, "it says that it is loading", 20*time.Second, func() bool { return ping(s) == "LOADING" })
		}, func() {
			if state := ping(s); state != "LOADING" {
				t.Errorf("it was loaded meanwhile: %s", state)
			}
			world.Await(t, "it is loaded", time.Minute, func() bool { return ping(s) == "" })
		}},
		refusal{"MISCONF", func() {
			must(t, os.Mkdir(dump, 0o700)) // no file can take its place
			admin(t, s, "CONFIG", "SET", "save", "3600 1")
			admin(t, s, "BGSAVE")
			world.Await(t, "the dump fails", 20*time.Second, func() bool {
				return strings.Contains(admin(t, s, "INFO", "persistence"), "rdb_last_bgsave_status:err")
			})
		}, func() {
			must(t, os.Remove(dump))
			admin(t, s, "BGSAVE")
			world.Await(t, "the dump is made", 20*time.Second, func() bool {
				return strings.Contains(admin(t, s, "INFO", "persistence"), "rdb_last_bgsave_status:ok")
			})
		}},
		refusal{"WRONGPASS", func() {
			admin(t, s, "ACL", "SETUSER", rig.User, "resetpass", ">another")
			admin(t, s, "CLIENT", "KILL", "USER", rig.User)
		}, func() { admin(t, s, "ACL", "SETUSER", rig.User, "resetpass", ">"+redisd.Password) }},
	)
}

// ping is the code with which a server refuses, or "".
func ping(s *redisd.Server) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c := s.Client()
	defer c.Close()
	if err := c.Ping(ctx).Err(); err != nil {
		code, _, _ := strings.Cut(err.Error(), " ")
		return code
	}
	return ""
}

// F8: the server shows a certificate of somebody else.
func TestF8RedisTLS(t *testing.T) {
	s := redisd.Start(t, redisd.Options{ACL: rig.ACL(), TLS: true})
	other := redisd.Start(t, redisd.Options{TLS: true})
	say(t, s, "SET", "postern:born", time.Now().Add(-time.Hour).UnixMilli())
	store := fmt.Sprintf("%s, tls: {ca: %[2]s/ca.pem, server_name: localhost, cert: %[2]s/client.pem, key: %[2]s/client.key}", at(s.Addr), s.Dir)
	f, _ := fleet(t, store, 1, rig.Options{})
	with := func(dir string) func() {
		return func() {
			say(t, s, "CONFIG", "SET", "tls-cert-file", filepath.Join(dir, "server.pem"), "tls-key-file", filepath.Join(dir, "server.key"))
			say(t, s, "CLIENT", "KILL", "USER", rig.User)
		}
	}
	refusedBy(t, f.Nodes[0], refusal{"another authority", with(other.Dir), with(s.Dir)})
}

// F8: the sentinels let nobody in, or know no master.
func TestF8SentinelErrors(t *testing.T) {
	s := sentinel(t, 1)
	s.Tell(t, "ACL", "SETUSER", "looker", "on", ">"+redisd.Password, "allcommands", "allchannels")
	f, _ := fleet(t, strings.ReplaceAll(atSentinel(s), "user: default", "user: looker"), 1, rig.Options{})
	master := s.Master(t)
	apart := func() { admin(t, master, "CLIENT", "KILL", "USER", rig.User) } // it has to be looked for again
	refusedBy(t, f.Nodes[0],
		refusal{"sentinels refuse the login", func() {
			s.Tell(t, "ACL", "SETUSER", "looker", "resetpass", ">another")
			s.Tell(t, "CLIENT", "KILL", "USER", "looker")
			apart()
		}, func() { s.Tell(t, "ACL", "SETUSER", "looker", "resetpass", ">"+redisd.Password) }},
		refusal{"sentinels know no master", func() {
			s.Tell(t, "SENTINEL", "REMOVE", redisd.MasterName)
			apart()
		}, func() {
			host, port, err := net.SplitHostPort(master.Addr)
			must(t, err)
			s.Tell(t, "SENTINEL", "MONITOR", redisd.MasterName, host, port, 2)
			s.Tell(t, "SENTINEL", "SET", redisd.MasterName, "auth-user", "default", "auth-pass", redisd.Password)
		}},
	)
}

// A node with another key keeps its hands off what the others have sealed.
func TestF8OtherKey(t *testing.T) {
	s := single(t)
	f, _, _ := apart(t, at(s.Addr), 2)
	one, two := f.Nodes[0], f.Nodes[1]
	two.WriteFile("seal.key", strings.Repeat("a5", 32)+"\n")
	one.Start()
	one.Ready()
	suspend := func(r *rig.Rig, who string) error {
		return r.TryCall("account.suspend", calls.AccountChange{Name: who, Reason: "spam"}, nil)
	}
	must(t, suspend(one, "ann@example.com"))
	must(t, toHold(one))
	before, dec := ids(one.Holds()), sealedIn(t, s)
	two.Start()
	for range 5 {
		away(t, "another key", two)
	}
	_ = suspend(two, "ann@example.com") // whatever it says: it stays on that node
	_ = suspend(two, "bea@example.com")
	world.Await(t, "it is said why", time.Minute, func() bool { return strings.Contains(two.Log(), "sealed with another key than store.key_file has") })
	if now := sealedIn(t, s); fmt.Sprint(now) != fmt.Sprint(dec) {
		t.Errorf("the decisions in the store were %q and are %q", dec, now)
	}
	if long() {
		admin(t, s, "FLUSHALL")
		world.Await(t, "the store is given back to those whose it is", 2*time.Minute, func() bool { return one.TryCall("status", nil, nil) == nil && len(sealedIn(t, s)) == len(dec) })
		away(t, "another key, emptied", two)
		world.Await(t, "all holds are there again", time.Minute, func() bool {
			var all []abuse.Account
			return fmt.Sprint(ids(one.Holds())) == fmt.Sprint(before) && one.TryCall("account.list", struct{}{}, &all) == nil && len(all) == 1
		})
	}
	must(t, two.Stop())
	two.WriteFile("seal.key", strings.Repeat("5a", 32)+"\n")
	two.Start()
	back(t, "the right key", two)
}

// sealedIn are the decisions that stand in the store.
func sealedIn(t *testing.T, s *redisd.Server) map[string]string {
	t.Helper()
	c := s.Client()
	defer c.Close()
	out := map[string]string{}
	keys, err := c.Keys(t.Context(), "*{dec}*").Result()
	must(t, err)
	for _, k := range keys {
		if all, err := c.HGetAll(t.Context(), k).Result(); err == nil {
			for f, v := range all {
				out[k+" "+f] = v
			}
		}
	}
	return out
}
