// Package greylist keeps on Redis, for all nodes, who was asked to come again and who came.
//
// An entry is kept under the first of its keys; its other keys and its ID lead there, and an
// index lists it. Each is a key of its own, in any slot of a Cluster: what leads to an entry
// is written with it or after, and believed only when the entry itself says so. Whatever is
// lost on the way costs a sender one more wait.
package greylist

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter/greylist"
	"postern/internal/store/redis/conn"
)

// Rows bounds the entries that wait; beyond it the oldest go.
const Rows = 200_000

// How much longer than of use things are kept: a clock of the server that is set forward by
// less takes nothing away.
const (
	spareWaiting = time.Hour
	spareKnown   = 24 * time.Hour
)

// Store implements greylist.Store.
type Store struct {
	conn *conn.Conn
	rows int
}

// New makes a store on a connection. rows 0 = Rows.
func New(c *conn.Conn, rows int) *Store {
	if rows <= 0 {
		rows = Rows
	}
	return &Store{conn: c, rows: rows}
}

func (s *Store) entry(under string) string { return s.conn.Key("gw", under) }
func (s *Store) try(part string) string    { return s.conn.Key("gt", part) }
func (s *Store) id(id string) string       { return s.conn.Key("gi", conn.Hash(id)) }
func (s *Store) source(key string) string  { return s.conn.Key("gk", part(key)) }
func (s *Store) index() string             { return s.conn.Key("gx") }

// Find implements greylist.Store, in one round trip unless a key leads to an entry that was
// made with other keys.
func (s *Store) Find(ctx context.Context, tries, sources []string, now time.Time) (found greylist.Found, err error) {
	if len(tries)+len(sources) == 0 {
		return found, nil
	}
	under := anchor(tries)
	var here *redis.SliceCmd
	leading := make([]*redis.StringCmd, len(tries))
	remembered := make([]*redis.StringCmd, len(sources))
	_, err = s.conn.Pipe(ctx, conn.Lookup, func(p redis.Pipeliner) {
		if under != "" {
			here = p.HMGet(ctx, s.entry(under), fields...)
		}
		for i, k := range tries {
			leading[i] = p.Get(ctx, s.try(part(k)))
		}
		for i, k := range sources {
			remembered[i] = p.Get(ctx, s.source(k))
		}
	})
	if err != nil {
		return found, err
	}
	for i, key := range sources {
		if k, ok := readKnown(key, remembered[i]); ok && (found.Known == nil || k.Until.After(found.Known.Until)) {
			found.Known = &k
		}
	}
	if here == nil {
		return found, nil
	}
	found.Waiting = oldest(nil, here, under, tries, now)
	var others []string
	for _, cmd := range leading {
		if to := cmd.Val(); len(to) == len(under) && to != under && !slices.Contains(others, to) {
			others = append(others, to)
		}
	}
	entries, err := s.entries(ctx, conn.Lookup, others)
	for i, cmd := range entries {
		found.Waiting = oldest(found.Waiting, cmd, others[i], tries, now)
	}
	return found, err
}

// entries reads the entries under some parts in one round trip.
func (s *Store) entries(ctx context.Context, kind conn.Kind, under []string) ([]*redis.SliceCmd, error) {
	all := make([]*redis.SliceCmd, len(under))
	if len(under) == 0 {
		return all, nil
	}
	_, err := s.conn.Pipe(ctx, kind, func(p redis.Pipeliner) {
		for i, u := range under {
			all[i] = p.HMGet(ctx, s.entry(u), fields...)
		}
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// oldest is the older of an entry and the one that was read, if that is live and one of the
// keys is its own.
func oldest(have *greylist.Waiting, cmd *redis.SliceCmd, under string, keys []string, now time.Time) *greylist.Waiting {
	w, ok := read(cmd.Val(), under)
	if !ok || !w.Live(now) || !leads(keys, &w) {
		return have
	}
	if have != nil && cmp.Or(have.First.Compare(w.First), strings.Compare(have.ID, w.ID)) <= 0 {
		return have
	}
	return &w
}

// putOff counts a try of the live entry at KEYS[1], or makes one. ARGV: the ID it must have
// ("": any, or a new one), its last try, now and the latest time of a first try in
// milliseconds; of a new one the ID, the record, its tries, first and expires in milliseconds,
// milliseconds to keep. It returns the fields, or nothing when the entry with that ID is gone.
const putOff = `local k=KEYS[1]
local v=redis.pcall('HMGET',k,'i','r','f','x')
if not v.err and v[1] and v[2] and v[2]:sub(1,1)=='1' and (tonumber(v[4]) or 0)>tonumber(ARGV[3]) and (tonumber(v[3]) or math.huge)<=tonumber(ARGV[4]) and (ARGV[1]=='' or ARGV[1]==v[1]) then
redis.call('HSET',k,'l',ARGV[2])
return {v[2],redis.call('HINCRBY',k,'n',1),ARGV[2]}
end
if ARGV[1]~='' then return {} end
if v.err then redis.call('DEL',k) end
redis.call('HSET',k,'i',ARGV[5],'r',ARGV[6],'n',ARGV[7],'f',ARGV[8],'x',ARGV[9],'l',ARGV[2])
redis.call('PEXPIRE',k,ARGV[10])
return {ARGV[6],tonumber(ARGV[7]),ARGV[2]}`

// errUnreadable says that an entry is there that this version cannot read.
var errUnreadable = errors.New("an entry that is waiting cannot be read")

// PutOff implements greylist.Store. Nodes that put off one message at once meet at one key,
// where the server counts one after the other.
func (s *Store) PutOff(ctx context.Context, w greylist.Waiting, now time.Time) (greylist.Waiting, error) {
	if len(w.Keys) == 0 {
		return w, nil
	}
	found, err := s.Find(ctx, w.Keys, nil, now)
	if err != nil {
		return w, err
	}
	if have := found.Waiting; have != nil {
		under := anchor(have.Keys)
		got, err := s.conn.Pipe(ctx, conn.Write, func(p redis.Pipeliner) { s.count(ctx, p, under, have.ID, &w, "", now) })
		if err != nil {
			return w, err
		}
		if values, err := got[0].(*redis.Cmd).Slice(); err != nil || len(values) > 0 {
			return counted(values, under)
		}
	}
	return s.make(ctx, w, now)
}

func counted(values []any, under string) (greylist.Waiting, error) {
	w, ok := read(values, under)
	if !ok {
		return w, errUnreadable
	}
	return w, nil
}

func (s *Store) count(ctx context.Context, p redis.Pipeliner, under, id string, w *greylist.Waiting, record string, now time.Time) {
	args := []any{id, w.Last.Format(time.RFC3339Nano), now.UnixMilli(), now.Add(greylist.Skew).UnixMilli()}
	if id == "" {
		keep := lifetime(w.Expires.Sub(now), spareWaiting).Milliseconds()
		args = append(args, w.ID, record, max(w.Tries, 1), w.First.UnixMilli(), w.Expires.UnixMilli(), keep)
	}
	conn.Script(putOff).Run(ctx, p, []string{s.entry(under)}, args...)
}

// make makes an entry, and what leads to it, unless another node was first.
func (s *Store) make(ctx context.Context, w greylist.Waiting, now time.Time) (greylist.Waiting, error) {
	text, err := json.Marshal(w)
	if err != nil {
		return w, err
	}
	under := anchor(w.Keys)
	keep := lifetime(w.Expires.Sub(now), spareWaiting)
	cmds, err := s.conn.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		s.count(ctx, p, under, "", &w, format+string(text), now)
		p.ZCard(ctx, s.index())
		p.ZAdd(ctx, s.index(), redis.Z{Score: float64(w.First.UnixMilli()), Member: member(&w)})
		p.Set(ctx, s.id(w.ID), parts(w.Keys), keep)
		for _, k := range w.Keys {
			p.Set(ctx, s.try(part(k)), under, keep)
		}
	})
	if err != nil {
		return w, err
	}
	values, err := cmds[0].(*redis.Cmd).Slice()
	if err != nil {
		return w, err
	}
	got, err := counted(values, under)
	if err != nil {
		return w, err
	}
	if got.ID != w.ID { // another node was first
		return got, s.unlist(ctx, []string{member(&w)})
	}
	if over := cmds[1].(*redis.IntCmd).Val() - int64(s.rows); over >= 0 {
		return got, s.evict(ctx, over+1+int64(s.rows/100))
	}
	return got, nil
}
