// Package conn is the way to Redis: a single server, one behind Sentinel, or a Cluster. It
// bounds every call, leaves a sick server alone for a while, and tells faults of the store
// from answers.
package conn

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/breaker"
)

// Kind says what a call is for, which decides how long it may take.
type Kind uint8

// The kinds of calls. A Lookup is in the way of every mail, a Write in the way of mail that
// must be held, Background in nobody's.
const (
	Lookup Kind = iota
	Write
	Background
	kinds
)

// ErrAway says that the store could not do what it was asked: it is down, silent, full or not
// allowed to us. A write that ended so may have been done.
var ErrAway = errors.New("redis is away")

// Conn is a connection. It is safe for concurrent use.
type Conn struct {
	o        Options
	client   redis.UniversalClient
	breakers [kinds]*breaker.Breaker
	trips    atomic.Int64
	trouble  trouble
}

// Open makes a connection without asking the server: one that is down is found out later. The
// error is about the options.
func Open(o Options) (*Conn, error) {
	o = o.filled()
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	c := &Conn{o: o, client: client}
	c.trouble.log, c.trouble.now = o.Log, o.Now
	for k := range c.breakers {
		c.breakers[k] = breaker.New(breaker.Config{Failures: 5, Rest: 250 * time.Millisecond, MaxRest: 4 * time.Second, Trial: 15 * time.Second}, time.Now)
	}
	client.AddHook(&counter{&c.trips})
	return c, nil
}

// Close closes the connections.
func (c *Conn) Close() error { return c.client.Close() }

// Client is for what Do does not cover: subscriptions and questions about the server itself.
func (c *Conn) Client() redis.UniversalClient { return c.client }

// Key is the name of a key of ours: the prefix and the parts, joined by colons. What strangers
// wrote goes through Hash before.
func (c *Conn) Key(parts ...string) string {
	n := len(c.o.Prefix)
	for _, p := range parts {
		n += 1 + len(p)
	}
	b := make([]byte, 0, n)
	b = append(b, c.o.Prefix...)
	for _, p := range parts {
		b = append(append(b, ':'), p...)
	}
	return string(b)
}

// Trips counts the round trips made so far; a pipeline is one.
func (c *Conn) Trips() int64 { return c.trips.Load() }

// Do makes a call of some kind within its time. It returns an error that wraps ErrAway when
// the store is to blame, or is resting after it was; else what f returned.
func (c *Conn) Do(ctx context.Context, kind Kind, f func(ctx context.Context, r redis.UniversalClient) error) error {
	b := c.breakers[kind]
	if !b.Allow() {
		return fmt.Errorf("%w: it is left alone until %s", ErrAway, b.Until().Format(time.TimeOnly))
	}
	limit := WriteTime
	if kind == Lookup {
		limit = LookupTime
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := f(bounded, c.client)
	switch {
	case !isFault(err):
		b.Success()
		c.trouble.over()
		return err
	case ctx.Err() != nil: // the caller gave up, not the store
		b.Cancel()
		return err
	}
	b.Failure()
	c.trouble.say(err)
	if cluster, ok := c.client.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx) // it goes on asking a dead master for a minute otherwise
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

// Pipe sends commands in one round trip and returns their errors joined, redis.Nil left out.
func (c *Conn) Pipe(ctx context.Context, kind Kind, queue func(p redis.Pipeliner)) ([]redis.Cmder, error) {
	var cmds []redis.Cmder
	err := c.Do(ctx, kind, func(ctx context.Context, r redis.UniversalClient) error {
		p := r.Pipeline()
		queue(p)
		if p.Len() == 0 {
			return nil
		}
		var err error
		cmds, err = p.Exec(ctx)
		if err == nil || !isFault(err) {
			err = firstFault(cmds)
		}
		return err
	})
	return cmds, err
}

// firstFault is the first error of a pipeline that the store is to blame for; an answer such
// as redis.Nil, or an error that a script returned, is for who reads that command.
func firstFault(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); isFault(err) {
			return err
		}
	}
	return nil
}
