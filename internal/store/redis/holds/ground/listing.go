package ground

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// Relist moves a hold that changed between indexes, and again when others changed it meanwhile:
// the last to look leaves them as the hold is. Its own entries are written once more too: who met
// them before the change took them for stale.
func (g *Ground) Relist(ctx context.Context, from, now quarantine.Hold) error {
	for range Tries {
		if err := g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
			g.QueueIndex(ctx, p, now)
			for _, e := range index.Gone(from, now) {
				p.ZRem(ctx, g.IndexKey(e.Key), e.Member)
			}
		}); err != nil {
			return g.unlisted(now, err)
		}
		found, err := g.Rows(ctx, []string{now.ID})
		if err != nil {
			return g.unlisted(now, err)
		}
		if r := found[0]; !r.Good || r.Hold.Version <= now.Version {
			return nil
		}
		from, now = now, found[0].Hold
	}
	return nil
}

// unlisted says that the indexes did not follow. What was changed is changed: they are put
// right when they are read.
func (g *Ground) unlisted(h quarantine.Hold, err error) error {
	g.Log.Warn("a hold has changed and its indexes may not have", "hold", h.ID, "error", err)
	return nil
}

// QueueEntries adds entries to their indexes, and new words to the vocabulary.
func (g *Ground) QueueEntries(ctx context.Context, p redis.Pipeliner, entries []index.Entry) {
	for _, e := range entries {
		p.ZAdd(ctx, g.IndexKey(e.Key), redis.Z{Score: float64(e.Score), Member: e.Member})
	}
}

// QueueWords adds the words of a subject to the vocabulary.
func (g *Ground) QueueWords(ctx context.Context, p redis.Pipeliner, h quarantine.Hold) {
	words := index.Words(h)
	if len(words) == 0 {
		return
	}
	members := make([]redis.Z, len(words))
	for i, w := range words {
		members[i] = redis.Z{Member: w}
	}
	p.ZAdd(ctx, g.IndexKey(index.Vocabulary), members...)
}

// QueueIndex adds all entries of a hold.
func (g *Ground) QueueIndex(ctx context.Context, p redis.Pipeliner, h quarantine.Hold) {
	g.QueueEntries(ctx, p, index.Entries(h))
	if h.State != quarantine.Provisional {
		g.QueueWords(ctx, p, h)
	}
}

// Remove takes holds away with all that names them, those with owners only when the last one
// asks. Those that changed since they were read are left.
func (g *Ground) Remove(ctx context.Context, rows []Row, owners bool) (n int, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	defer g.Counts.Changed()
	cmds := make([]*redis.Cmd, len(rows))
	refs := make([]Reference, len(rows))
	err = g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, r := range rows {
			keys := []string{g.HoldKey(r.ID)}
			if ref, ok := ParseReference(r.Body, r.Hold); ok {
				refs[i] = ref
				keys = append(keys, g.BodyKeys(r.ID.Message, ref)...)
			}
			cmds[i] = remove.Run(ctx, p, keys, r.State, r.Body, refs[i].Gen, Flag(owners))
		}
	})
	if err != nil {
		return 0, err
	}
	var gone []Row
	for i, r := range rows {
		what, err := cmds[i].Int()
		if err != nil || what == 0 {
			continue
		}
		if what == 2 {
			g.Counts.Add(refs[i].Family, -1, -refs[i].Stored)
		}
		gone = append(gone, r)
	}
	return len(gone), g.unlist(ctx, gone)
}

// unlist takes away what names holds that are gone.
func (g *Ground) unlist(ctx context.Context, rows []Row) error {
	words := map[string]*redis.IntCmd{}
	err := g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, r := range rows {
			for _, e := range index.Entries(r.Hold) {
				p.ZRem(ctx, g.IndexKey(e.Key), e.Member)
			}
			if r.Hold.Key != "" {
				Swap.Run(ctx, p, []string{g.KeyKey(r.Hold.Key)}, record.Pack(r.Hold.ID), "")
			}
		}
		for _, r := range rows {
			if r.Hold.State == quarantine.Provisional {
				continue
			}
			for _, w := range index.Words(r.Hold) {
				words[w] = nil
			}
		}
		for w := range words {
			words[w] = p.ZCard(ctx, g.IndexKey(index.WordKey(w)))
		}
	})
	if err != nil {
		return err
	}
	return g.ForgetWords(ctx, words)
}

// ForgetWords takes words that no hold has any more out of the vocabulary; one that came back
// meanwhile is put back.
func (g *Ground) ForgetWords(ctx context.Context, left map[string]*redis.IntCmd) error {
	var unused []string
	for w, cmd := range left {
		if n, err := cmd.Result(); err == nil && n == 0 {
			unused = append(unused, w)
		}
	}
	if len(unused) == 0 {
		return nil
	}
	again := make([]*redis.IntCmd, len(unused))
	err := g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		p.ZRem(ctx, g.IndexKey(index.Vocabulary), Anys(unused)...)
	})
	if err != nil {
		return err
	}
	if err = g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, w := range unused {
			again[i] = p.ZCard(ctx, g.IndexKey(index.WordKey(w)))
		}
	}); err != nil {
		return err
	}
	err = g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, w := range unused {
			if again[i].Val() > 0 {
				p.ZAdd(ctx, g.IndexKey(index.Vocabulary), redis.Z{Member: w})
			}
		}
	})
	return err
}

// Timed is an entry of an index by time, and the hold it names.
type Timed struct {
	Member string
	Score  int64
	Row    Row
}

// EntriesByTime reads entries up to a time, oldest first, and the holds they name.
func (g *Ground) EntriesByTime(ctx context.Context, name string, until, skip int64, limit int) ([]Timed, error) {
	var found []redis.Z
	err := g.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		var err error
		found, err = r.ZRangeByScoreWithScores(ctx, g.IndexKey(name), &redis.ZRangeBy{
			Min: "-inf", Max: strconv.FormatInt(until, 10), Offset: skip, Count: int64(limit)}).Result()
		if WrongType(err) {
			g.Say("a key of ours holds what we did not write", "key", g.IndexKey(name))
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]Timed, len(found))
	ids := make([]string, len(found))
	for i, z := range found {
		member, _ := z.Member.(string)
		out[i] = Timed{Member: member, Score: int64(z.Score)}
		ids[i] = record.Unpack(member)
	}
	rows, err := g.Rows(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Row = rows[i]
	}
	return out, nil
}

func HasEntry(h quarantine.Hold, want index.Entry) bool {
	for _, e := range index.Entries(h) {
		if e == want {
			return true
		}
	}
	return false
}

// Entry is a member of an index that no hold stands behind.
type Entry struct{ Key, Member string }

// ID is the ID of the hold that the entry names.
func (e Entry) ID() string { return index.EntryID(e.Key, e.Member) }

// Clean takes entries away, and puts back those of holds that came to them meanwhile.
func (g *Ground) Clean(ctx context.Context, stale []Entry) error {
	if len(stale) == 0 {
		return nil
	}
	g.Counts.Changed()
	if err := g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, e := range stale {
			p.ZRem(ctx, g.IndexKey(e.Key), e.Member)
		}
	}); err != nil {
		return err
	}
	ids := make([]string, len(stale))
	for i, e := range stale {
		ids[i] = e.ID()
	}
	rows, err := g.Rows(ctx, ids)
	if err != nil {
		return err
	}
	err = g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, e := range stale {
			if !rows[i].Good {
				continue
			}
			for _, now := range index.Entries(rows[i].Hold) {
				if now.Key == e.Key && now.Member == e.Member {
					g.QueueEntries(ctx, p, []index.Entry{now})
				}
			}
		}
	})
	return err
}

// remove takes a hold away, a provisional one when its last owner dropped it.
// KEYS: hold, body, chunks. ARGV: state, reference, generation, whether owners are asked.
// It returns 1 when the hold is gone, 2 when its body is too.
const remove conn.Script = `
local now = redis.call('HMGET', KEYS[1], 's', 'b', 'o')
if not now[1] then return 0 end
if now[1] ~= ARGV[1] or (now[2] or '') ~= ARGV[2] then return redis.error_reply('POSTERN changed') end
local body = false
if #KEYS > 1 then body = redis.pcall('HGET', KEYS[2], 'g') == ARGV[3] end
if ARGV[4] == '1' and (tonumber(now[3]) or 1) > 1 then
  redis.call('HSET', KEYS[1], 'o', tonumber(now[3]) - 1)
  return 0
end
redis.call('DEL', KEYS[1])
if not body or redis.call('HINCRBY', KEYS[2], 'c', -1) > 0 then return 1 end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 2`

// Swap replaces the value of a key that has the expected one; "" is none.
// KEYS: key. ARGV: expected, new.
const Swap conn.Script = `
local kind = redis.call('TYPE', KEYS[1])['ok']
local now = ''
if kind == 'string' then now = redis.call('GET', KEYS[1]) end
if now ~= ARGV[1] then return 0 end
if kind ~= 'string' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1`
