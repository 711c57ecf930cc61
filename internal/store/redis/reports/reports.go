// Package reports keeps the counts and reports of DMARC and TLS in Redis, off the way of mail.
//
// What belongs to a day lies in one hash slot, apart from the other days; H is the hash of a
// domain:
//
//	P:{rp}:days        set: the days there are
//	P:{rp:DAY}:all     set: the domains with rows
//	P:{rp:DAY}:due     zset: the domains without a note
//	P:{rp:DAY}:n:H     hash: key of a row -> how often;  P:{rp:DAY}:r:H  key -> the row
//	P:{rp:DAY}:sent    hash: domain -> note;  P:{rp:DAY}:at  zset: domain by the time of its note
//	P:{rr}:...         received reports: brief, whole (hashes), end, came (zsets), size
//
// Nothing here acts, so nothing is sealed; what is not what it was stored as is left out.
package reports

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/report"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/pack"
	"postern/internal/store/redis/seldom"
)

// dictionary is what rows and reports look like.
//
//go:embed reports.dict
var dictionary []byte

// Options say where reports go and what they may cost.
type Options struct {
	Conn  *conn.Conn
	Now   func() time.Time
	Log   *slog.Logger
	Cap   int64      // bytes of received reports; beyond, the oldest go; 0 = DefaultCap
	Write func() int // format of what is written; nil = the oldest
}

// DefaultCap bounds received reports, compressed.
const DefaultCap = 256 << 20

// Bounds of what is kept.
const (
	kindsMost = 50_000  // rows of one domain and day; a report has far fewer
	atOnce    = 500     // rows, or records, of one command
	most      = 8 << 20 // a record unpacked
)

// Store implements report.Store.
type Store struct {
	o     Options
	codec *pack.Codec

	damagedN atomic.Int64
	hurt     seldom.Line
	full     seldom.Line
	capped   sync.Once
}

// New is the store; Redis need not be there yet.
func New(o Options) (*Store, error) {
	codec, err := pack.New(dictionary, most)
	if err != nil {
		return nil, err
	}
	if o.Cap <= 0 {
		o.Cap = DefaultCap
	}
	if o.Write == nil {
		o.Write = func() int { return 1 }
	}
	return &Store{o: o, codec: codec, hurt: seldom.Line{Now: o.Now}, full: seldom.Line{Now: o.Now}}, nil
}

// Damaged counts records that could not be read and were left out.
func (s *Store) Damaged() int64 { return s.damagedN.Load() }

func (s *Store) damage(what string) {
	s.damagedN.Add(1)
	if s.hurt.May() {
		s.o.Log.Error("records of reports in redis are damaged and left out", "what", what, "damaged", s.damagedN.Load())
	}
}

// key is the name of a key of a day.
func (s *Store) key(day, part string) string { return s.o.Conn.Key("{rp:"+day+"}", part) }

func (s *Store) daysKey() string { return s.o.Conn.Key("{rp}", "days") }

func (s *Store) rowsKeys(day, domain string) (counts, rows string) {
	h := conn.Hash(domain)
	return s.key(day, "n:"+h), s.key(day, "r:"+h)
}

// pipe sends commands that are in nobody's way.
func (s *Store) pipe(ctx context.Context, queue func(p redis.Pipeliner)) error {
	_, err := s.o.Conn.Pipe(ctx, conn.Background, queue)
	return err
}

func (s *Store) put(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return s.codec.Pack(s.o.Write(), text), nil
}

func (s *Store) get(stored string, v any) error {
	text, _, err := s.codec.Unpack([]byte(stored))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%w: %w", pack.ErrDamaged, err)
	}
	return nil
}

// count adds to the rows of one domain and day, and leaves out new ones where there are too
// many. It returns how many it left out.
const count = conn.Script(`
local have, left = redis.call('HLEN', KEYS[1]), 0
for i = 3, #ARGV, 3 do
	if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
		redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i+1])
	elseif have < tonumber(ARGV[2]) then
		redis.call('HSET', KEYS[2], ARGV[i], ARGV[i+2])
		redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i+1])
		have = have + 1
	else
		left = left + 1
	end
end
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('SADD', KEYS[4], ARGV[1])
return left`)

// batch is the rows of one domain and day, as arguments of the script.
type batch struct {
	day, domain string
	args        []any
}

// batches sorts rows by day and domain.
func (s *Store) batches(rows []report.Row) ([]*batch, error) {
	var out []*batch
	open := map[[2]string]*batch{}
	for _, r := range rows {
		if !isDay(r.Day) {
			return nil, fmt.Errorf("reports: %.20q is no day", r.Day)
		}
		n := r.Record.Row.Count
		r.Record.Row.Count = 0
		stored, err := s.put(r)
		if err != nil {
			return nil, err
		}
		of := [2]string{r.Day, r.Domain}
		b := open[of]
		if b == nil || len(b.args) >= 2+3*atOnce {
			b = &batch{day: r.Day, domain: r.Domain, args: []any{r.Domain, kindsMost}}
			open[of] = b
			out = append(out, b)
		}
		b.args = append(b.args, r.Key(), n, stored)
	}
	return out, nil
}

func isDay(day string) bool {
	t, err := time.Parse(time.DateOnly, day)
	return err == nil && t.Format(time.DateOnly) == day
}

// Count implements report.Store. Days are listed before their rows are there: what is not
// listed is not sent.
func (s *Store) Count(ctx context.Context, rows ...report.Row) error {
	all, err := s.batches(rows)
	if err != nil || len(all) == 0 {
		return err
	}
	days := map[string]bool{}
	for _, b := range all {
		days[b.day] = true
	}
	if err := s.pipe(ctx, func(p redis.Pipeliner) {
		for day := range days {
			p.SAdd(ctx, s.daysKey(), day)
		}
	}); err != nil {
		return err
	}
	left := make([]*redis.Cmd, 0, len(all))
	err = s.pipe(ctx, func(p redis.Pipeliner) {
		for _, b := range all {
			counts, records := s.rowsKeys(b.day, b.domain)
			left = append(left, count.Run(ctx, p, []string{counts, records, s.key(b.day, "due"), s.key(b.day, "all")}, b.args...))
		}
	})
	for i, cmd := range left {
		if n, err := cmd.Int64(); err == nil && n > 0 && s.full.May() {
			s.o.Log.Warn("messages are missing in a DMARC report: it has too many sources", "domain", all[i].domain, "day", all[i].day, "kinds", n, "kept", kindsMost)
		}
	}
	return err
}

// days lists the days there are, the first one first.
func (s *Store) days(ctx context.Context) ([]string, error) {
	var cmd *redis.StringSliceCmd
	if err := s.pipe(ctx, func(p redis.Pipeliner) { cmd = p.SMembers(ctx, s.daysKey()) }); err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(cmd.Val(), func(day string) bool {
		if isDay(day) {
			return false
		}
		s.damage("a day")
		return true
	})
	slices.Sort(out)
	return out, nil
}

// Domains implements report.Store.
func (s *Store) Domains(ctx context.Context, before string, limit int) ([]report.Sent, error) {
	days, err := s.days(ctx)
	if err != nil {
		return nil, err
	}
	var out []report.Sent
	for _, day := range days {
		if day >= before || len(out) >= limit {
			break
		}
		due, err := s.due(ctx, day, limit-len(out))
		if err != nil {
			return nil, err
		}
		for _, domain := range due {
			out = append(out, report.Sent{Day: day, Domain: domain})
		}
	}
	return out, nil
}

// due are the first domains of a day that have no note. One that was counted after its note
// was written is listed again, and left out here for good.
func (s *Store) due(ctx context.Context, day string, limit int) ([]string, error) {
	var out []string
	for from := "-"; len(out) < limit; {
		var page *redis.StringSliceCmd
		if err := s.pipe(ctx, func(p redis.Pipeliner) {
			page = p.ZRangeByLex(ctx, s.key(day, "due"), &redis.ZRangeBy{Min: from, Max: "+", Count: atOnce})
		}); err != nil {
			return nil, err
		}
		domains := page.Val()
		if len(domains) == 0 {
			break
		}
		from = "(" + domains[len(domains)-1]
		var notes *redis.SliceCmd
		if err := s.pipe(ctx, func(p redis.Pipeliner) { notes = p.HMGet(ctx, s.key(day, "sent"), domains...) }); err != nil {
			return nil, err
		}
		var over []any
		for i, note := range notes.Val() {
			if note == nil {
				out = append(out, domains[i])
			} else {
				over = append(over, domains[i])
			}
		}
		if len(over) > 0 {
			if err := s.pipe(ctx, func(p redis.Pipeliner) { p.ZRem(ctx, s.key(day, "due"), over...) }); err != nil {
				return nil, err
			}
		}
	}
	return out[:min(len(out), limit)], nil
}

// counted is how often a row was seen.
type counted struct {
	key string
	n   int64
}

// Rows implements report.Store.
func (s *Store) Rows(ctx context.Context, day, domain string, limit int) ([]report.Row, error) {
	all, err := s.counts(ctx, day, domain)
	if err != nil {
		return nil, err
	}
	_, records := s.rowsKeys(day, domain)
	var out []report.Row
	for part := range slices.Chunk(all[:min(len(all), max(limit, 0))], atOnce) {
		keys := make([]string, len(part))
		for i, c := range part {
			keys[i] = c.key
		}
		var cmd *redis.SliceCmd
		if err := s.pipe(ctx, func(p redis.Pipeliner) { cmd = p.HMGet(ctx, records, keys...) }); err != nil {
			return nil, err
		}
		for i, v := range cmd.Val() {
			stored, _ := v.(string)
			var r report.Row
			if err := s.get(stored, &r); err != nil || r.Key() != keys[i] || r.Day != day || r.Domain != domain {
				s.damage("a row of " + day)
				continue
			}
			r.Record.Row.Count = part[i].n
			out = append(out, r)
		}
	}
	return out, nil
}

// counts reads all counts of a domain, the largest first.
func (s *Store) counts(ctx context.Context, day, domain string) ([]counted, error) {
	key, _ := s.rowsKeys(day, domain)
	seen := map[string]int64{}
	for cursor := uint64(0); ; {
		var cmd *redis.ScanCmd
		if err := s.pipe(ctx, func(p redis.Pipeliner) { cmd = p.HScan(ctx, key, cursor, "", 2*atOnce) }); err != nil {
			return nil, err
		}
		pairs, next := cmd.Val()
		for i := 0; i+1 < len(pairs); i += 2 {
			var n int64
			if _, err := fmt.Sscanf(pairs[i+1], "%d", &n); err != nil || n <= 0 {
				s.damage("a count of " + day)
				continue
			}
			seen[pairs[i]] = n
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	out := make([]counted, 0, len(seen))
	for key, n := range seen {
		out = append(out, counted{key, n})
	}
	slices.SortFunc(out, func(a, b counted) int {
		if a.n != b.n {
			return cmp.Compare(b.n, a.n)
		}
		return cmp.Compare(a.key, b.key)
	})
	return out, nil
}

var errUnknownDay = errors.New("reports: a note needs a day")
