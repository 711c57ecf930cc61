// Package sent keeps the log of what local accounts send in Redis, for several nodes.
//
// A row is one string under P:{sn:SERIAL}, packed and sealed. All else is derived from it,
// written after it and verified when read. What belongs to the whole log stands in one slot:
//
//	P:{sent}:log    zset: serial by the number of its last change
//	P:{sent}:seq    the last number;  P:{sent}:id  names this log in cursors
//	P:{sent}:at     zset: serial by its time, for what is too old
//	P:{sent}:bytes  what the rows take
//	P:{sx:K:H}      zset: serial by time, of an account (a), a Message-ID (m), a queue ID (q), a
//	                client's address (i); H is a hash
package sent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/abuse/sent"
	"postern/filter"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/pack"
	"postern/internal/store/redis/sealed"
)

// Options are what a Store is made of. Conn and Ring are needed.
type Options struct {
	Conn  *conn.Conn
	Ring  *sealed.Ring
	Now   func() time.Time
	Log   *slog.Logger
	Cap   int64                             // bytes of all rows; beyond it the oldest go; 0 = none
	Event func(key, text string, over bool) // raises an alert, or says that it is over
}

// Store implements sent.Store.
type Store struct {
	Options
	codec *pack.Codec
}

// Bounds of one step.
const (
	mostRow = 8 << 20 // octets of a row unpacked
	tries   = 8       // of a change that others are ahead of
	atOnce  = 200
)

const kind = "sent"

// New makes a store; Redis need not be there yet.
func New(o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Event == nil {
		o.Event = func(string, string, bool) {}
	}
	codec, err := pack.New(dictionary(), mostRow)
	return &Store{Options: o, codec: codec}, err
}

// dictionary is what rows look like. It never changes: rows are read with it for half a year.
func dictionary() []byte {
	text, err := json.Marshal(sent.Row{
		Serial: "01jd9x5h3k2m4n6p8q0r1s2t3v", Node: "mx1.example.com", Listener: "submission", Account: "name@example.com", Login: "name@example.com",
		Client: netip.MustParseAddrPort("192.0.2.1:51234"), From: "name@example.com", MessageID: "@example.com", QueueID: "4Zx1Yk2b3Nz9", BodyHash: "=", Fuzzy: "l1:",
		Action: "accept", Symbols: []string{"ACCOUNT_", "LINK_", "SUBJ_"},
		Copies: []sent.Copy{{Recipient: "@example.org", State: sent.Delivered, Reply: "250 2.0.0 Ok: queued as ", QueueID: "4Z", Bounced: "5.1.1"}},
	})
	if err != nil {
		return []byte("{}")
	}
	return text
}

func (s *Store) key(serial string) string  { return s.Conn.Key("{sn:" + serial + "}") }
func (s *Store) log(part string) string    { return s.Conn.Key("{sent}", part) }
func (s *Store) index(k, of string) string { return s.Conn.Key("{sx:" + k + ":" + conn.Hash(of) + "}") }

// The kinds of indexes.
const (
	byAccount = "a"
	byHeader  = "m"
	byQueue   = "q"
	byClient  = "i"
)

// indexes are the keys under which a row is found.
func (s *Store) indexes(r sent.Row) []string {
	out := []string{s.index(byAccount, r.Account)}
	if r.MessageID != "" {
		out = append(out, s.index(byHeader, r.MessageID))
	}
	if r.Client.Addr().IsValid() {
		out = append(out, s.index(byClient, r.Client.Addr().String()))
	}
	for _, id := range r.QueueIDs() {
		out = append(out, s.index(byQueue, id))
	}
	return out
}

func (s *Store) seal(r sent.Row) (string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	return string(s.Ring.Seal(kind, r.Serial, s.codec.Pack(1, text))), nil
}

func (s *Store) open(serial, stored string) (r sent.Row, err error) {
	packed, err := s.Ring.Open(kind, serial, []byte(stored))
	if err != nil {
		return r, err
	}
	text, _, err := s.codec.Unpack(packed)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err == nil && r.Serial != serial {
		err = fmt.Errorf("%w: it is another row", pack.ErrDamaged)
	}
	return r, err
}

// swap writes a row unless it changed since it was read: ARGV what was read ("" = nothing),
// what is written. The same again is no error: an answer may be lost on the way.
const swap conn.Script = `
local was = redis.pcall('GET', KEYS[1])
if type(was) == 'table' then redis.call('DEL', KEYS[1]) was = '' end
if was == ARGV[2] then return 1 end
if (was or '') ~= ARGV[1] then return redis.error_reply('POSTERN changed') end
redis.call('SET', KEYS[1], ARGV[2])
return 1
`

// note numbers a change: ARGV serial, time in ms, bytes more, what names a new log. It returns
// what all rows take.
const note conn.Script = `
redis.call('SETNX', KEYS[4], ARGV[4])
local n = redis.call('INCR', KEYS[2])
redis.call('ZADD', KEYS[1], n, ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
return redis.call('INCRBY', KEYS[5], ARGV[3])
`

// Begin implements sent.Store.
func (s *Store) Begin(ctx context.Context, r sent.Row) error {
	r = r.Fit()
	if !filter.ValidID(r.Serial) {
		return fmt.Errorf("send log: %.40q is no serial", r.Serial)
	}
	return s.change(ctx, r.Serial, func(was sent.Row, there bool) (sent.Row, bool, error) {
		if !there {
			return r, true, nil
		}
		now, err := was.Joined(r)
		if err == nil && reflect.DeepEqual(was, now) && s.listed(ctx, r.Serial) {
			return now, false, nil
		}
		return now, true, err
	})
}

// listed reports whether a row is in the log: the process that wrote it may have ended before.
func (s *Store) listed(ctx context.Context, serial string) bool {
	return s.Conn.Do(ctx, conn.Write, func(ctx context.Context, r redis.UniversalClient) error {
		return r.ZScore(ctx, s.log("at"), serial).Err()
	}) == nil
}

// Settle implements sent.Store.
func (s *Store) Settle(ctx context.Context, serial string, copies []sent.Copy) error {
	return s.change(ctx, serial, func(was sent.Row, there bool) (sent.Row, bool, error) {
		if !there {
			return was, false, fmt.Errorf("%w: %.50s", sent.ErrNotFound, serial)
		}
		now, changed := was.Settled(copies)
		return now, changed, nil
	})
}

// change replaces a row by what f makes of it.
func (s *Store) change(ctx context.Context, serial string, f func(was sent.Row, there bool) (sent.Row, bool, error)) error {
	for range tries {
		stored, err := s.get(ctx, serial)
		if err != nil {
			return err
		}
		var was sent.Row
		there := stored != ""
		if there {
			if was, err = s.open(serial, stored); err != nil {
				return fmt.Errorf("send log: %w", err)
			}
		}
		now, changed, err := f(was, there)
		if err != nil || !changed {
			return err
		}
		err = s.write(ctx, now, stored)
		if conn.Refused(err) != "changed" {
			return err
		}
	}
	return fmt.Errorf("send log: %s changes all the time", serial)
}

// get is what is stored under a serial, "" = nothing.
func (s *Store) get(ctx context.Context, serial string) (stored string, err error) {
	err = s.Conn.Do(ctx, conn.Write, func(ctx context.Context, r redis.UniversalClient) error {
		stored, err = r.Get(ctx, s.key(serial)).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	return stored, err
}

// write writes a row and then what leads to it. The numbers come last: who follows the log
// finds the row as it is now.
func (s *Store) write(ctx context.Context, r sent.Row, was string) error {
	now, err := s.seal(r)
	if err != nil {
		return err
	}
	if err := s.Conn.Do(ctx, conn.Write, func(ctx context.Context, c redis.UniversalClient) error {
		return swap.Run(ctx, c, []string{s.key(r.Serial)}, was, now).Err()
	}); err != nil {
		return err
	}
	return s.list(ctx, r, len(now)-len(was))
}

// list writes the indexes of a row that takes more bytes than before.
func (s *Store) list(ctx context.Context, r sent.Row, more int) error {
	at := r.At.UnixMilli()
	keys := []string{s.log("log"), s.log("seq"), s.log("at"), s.log("id"), s.log("bytes")}
	var done *redis.Cmd
	if _, err := s.Conn.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, k := range s.indexes(r) {
			p.ZAdd(ctx, k, redis.Z{Score: float64(at), Member: r.Serial})
		}
		done = note.Run(ctx, p, keys, r.Serial, at, more, strconv.FormatInt(s.Now().UnixNano(), 36))
	}); err != nil {
		return err
	}
	total, err := done.Int64()
	if err != nil {
		return err
	}
	s.room(ctx, total)
	return nil
}

// room makes room when the cap is reached: mail never waits for it, the oldest rows go.
func (s *Store) room(ctx context.Context, total int64) {
	if s.Cap <= 0 {
		return
	}
	if total <= s.Cap {
		return
	}
	s.Event("send-log-cap", fmt.Sprintf("the send log takes %d of %d bytes (store.caps.sent): its oldest rows go, and complaints about that mail will find nothing", total, s.Cap), false)
	oldest, err := s.serials(ctx, s.log("at"), redis.ZRangeBy{Min: "-inf", Max: "+inf", Count: atOnce / 10})
	if err == nil {
		err = s.forget(ctx, oldest)
	}
	if err != nil {
		s.Log.Warn("old rows of the send log stay for now", "error", err)
	}
}
