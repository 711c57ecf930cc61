// Package conn is the way to Redis: a single server, one behind Sentinel, or a Cluster. It
// bounds every call, leaves a sick server alone for a while, and tells faults of the store
// from answers.
package conn

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
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

// Conn is a connection. It is safe for concurrent use.
type Conn struct {
	o       Options
	client  redis.UniversalClient
	rests   *rests               // nil: each server of a Cluster has its own
	turns   [kinds]chan struct{} // how many slow calls may be under way; nil: any number
	trouble *trouble

	admitted                atomic.Bool
	trips, waited, commands atomic.Int64

	ending  context.Context
	end     context.CancelFunc
	mu      sync.Mutex // guards probing and the begin of its work
	probing bool
	renewed time.Time
	work    sync.WaitGroup
}

// Open makes a connection without asking the server: one that is down is found out later. The
// error is about the options.
func Open(o Options) (*Conn, error) {
	o = o.filled()
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	c := &Conn{o: o, client: client, trouble: newTrouble(o.Log, o.Now)}
	c.ending, c.end = context.WithCancel(context.Background())
	if cluster, ok := client.(*redis.ClusterClient); ok {
		restEach(cluster)
	} else {
		c.rests = newRests()
	}
	c.turns[Write] = make(chan struct{}, max(1, o.Pool/2))
	c.turns[Background] = make(chan struct{}, max(1, o.Pool/4))
	client.AddHook(counter{&c.trips, &c.waited, &c.commands})
	return c, nil
}

// Close closes the connections.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	err := c.client.Close()
	c.work.Wait()
	return err
}

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

// Do makes a call of some kind within its time. It returns a *Fault, which is an ErrAway, when
// the store is to blame, or is resting after it was; else what f returned.
func (c *Conn) Do(ctx context.Context, kind Kind, f func(ctx context.Context, r redis.UniversalClient) error) error {
	if !c.rests.allow(kind) {
		return &Fault{Reason: c.trouble.why(), Err: errResting}
	}
	limit := WriteTime
	if kind == Lookup {
		limit = LookupTime
	}
	bounded, cancel := context.WithTimeout(context.WithValue(ctx, callKey{}, &call{kind, ctx}), limit)
	defer cancel()
	return c.judge(ctx, kind, c.within(bounded, kind, f))
}

// judge says what the end of a call means.
func (c *Conn) judge(ctx context.Context, kind Kind, err error) error {
	if !isFault(err) {
		c.rests.note(kind, nil)
		c.trouble.worked(kind)
		return err
	}
	fault := faultOf(err)
	switch {
	case isResting(err): // of one server of a Cluster
		return fault
	case gaveUp(ctx):
		c.rests.cancel(kind)
		return fault
	}
	c.rests.note(kind, fault)
	c.trouble.failed(kind, fault)
	if fault.rest { // another one may stand there when it is back
		c.admitted.Store(false)
	}
	if fault.rest || fault.Reason == readOnly {
		c.probe(!fault.rest)
	}
	return fault
}

// within takes a turn and makes the call. Lookups need no turn: the slow calls leave them a
// part of the pool.
func (c *Conn) within(ctx context.Context, kind Kind, f func(ctx context.Context, r redis.UniversalClient) error) error {
	if turns := c.turns[kind]; turns != nil {
		select {
		case turns <- struct{}{}:
			defer func() { <-turns }()
		case <-ctx.Done():
			return errBusy
		}
	}
	if c.o.Admit != nil && !c.admitted.Load() {
		if err := c.admit(ctx, c.client); err != nil {
			return err
		}
	}
	return f(ctx, c.client)
}

func (c *Conn) admit(ctx context.Context, r redis.UniversalClient) error {
	err := c.o.Admit(ctx, r)
	c.admitted.Store(err == nil)
	return err
}

// Check asks anew whether the store is ours.
func (c *Conn) Check(ctx context.Context) error {
	if c.o.Admit == nil {
		return nil
	}
	return c.Do(ctx, Background, c.admit)
}

// Pipe sends commands in one round trip. The error is a Fault; redis.Nil and refusals of scripts
// are left to who reads the command that they belong to.
func (c *Conn) Pipe(ctx context.Context, kind Kind, queue func(p redis.Pipeliner)) ([]redis.Cmder, error) {
	return c.pipe(ctx, kind, queue, isFault)
}

// Each is Pipe that leaves a key of the wrong type, too, to who reads its command: somebody
// else's data under one of our names must not keep us from all others.
func (c *Conn) Each(ctx context.Context, kind Kind, queue func(p redis.Pipeliner)) ([]redis.Cmder, error) {
	return c.pipe(ctx, kind, queue, func(err error) bool { return isFault(err) && !WrongType(err) })
}

func (c *Conn) pipe(ctx context.Context, kind Kind, queue func(p redis.Pipeliner), fault func(error) bool) ([]redis.Cmder, error) {
	var cmds []redis.Cmder
	err := c.Do(ctx, kind, func(ctx context.Context, r redis.UniversalClient) error {
		p := r.Pipeline()
		queue(p)
		if p.Len() == 0 {
			return nil
		}
		var err error
		if cmds, err = p.Exec(ctx); err == nil || fault(err) {
			return err
		}
		return firstFault(cmds, err, fault)
	})
	return cmds, err
}

// firstFault is the first error of a pipeline that the store is to blame for; an answer such
// as redis.Nil, or an error that a script returned, is for who reads that command. One that no
// command has is of the connection: nothing was sent, whatever it looks like.
func firstFault(cmds []redis.Cmder, whole error, fault func(error) bool) error {
	sent := whole == nil
	for _, cmd := range cmds {
		err := cmd.Err()
		if fault(err) {
			return err
		}
		sent = sent || err != nil
	}
	if !sent {
		return fmt.Errorf("%w: %q, before it was asked anything", errNonsense, whole.Error())
	}
	return nil
}
