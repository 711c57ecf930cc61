// Package bayes keeps the counts of tokens on Redis, for all nodes: hashes of tokens in a fixed
// number of shards, asked in one round trip. They are derived from the journal of what was
// learned: a store that lost them is given them again.
package bayes

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"postern/filter/bayes"
	"postern/internal/store/redis/conn"
)

// shards are the hashes that tokens are spread over; on a Cluster, over its nodes.
const shards = 16

// batch bounds the messages of one round trip.
const batch = 16

// Store implements bayes.Store.
type Store struct{ conn *conn.Conn }

// New makes a store on a connection.
func New(c *conn.Conn) *Store { return &Store{c} }

// key is the name of a hash of a shard: its tokens, or what messages count as in it.
func (s *Store) key(shard int, of string) string {
	return s.conn.Key("{by"+strconv.Itoa(shard)+"}", of)
}

const (
	ofTokens   = "t"
	ofMessages = "m"
)

func shardOf(token uint64) int { return int(token >> 60) }

func field(token uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], token)
	return string(b[:])
}

// spread sorts the places of tokens by shard.
func spread(tokens []uint64) (out [shards][]int) {
	for i, t := range tokens {
		out[shardOf(t)] = append(out[shardOf(t)], i)
	}
	return out
}

// Counts implements bayes.Store.
func (s *Store) Counts(ctx context.Context, tokens []uint64) ([]bayes.Count, error) {
	out := make([]bayes.Count, len(tokens))
	if len(tokens) == 0 {
		return out, nil
	}
	places := spread(tokens)
	var asked []int
	cmds, err := s.conn.Pipe(ctx, conn.Lookup, func(p redis.Pipeliner) {
		asked = asked[:0]
		for shard, at := range places {
			if len(at) == 0 {
				continue
			}
			fields := make([]string, len(at))
			for i, n := range at {
				fields[i] = field(tokens[n])
			}
			asked = append(asked, shard)
			p.HMGet(ctx, s.key(shard, ofTokens), fields...)
		}
	})
	if err != nil {
		return nil, err
	}
	for i, shard := range asked {
		values, err := cmds[i].(*redis.SliceCmd).Result()
		if err != nil {
			return nil, err
		}
		for j, n := range places[shard] {
			if text, ok := values[j].(string); ok {
				out[n] = parse(text)
			}
		}
	}
	return out, nil
}

// parse reads "spam ham"; what is nothing of ours counts nothing.
func parse(text string) bayes.Count {
	a, b, _ := strings.Cut(text, " ")
	spam, err := strconv.ParseUint(a, 10, 31)
	ham, err2 := strconv.ParseUint(b, 10, 31)
	if err != nil || err2 != nil {
		return bayes.Count{}
	}
	return bayes.Count{Spam: int(spam), Ham: int(ham)}
}

// apply counts a message in one shard as of a class, unless it does already.
// KEYS: tokens, messages. ARGV: ID, class (0 none, 1 spam, 2 ham), tokens.
const apply conn.Script = `
local was = redis.call('HGET', KEYS[2], ARGV[1]) or '0'
if was == ARGV[2] then return 0 end
local add = {['0'] = 0, ['1'] = 0, ['2'] = 0}
if add[was] == nil then was = '0' end
add[was] = add[was] - 1
add[ARGV[2]] = add[ARGV[2]] + 1
for i = 3, #ARGV do
  local spam, ham = string.match(redis.call('HGET', KEYS[1], ARGV[i]) or '', '^(%d+) (%d+)$')
  spam = math.max((tonumber(spam) or 0) + add['1'], 0)
  ham = math.max((tonumber(ham) or 0) + add['2'], 0)
  if spam + ham == 0 then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], string.format('%d %d', spam, ham)) end
end
if ARGV[2] == '0' then redis.call('HDEL', KEYS[2], ARGV[1]) else redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end
return 1`

// Apply implements bayes.Store. Each shard takes a message whole or not at all: what was cut
// short is made good by the same change again.
func (s *Store) Apply(ctx context.Context, changes []bayes.Change) error {
	for len(changes) > 0 {
		n := min(len(changes), batch)
		for _, c := range changes[:n] {
			if len(c.ID) != 32 {
				return fmt.Errorf("%q is no ID of a message", c.ID)
			}
			if _, err := hex.DecodeString(c.ID); err != nil {
				return fmt.Errorf("%q is no ID of a message: %w", c.ID, err)
			}
		}
		if _, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
			for _, c := range changes[:n] {
				s.queue(ctx, p, c)
			}
		}); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

func (s *Store) queue(ctx context.Context, p redis.Pipeliner, c bayes.Change) {
	id, _ := hex.DecodeString(c.ID) // tried before
	for shard, at := range spread(c.Tokens) {
		if len(at) == 0 {
			continue
		}
		args := make([]any, 0, 2+len(at))
		args = append(args, string(id), strconv.Itoa(int(c.Class)))
		for _, n := range at {
			args = append(args, field(c.Tokens[n]))
		}
		apply.Run(ctx, p, []string{s.key(shard, ofTokens), s.key(shard, ofMessages)}, args...)
	}
}

// Reset implements bayes.Store.
func (s *Store) Reset(ctx context.Context) error {
	_, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for shard := range shards {
			p.Unlink(ctx, s.key(shard, ofTokens), s.key(shard, ofMessages))
		}
	})
	return err
}

// Size implements bayes.Store. What a token takes is what Redis 7 needs for one in a large hash.
func (s *Store) Size(ctx context.Context) (tokens, bytes int64, err error) {
	const token, message = 80, 96
	cmds, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for shard := range shards {
			p.HLen(ctx, s.key(shard, ofTokens))
			p.HLen(ctx, s.key(shard, ofMessages))
		}
	})
	for i, cmd := range cmds {
		n, cerr := cmd.(*redis.IntCmd).Result()
		err = errors.Join(err, cerr)
		if i%2 == 0 {
			tokens += n
			bytes += n * token
		} else {
			bytes += n * message
		}
	}
	return tokens, bytes, err
}
