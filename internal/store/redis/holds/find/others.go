package find

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
)

// maxBatch is how many entries are read and asked for at once.
const maxBatch = 4000

// have says which members an index has, as a text of 0 and 1. It is a script because one command
// for each would cost more than reading the holds. What is no index has all.
// KEYS: index. ARGV: members.
const have conn.Script = `
local out = {}
if redis.call('TYPE', KEYS[1])['ok'] == 'zset' then
  for i, m in ipairs(ARGV) do out[i] = redis.call('ZSCORE', KEYS[1], m) and '1' or '0' end
else
  for i = 1, #ARGV do out[i] = '1' end
end
return table.concat(out)`

// inOthers leaves out the members that are not within the bounds of the route, and those that one
// of its ways does not have. Each way is one index.
func (s Finder) inOthers(ctx context.Context, r route, members []string) ([]string, error) {
	if r.byScore != nil && r.byScore.Bounded() {
		members = slices.DeleteFunc(slices.Clone(members), func(m string) bool { return !r.byScore.Within(index.Bare(m)) })
	}
	for _, way := range r.others {
		if len(members) == 0 {
			break
		}
		args := make([]any, len(members))
		for i, m := range members {
			args[i] = r.bare(m)
		}
		var cmd *redis.Cmd
		if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) { cmd = have.Run(ctx, p, []string{s.g.IndexKey(way[0])}, args...) }); err != nil {
			return nil, err
		}
		said, err := cmd.Text()
		if err != nil || len(said) != len(members) {
			continue // what is read decides
		}
		left := make([]string, 0, len(members))
		for i, m := range members {
			if said[i] == '1' {
				left = append(left, m)
			}
		}
		members = left
	}
	return members, nil
}
