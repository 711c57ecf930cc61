package redisd

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postern/internal/mailtest"
)

// slots are the hash slots of a cluster.
const slots = 16384

// Cluster is a Redis Cluster: masters that share the slots, and replicas that take over.
type Cluster struct {
	Servers []*Server // the masters of the beginning first

	ports []string // the cluster bus of each
}

// StartCluster starts a cluster whose nodes take a silent one for dead after a second, and
// waits until all agree. It takes three masters to replace one.
func StartCluster(t testing.TB, masters, replicas int, o Options) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range masters + replicas {
		bus, err := mailtest.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		node := o
		node.Args = append([]string{
			"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0",
			"--cluster-config-file", "nodes.conf", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
		}, o.Args...)
		s := prepared(t, node)
		s.Run(t)
		c.Servers, c.ports = append(c.Servers, s), append(c.ports, strconv.Itoa(bus))
	}
	if err := c.join(t.Context(), masters); err != nil {
		t.Fatal(err)
	}
	until(t, "cluster", func(ctx context.Context) string { return c.unmet(ctx) })
	if err := c.follow(t.Context(), masters); err != nil {
		t.Fatal(err)
	}
	c.Settled(t)
	return c
}

// join deals out the slots and makes every node meet every other.
func (c *Cluster) join(ctx context.Context, masters int) error {
	for i, s := range c.Servers {
		r := s.Client()
		defer end(r)
		if err := r.Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
			return err
		}
		if i < masters {
			from, to := i*slots/masters, (i+1)*slots/masters-1
			if err := r.Do(ctx, "cluster", "addslotsrange", from, to).Err(); err != nil {
				return err
			}
		}
		for j := range i {
			if err := c.meet(ctx, s, j); err != nil {
				return err
			}
		}
	}
	return nil
}

// meet makes a server greet another one.
func (c *Cluster) meet(ctx context.Context, s *Server, other int) error {
	host, port, err := net.SplitHostPort(c.Servers[other].Addr)
	if err != nil {
		return err
	}
	_, err = s.cluster(ctx, "meet", host, port, c.ports[other])
	return err
}

// follow gives every replica its master.
func (c *Cluster) follow(ctx context.Context, masters int) error {
	for i, s := range c.Servers[masters:] {
		m := c.Servers[i%masters].Client()
		id, err := m.Do(ctx, "cluster", "myid").Text()
		_ = m.Close()
		if err != nil {
			return err
		}
		r := s.Client()
		err = r.Do(ctx, "cluster", "replicate", id).Err()
		_ = r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// unmet says which node does not know all others yet. A greeting that nobody answered within
// a second is forgotten, so that it makes the node greet again.
func (c *Cluster) unmet(ctx context.Context) string {
	for _, s := range c.Servers {
		text, err := s.cluster(ctx, "nodes")
		if err != nil {
			return err.Error()
		}
		for j, other := range c.Servers {
			if other != s && !strings.Contains(text, " "+other.Addr+"@") {
				if err := c.meet(ctx, s, j); err != nil {
					return err.Error()
				}
			}
		}
		if n := strings.Count(text, "\n"); n != len(c.Servers) || strings.Contains(text, "handshake") {
			return s.Addr + " knows:\n" + text
		}
	}
	return ""
}

// unsettled says what the living nodes do not agree on yet.
func (c *Cluster) unsettled(ctx context.Context) string {
	seen := ""
	for _, s := range c.Servers {
		if !s.running() {
			continue
		}
		state, err := s.cluster(ctx, "info")
		if err != nil {
			return err.Error()
		}
		if fieldOf(state, "cluster_state") != "ok" || fieldOf(state, "cluster_slots_ok") != strconv.Itoa(slots) {
			return s.Addr + ": " + state
		}
		if s.replication(ctx, "role") == "slave" && s.replication(ctx, "master_link_status") != "up" {
			return s.Addr + " does not follow"
		}
		text, err := s.cluster(ctx, "nodes")
		if err != nil {
			return err.Error()
		}
		view := owners(text)
		if seen == "" {
			seen = view
		}
		if view != seen {
			return "two views:\n" + seen + "\n" + view
		}
		if bad := c.disbelieved(text); bad != "" {
			return s.Addr + " still says " + bad
		}
	}
	return ""
}

// disbelieved is a node that the answer to CLUSTER NODES is wrong about: a living one that it
// calls failed, or a master without slots (which is how one looks that has just come back), or
// a dead one that still has slots.
func (c *Cluster) disbelieved(text string) string {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		addr, _, _ := strings.Cut(f[1], "@")
		for _, s := range c.Servers {
			if s.Addr != addr {
				continue
			}
			master, serves := strings.Contains(f[2], "master"), len(f) > 8
			well := !strings.Contains(f[2], "fail") && f[7] == "connected" && master == serves
			if s.running() && !well || !s.running() && serves {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}

// owners are the slots and their masters, as the answer to CLUSTER NODES has them.
func owners(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 8 && strings.Contains(f[2], "master") {
			out = append(out, strings.Join(f[8:], ",")+" "+f[0])
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func (s *Server) cluster(ctx context.Context, words ...string) (string, error) {
	r := s.Client()
	defer end(r)
	args := []any{"cluster"}
	for _, w := range words {
		args = append(args, w)
	}
	answer, err := r.Do(ctx, args...).Result()
	return fmt.Sprint(answer), err
}

// Settled waits until all living nodes serve all slots and agree on their masters.
func (c *Cluster) Settled(t testing.TB) {
	t.Helper()
	until(t, "cluster", c.unsettled)
}

// Addrs are the nodes.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, 0, len(c.Servers))
	for _, s := range c.Servers {
		addrs = append(addrs, s.Addr)
	}
	return addrs
}

// Masters are the living masters.
func (c *Cluster) Masters(t testing.TB) []*Server {
	t.Helper()
	var out []*Server
	for _, s := range c.Servers {
		if s.running() && s.Role(t.Context()) == "master" {
			out = append(out, s)
		}
	}
	return out
}

// Master is the living master of a key's slot.
func (c *Cluster) Master(t testing.TB, key string) *Server {
	t.Helper()
	var found *Server
	until(t, "master of "+key, func(ctx context.Context) string {
		for _, s := range c.Servers {
			if !s.running() {
				continue
			}
			addr, err := s.ownerOf(ctx, key)
			if err != nil {
				return err.Error()
			}
			for _, m := range c.Servers {
				if m.Addr == addr && m.running() {
					found = m
					return ""
				}
			}
			return addr + " is not running"
		}
		return "no node is running"
	})
	return found
}

// ownerOf is the address of the master of a key, as this node knows it.
func (s *Server) ownerOf(ctx context.Context, key string) (string, error) {
	slot, err := s.cluster(ctx, "keyslot", key)
	if err != nil {
		return "", err
	}
	text, err := s.cluster(ctx, "nodes")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		for _, r := range f[min(8, len(f)):] {
			if within(r, slot) {
				addr, _, _ := strings.Cut(f[1], "@")
				return addr, nil
			}
		}
	}
	return "", fmt.Errorf("nobody has slot %s", slot)
}

// within reports whether "from-to" or "slot" has a slot in it.
func within(slots, slot string) bool {
	first, last, more := strings.Cut(slots, "-")
	if !more {
		last = first
	}
	n, err := strconv.Atoi(slot)
	from, bad := strconv.Atoi(first)
	to, worse := strconv.Atoi(last)
	return err == nil && bad == nil && worse == nil && from <= n && n <= to
}

// Fail kills a master and waits until a replica has its slots.
func (c *Cluster) Fail(t testing.TB, master *Server) {
	t.Helper()
	master.Kill()
	c.Settled(t)
}

// Restart starts a killed node again and waits until it follows its new master.
func (c *Cluster) Restart(t testing.TB, dead *Server) {
	t.Helper()
	dead.Run(t)
	c.Settled(t)
}
