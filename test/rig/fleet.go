package rig

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/cmd/postern/calls"
	"postern/cmd/postern/gateway"
	"postern/internal/control"
	"postern/internal/mailtest/ledger"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/quarantine"
)

// User is who the nodes are at their Redis.
const User = "postern"

// ACL is the line of an ACL file that lets the nodes in.
func ACL() string { return conn.Rule(User, redisd.Password, conn.DefaultPrefix) }

// Fleet is several gateways with one store between them, one book and one server behind.
type Fleet struct {
	Nodes []*Rig
	Book  *ledger.Ledger
	t     testing.TB
	turn  atomic.Uint64
}

// NewFleet prepares nodes on one Redis; store are the keys of "store" that say where it is on
// loopback: "addrs: [127.0.0.1:6379]".
func NewFleet(t testing.TB, store string, nodes ...Options) *Fleet {
	t.Helper()
	f := &Fleet{t: t, Book: ledger.New()}
	for i, o := range nodes {
		o.Hostname = fmt.Sprintf("mx%d.example.com", i+1)
		where := store
		if o.In != nil {
			where = o.In.There(store)
		}
		o.YAML += fmt.Sprintf("store: {home: redis, %s, user: %s, password_file: DIR/redis.pw, key_file: DIR/seal.key}\n", where, User)
		r := New(t, o)
		r.Book = f.Book
		r.WriteFile("redis.pw", redisd.Password+"\n")
		r.WriteFile("seal.key", strings.Repeat("5a", 32)+"\n")
		f.Nodes = append(f.Nodes, r)
	}
	return f
}

// Start starts all nodes and waits until they can do all of their work.
func (f *Fleet) Start() {
	f.t.Helper()
	for _, r := range f.Nodes {
		r.Start()
	}
	for _, r := range f.Nodes {
		r.Ready()
	}
}

// Load is a load over all nodes, as an MX name with several addresses spreads it: a node that
// does not take the connection is passed over.
func (f *Fleet) Load(seed uint64, messages int) ledger.Load {
	l := f.Nodes[0].Load(seed, messages)
	l.Ledger = f.Book
	l.Dial = func(ctx context.Context, _ string) (net.Conn, error) {
		first := int(f.turn.Add(1))
		var last error
		for i := range f.Nodes {
			d := net.Dialer{Timeout: 5 * time.Second}
			c, err := d.DialContext(ctx, "tcp", f.Nodes[(first+i)%len(f.Nodes)].Addr)
			if err == nil {
				return c, nil
			}
			last = err
		}
		return nil, last
	}
	return l
}

// TryCall makes a call over the control socket of a node; unlike Call it returns the error.
func (r *Rig) TryCall(name string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := control.Dial(ctx, r.Socket())
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(ctx, name, params, result)
}

// Socket is the control socket.
func (r *Rig) Socket() string { return r.State + "/" + gateway.Socket }

// Releases releases what is held, each hold from every node at the same time, until the
// channel closes; it returns how many were released.
func (f *Fleet) Releases(until <-chan struct{}) int {
	n := 0
	for {
		select {
		case <-until:
			return n
		case <-time.After(20 * time.Millisecond):
		}
		var page quarantine.Page
		if f.Nodes[n%len(f.Nodes)].TryCall("quarantine.list", calls.Search{Limit: 20}, &page) != nil {
			continue // the store is away, or the node is
		}
		for _, h := range page.Holds {
			if h.Class == quarantine.Evidence || h.State != quarantine.Held {
				continue
			}
			n += f.releaseEverywhere(h.ID)
		}
	}
}

// releaseEverywhere asks every node at once and returns 1 if the hold went out.
func (f *Fleet) releaseEverywhere(id string) int {
	var wg sync.WaitGroup
	var out atomic.Int64
	for _, r := range f.Nodes {
		wg.Go(func() {
			var h quarantine.Hold
			if r.TryCall("quarantine.release", calls.ID{ID: id}, &h) == nil && h.State == quarantine.Released {
				out.Store(1)
			}
		})
	}
	wg.Wait()
	return int(out.Load())
}

// Quiet reports whether no release is under way.
func (f *Fleet) Quiet() bool {
	f.t.Helper()
	for _, r := range f.Nodes {
		var page quarantine.Page
		if r.TryCall("quarantine.list", calls.Search{Text: "state:releasing", Limit: 1}, &page) == nil {
			return len(page.Holds) == 0
		}
	}
	return false
}

// Excuse writes into the book what the nodes themselves counted as ambiguous: final dots, and
// releases whose answer was lost.
func (f *Fleet) Excuse() int {
	n := 0
	for _, r := range f.Nodes {
		n += r.Excuse()
	}
	return n
}

// Balance holds the book against what all nodes keep together, read from one that is up.
func (f *Fleet) Balance() ledger.Report {
	f.t.Helper()
	up := slices.IndexFunc(f.Nodes, func(r *Rig) bool { return r.TryCall("status", nil, nil) == nil })
	if up < 0 {
		f.t.Fatal("no node is up")
	}
	return f.Book.Report(f.Nodes[up].Kept()...)
}
