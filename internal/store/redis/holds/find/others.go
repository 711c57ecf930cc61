package find

import (
	"context"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
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

// inOthers leaves out the members that one of the ways does not have. Each way is one index.
func (s Finder) inOthers(ctx context.Context, others [][]string, members []string) ([]string, error) {
	for _, way := range others {
		if len(members) == 0 {
			break
		}
		args := make([]any, len(members))
		for i, m := range members {
			args[i] = m
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
