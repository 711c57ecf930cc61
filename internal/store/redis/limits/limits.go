// Package limits shares on Redis what the nodes count, for filter/limit.
package limits

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter/limit"
	"postern/internal/store/redis/conn"
)

// Bounds of how long a count is kept.
const (
	minKeep = time.Minute
	maxKeep = 48 * time.Hour
)

// Store implements limit.Shared. A name is a hash with a field for each life of each node: its
// own counts, which it alone writes and which never get smaller within a window. So nothing is
// counted twice however often, late or out of order a write arrives, and the counts of a node
// that was started anew still count, as those of another one. Another format would take other
// keys: these fields are for who reads nine numbers.
type Store struct {
	conn *conn.Conn
	self string
}

// New makes a store on a connection, for one life of a node.
func New(c *conn.Conn) *Store {
	var self [6]byte
	_, _ = rand.Read(self[:]) // never fails
	return &Store{conn: c, self: hex.EncodeToString(self[:])}
}

// exchange writes our field and adds up the others. KEYS: the name. ARGV: our field,
// milliseconds to keep it, and for each window number, now and old. It returns the key and for
// each window now and old of the others, brought to our numbers: theirs of the window before
// is our old, and who is a window ahead counts as now. Fields that count no more are removed;
// what is no field of ours as well.
const exchange = `local k,me,a,r,gone=KEYS[1],ARGV[1],{},{KEYS[1],0,0,0,0,0,0},{}
for i=3,11 do a[i-2]=tonumber(ARGV[i]) end
local all,mine=redis.pcall('HGETALL',k),nil
if all.err then redis.call('DEL',k) all={} end
for i=1,#all,2 do
local v,live={},all[i]==me
if #all[i+1]<200 and all[i+1]:match('^[%d ]+$') then for n in all[i+1]:gmatch('%d+') do v[#v+1]=tonumber(n) end end
if #v~=9 then live=false
elseif live then mine=v
else
for w=1,7,3 do
local d,x,y=a[w]-v[w],v[w+1],v[w+2]
if d<=1 then live=true end
local c=w-(w-1)/3+1
if d==0 then r[c]=r[c]+x r[c+1]=r[c+1]+y
elseif d==1 then r[c+1]=r[c+1]+x
elseif d==-1 then r[c]=r[c]+x+y end
end
end
if not live then gone[#gone+1]=all[i] end
end
local some=false
for w=1,7,3 do
if mine then
local d=a[w]-mine[w]
if d==0 then a[w+1]=math.max(a[w+1],mine[w+1]) a[w+2]=math.max(a[w+2],mine[w+2])
elseif d==1 then a[w+2]=math.max(a[w+2],mine[w+1])
elseif d<0 and d>-3 then a[w],a[w+1],a[w+2]=mine[w],mine[w+1],mine[w+2] end
end
if a[w+1]+a[w+2]>0 then some=true end
end
if some then
redis.call('HSET',k,me,table.concat(a,' '))
redis.call('PEXPIRE',k,math.max(tonumber(ARGV[2]),redis.call('PTTL',k)))
end
for _,f in ipairs(gone) do if f~=me or not some then redis.call('HDEL',k,f) end end
return r`

// errForeign says that the store answered about another name.
var errForeign = errors.New("the store answered with the counts of another name")

// Exchange implements limit.Shared in one round trip. The clock the nodes share is that of the
// server.
func (s *Store) Exchange(ctx context.Context, counts []limit.Count) ([]limit.Windows, time.Time, error) {
	keys := make([]string, len(counts))
	var clock *redis.TimeCmd
	cmds, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, c := range counts {
			keys[i] = s.conn.Key("li", conn.Hash(c.Symbol, c.Name))
			conn.Script(exchange).Run(ctx, p, keys[i:i+1], s.args(c)...)
		}
		clock = p.Time(ctx)
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	all := make([]limit.Windows, len(counts))
	for i, c := range counts {
		answer, err := cmds[i].(*redis.Cmd).Slice()
		if err != nil {
			return nil, time.Time{}, err
		}
		if all[i], err = read(answer, keys[i], c.Windows); err != nil {
			return nil, time.Time{}, err
		}
	}
	now, err := clock.Result()
	return all, now, err
}

func (s *Store) args(c limit.Count) []any {
	args := []any{s.self, min(max(c.Keep, minKeep), maxKeep).Milliseconds()}
	for _, w := range c.Windows {
		args = append(args, w.Number, w.Now, w.Old)
	}
	return args
}

// read reads an answer about a key, which is by the numbers of the question.
func read(answer []any, key string, asked limit.Windows) (w limit.Windows, err error) {
	if len(answer) != 1+2*len(w) || answer[0] != key {
		return w, errForeign
	}
	for i := range w {
		now, ok := answer[1+2*i].(int64)
		old, good := answer[2+2*i].(int64)
		if !ok || !good {
			return w, errForeign
		}
		w[i] = limit.Window{Number: asked[i].Number, Now: bounded(now), Old: bounded(old)}
	}
	return w, nil
}

func bounded(n int64) int32 { return int32(min(max(n, 0), math.MaxInt32/4)) } //nolint:gosec // bounded
