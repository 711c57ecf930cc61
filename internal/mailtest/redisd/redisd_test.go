package redisd_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest/redisd"
)

func TestServerLivesAgainWithWhatItHad(t *testing.T) {
	s := redisd.Start(t, redisd.Options{})
	set(t, s, "k", "v")
	s.Kill()
	s.Run(t)
	if got := get(t, s, "k"); got != "v" {
		t.Errorf("after the kill: %q", got)
	}
}

func TestTLSTakesOnlyClientsWithACertificate(t *testing.T) {
	s := redisd.Start(t, redisd.Options{TLS: true})
	set(t, s, "k", "v")
	if got := get(t, s, "k"); got != "v" {
		t.Errorf("over TLS: %q", got)
	}
	s.TLS = s.TLS.Clone()
	s.TLS.Certificates = nil
	without := s.Client()
	defer without.Close()
	if err := without.Ping(t.Context()).Err(); err == nil {
		t.Error("a client without a certificate got in")
	}
	s.TLS = nil
	plain := s.Client()
	defer plain.Close()
	if err := plain.Ping(t.Context()).Err(); err == nil {
		t.Error("a client without TLS got in")
	}
}

func TestSentinelReplacesAMaster(t *testing.T) {
	s := redisd.StartSentinel(t, 1, redisd.Options{})
	set(t, s.Master(t), "k", "v")
	replicated(t, s.Master(t), 1)
	dead, master := s.Fail(t)
	if master == dead {
		t.Fatal("the dead master is still the master")
	}
	if got := get(t, master, "k"); got != "v" {
		t.Errorf("on the new master: %q", got)
	}
	set(t, master, "k", "w")
	s.Restart(t, dead)
	if role := dead.Role(t.Context()); role != "slave" {
		t.Errorf("the one that came back is a %q", role)
	}
	replicated(t, master, 1)
	if again, _ := s.Fail(t); again != master {
		t.Error("Fail did not kill the master of now")
	}
	if got := get(t, s.Master(t), "k"); got != "w" {
		t.Errorf("after the second failover: %q", got)
	}
}

func TestClusterReplacesAMaster(t *testing.T) {
	began := time.Now()
	c := redisd.StartCluster(t, 3, 3, redisd.Options{})
	t.Logf("started in %s", time.Since(began))
	if n := len(c.Masters(t)); n != 3 {
		t.Fatalf("%d masters", n)
	}
	owners := map[*redisd.Server]int{}
	for i := range 30 {
		key := fmt.Sprint("k", i)
		m := c.Master(t, key)
		owners[m]++
		set(t, m, key, key)
	}
	if len(owners) != 3 {
		t.Errorf("30 keys are on %d masters", len(owners))
	}
	dead := c.Master(t, "k0")
	replicated(t, dead, 1)
	began = time.Now()
	c.Fail(t, dead)
	t.Logf("failed over in %s", time.Since(began))
	if got := get(t, c.Master(t, "k0"), "k0"); got != "k0" {
		t.Errorf("on the new master: %q", got)
	}
	c.Restart(t, dead)
	if role := dead.Role(t.Context()); role != "slave" {
		t.Errorf("the one that came back is a %q", role)
	}
}

func TestNothingIsLeftOfACluster(t *testing.T) {
	var addrs []string
	t.Run("starts", func(t *testing.T) {
		c := redisd.StartCluster(t, 3, 0, redisd.Options{})
		addrs = c.Addrs()
	})
	for _, addr := range addrs {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s still answers", addr)
		}
	}
}

func set(t *testing.T, s *redisd.Server, key, value string) {
	t.Helper()
	c := s.Client()
	defer c.Close()
	if err := c.Set(t.Context(), key, value, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *redisd.Server, key string) string {
	t.Helper()
	c := s.Client()
	defer c.Close()
	v, err := c.Get(t.Context(), key).Result()
	if err != nil && !strings.Contains(err.Error(), "nil") {
		t.Fatal(err)
	}
	return v
}

// replicated waits until replicas have all that was written so far.
func replicated(t *testing.T, s *redisd.Server, n int) {
	t.Helper()
	c := s.Client()
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		// WAIT speaks of writes of the same connection, so one is made on it.
		p := c.Conn()
		err := p.Set(ctx, "mark", "x", 0).Err()
		if err != nil && strings.HasPrefix(err.Error(), "MOVED") {
			err = nil
		}
		got, werr := p.Wait(ctx, n, time.Second).Result()
		p.Close()
		if err == nil && werr == nil && int(got) >= n {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%d of %d replicas follow: %v %v", got, n, err, werr)
		}
	}
}
