package conn

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Times of looking for the server while it is away.
const (
	probeTime    = time.Second
	probeRest    = 200 * time.Millisecond
	probeLongest = 500 * time.Millisecond
	renewEvery   = 5 * time.Second
	slowAnswers  = 20 // that are waited through for a quick one
)

// probe looks for the server off everybody's way, once at a time, until it answers: mail then
// need not find out, and a Cluster's new masters are learned. Connections to a server that has
// become a replica are renewed.
func (c *Conn) probe(replica bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.probing || c.ending.Err() != nil {
		return
	}
	if replica {
		if time.Since(c.renewed) < renewEvery {
			return
		}
		c.renewed = time.Now()
	}
	c.probing = true
	c.work.Go(func() {
		if replica {
			c.renew()
		}
		c.seek()
		c.mu.Lock()
		c.probing = false
		c.mu.Unlock()
	})
}

// seek pings all masters until they answer, and then lets calls through again: lookups only
// when the answer is quick enough for them, which it waits for.
func (c *Conn) seek() {
	slow := 0
	for rest := probeRest; slow < slowAnswers; rest = min(2*rest, probeLongest) {
		select {
		case <-c.ending.Done():
			return
		case <-time.After(jitter(rest)):
		}
		ctx, cancel := context.WithTimeout(c.ending, probeTime)
		err := c.masters(ctx, ping)
		var took time.Duration
		if err == nil {
			start := time.Now()
			err = c.masters(ctx, ping)
			took = time.Since(start)
		}
		cancel()
		if err != nil {
			continue
		}
		c.rests.answered(took) // those of a Cluster have heard it themselves
		if took < LookupTime/2 {
			c.trouble.answered(Write, Background, Lookup)
			return
		}
		c.trouble.answered(Write, Background)
		slow++
	}
}

func ping(ctx context.Context, r *redis.Client) error { return r.Ping(ctx).Err() }

// renew closes the connections that nobody uses at the moment: behind the same address there
// may be a new master.
func (c *Conn) renew() {
	client, ok := c.client.(*redis.Client)
	if !ok {
		return // a Cluster says where a key has gone
	}
	ctx, cancel := context.WithTimeout(c.ending, probeTime)
	defer cancel()
	for range client.PoolStats().IdleConns {
		one := client.EphemeralConn() // closed for good, when closed
		defer func() { _ = one.Close() }()
		if one.Ping(ctx).Err() != nil {
			return
		}
	}
}
