package redisd_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest/redisd"
)

func TestProxy(t *testing.T) {
	s := redisd.Start(t, redisd.Options{})
	p := redisd.StartProxy(t, s.Addr)
	c := redis.NewClient(&redis.Options{
		Addr: p.Addr, Password: redisd.Password, Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true, MaxRetries: -1, PoolSize: 1,
	})
	defer c.Close()
	p.Slice(true)
	long := make([]byte, 100)
	if err := c.Set(t.Context(), "a", long, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(t.Context(), "a").Result(); err != nil || got != string(long) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := c.Keys(t.Context(), "*").Result(); err != nil || len(got) != 1 {
		t.Errorf("%q, %v", got, err)
	}
	p.Slice(false)
	p.Swallow(1)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.Get(ctx, "none").Result(); err == nil || errors.Is(err, redis.Nil) {
		t.Errorf("an answer that was left out came: %v", err)
	}
	p.Latency(50 * time.Millisecond)
	start := time.Now()
	if err := c.Ping(t.Context()).Err(); err != nil || time.Since(start) < 50*time.Millisecond {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}
