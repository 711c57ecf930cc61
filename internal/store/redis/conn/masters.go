package conn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Masters runs f on every master: on one, or on those of a Cluster, side by side.
func (c *Conn) Masters(ctx context.Context, f func(ctx context.Context, r *redis.Client) error) error {
	return c.Do(ctx, Background, func(ctx context.Context, _ redis.UniversalClient) error { return c.masters(ctx, f) })
}

func (c *Conn) masters(ctx context.Context, f func(ctx context.Context, r *redis.Client) error) error {
	switch r := c.client.(type) {
	case *redis.ClusterClient:
		return r.ForEachMaster(ctx, f) // learns anew which they are
	case *redis.Client:
		return f(ctx, r)
	}
	return errors.New("redis: no client with masters")
}

// strict are the settings without which an acknowledged write can be lost.
var strict = [][2]string{
	{"appendonly", "yes"},
	{"appendfsync", "always"},
	{"no-appendfsync-on-rewrite", "no"},
	{"maxmemory-policy", "noeviction"},
}

// Strict asks every master whether it keeps what it has acknowledged, and names what speaks
// against it. What may not be asked, or is not known there, speaks against it: so it is with
// Kvrocks, which keeps its data otherwise and has no such settings. Valkey answers like Redis.
func (c *Conn) Strict(ctx context.Context) (findings []string, err error) {
	var mu sync.Mutex
	err = c.Masters(ctx, func(ctx context.Context, r *redis.Client) error {
		found, err := c.loose(ctx, r)
		mu.Lock()
		defer mu.Unlock()
		findings = append(findings, found...)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(findings)
	return findings, nil
}

// loose names what speaks against one server.
func (c *Conn) loose(ctx context.Context, r *redis.Client) (found []string, err error) {
	where := r.Options().Addr
	if c.o.Sentinel != "" {
		where = c.o.Sentinel
	}
	for _, s := range strict {
		name, want := s[0], s[1]
		answer, err := r.ConfigGet(ctx, name).Result()
		var reply redis.Error
		switch value, known := answer[name]; {
		case errors.As(err, &reply) && !faultOf(err).rest:
			found = append(found, fmt.Sprintf("%s: %s cannot be asked (%s)", where, name, faultOf(err).Reason))
		case err != nil:
			return nil, err
		case !known:
			found = append(found, fmt.Sprintf("%s: %s is not a setting of this server", where, name))
		case strings.ToLower(value) != want:
			found = append(found, fmt.Sprintf("%s: %s is %q, not %q", where, name, value, want))
		}
	}
	return found, nil
}
