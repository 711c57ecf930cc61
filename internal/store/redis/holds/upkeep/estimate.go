package upkeep

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/index"
)

// Estimate is what holds take in the memory of the server. Records and bodies are weighed by
// sample, indexes one by one.
type Estimate struct {
	Holds   int64 `json:"holds"`   // in any state
	Bodies  int64 `json:"bodies"`  // bytes
	Records int64 `json:"records"` // bytes
	Indexes int64 `json:"indexes"` // bytes, with the entries of keys
	PerHold int64 `json:"per_hold"`
	Days    int   `json:"days"`    // since the oldest hold
	PerDay  int64 `json:"per_day"` // holds a day
}

// Total is all of it, in bytes.
func (e Estimate) Total() int64 { return e.Bodies + e.Records + e.Indexes }

// weight is the weight of one kind of keys, of which some are weighed.
type weight struct{ keys, weighed, bytes int64 }

func (w weight) total() int64 {
	if w.weighed == 0 {
		return 0
	}
	return int64(float64(w.bytes) / float64(w.weighed) * float64(w.keys))
}

// all keys of a kind are weighed up to a few, then one in so many.
const (
	weighFirst = 1000
	weighOneIn = 50
)

// Estimate weighs what is stored. It looks at every key once.
func (s Keeper) Estimate(ctx context.Context) (Estimate, error) {
	kinds := map[string]*weight{"h": {}, "b": {}, "ix": {}, "k": {}}
	err := s.scan(ctx, s.g.Conn.Key("*"), func(keys []string) error {
		cmds := map[*redis.IntCmd]*weight{}
		err := s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
			for _, key := range keys {
				kind := s.kindOf(key)
				w := kinds[kind]
				if w == nil {
					continue
				}
				w.keys++
				if kind == "ix" || w.keys <= weighFirst || w.keys%weighOneIn == 0 {
					cmds[p.MemoryUsage(ctx, key)] = w
				}
			}
		})
		for cmd, w := range cmds {
			if cmd.Err() == nil {
				w.weighed++
				w.bytes += cmd.Val()
			}
		}
		return err
	})
	if err != nil {
		return Estimate{}, err
	}
	out := Estimate{
		Holds: kinds["h"].keys, Records: kinds["h"].total(), Bodies: kinds["b"].total(), Indexes: kinds["ix"].total() + kinds["k"].total(),
	}
	if out.Holds == 0 {
		return out, nil
	}
	out.PerHold = out.Total() / out.Holds
	oldest, err := s.oldest(ctx)
	out.Days = max(1, int(s.g.Now().Sub(oldest)/(24*time.Hour)))
	out.PerDay = out.Holds / int64(out.Days)
	return out, err
}

// kindOf is what a key is for: a hold, a body, an index or the entry of a key; "" for what is
// not ours.
func (s Keeper) kindOf(key string) string {
	rest := strings.TrimPrefix(key, s.g.Conn.Key(""))
	if _, of, ok := strings.Cut(rest, "}:"); ok && strings.HasPrefix(rest, "{") {
		kind, _, _ := strings.Cut(of, ":")
		if kind == ground.EvidenceBodies {
			return ground.HeldBodies
		}
		return kind
	}
	kind, _, _ := strings.Cut(rest, ":")
	if kind == "h" || kind == ground.HeldBodies {
		return ""
	}
	return kind
}

// oldest is the time of the oldest hold.
func (s Keeper) oldest(ctx context.Context) (time.Time, error) {
	var first []*redis.StringSliceCmd
	err := s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for _, st := range ground.AllStates() {
			first = append(first, p.ZRangeByLex(ctx, s.g.IndexKey(index.StateKey(st)), &redis.ZRangeBy{Min: "-", Max: "+", Count: 1}))
		}
	})
	out := s.g.Now()
	for _, cmd := range first {
		for _, m := range cmd.Val() {
			if at, ok := index.Time(m); ok && at.Before(out) {
				out = at
			}
		}
	}
	return out, err
}
