package decisions

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed" // the scripts
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
)

// In the store, all in one hash slot, so that a write is one step:
//
//	{dec}:r     hash of records, field -> seal and text
//	{dec}:meta  hash, n: the revision, one more with each record written
//	{dec}:log   zset of fields, the score is the revision at which each was written last
//	{dec}:marks hash, revision -> random words of who wrote it, for the last revisions
//
// The marks tell whether the store a node sees is the one it knew: after a flush, a failover or
// with an old dump the mark at the revision the node had seen is another one, or none. 10,000
// marks are kept; a node that is behind by more compares everything.

// setScript replaces records that are still what the caller saw ("" = none), each by another
// or by nothing. It is given a new mark and what the caller wrote last, and returns the revision
// after the last, whether the store is the one the caller wrote to, and 1 or 0 for each.
//
//go:embed set.lua
var setScript string

// pullScript is given what the caller has seen and wrote last, each a revision and its mark. It
// returns the revision, its mark, the number of records, whether the store is the one the
// caller knew, and what was written since, oldest first: field, record, field ...
//
//go:embed pull.lua
var pullScript string

// stored is what the store has under a field, "" for nothing.
type stored struct{ field, raw string }

// replacement is a record to be written in place of another, or of "" for none.
type replacement struct {
	field, old string
	text       []byte // nil removes it
}

// errOdd says that the store answered what cannot be.
var errOdd = errors.New("decisions: the store answered something else than it was asked")

func (d *Decisions) keys() []string {
	key := func(name string) string { return d.o.Conn.Key("{dec}", name) }
	return []string{key("r"), key("meta"), key("log"), key("marks")}
}

func (d *Decisions) do(ctx context.Context, kind conn.Kind, f func(ctx context.Context, r redis.UniversalClient) error) error {
	if d.o.cut != nil {
		if err := d.o.cut(); err != nil {
			return err
		}
	}
	return d.o.Conn.Do(ctx, kind, f)
}

// open returns the record if it is ours and stands under its name, or nil.
func (d *Decisions) open(s stored) *held {
	if s.raw == "" {
		return nil
	}
	text, err := d.o.Ring.Open("decision", s.field, []byte(s.raw))
	if mine := d.get(s.field); err == nil && mine != nil && bytes.Equal(mine.text, text) {
		return mine // nearly always, when everything is compared
	}
	var h *held
	if err == nil {
		h, err = decode(text)
	}
	if err == nil && h.field != s.field {
		err = errors.New("it stands under another name")
	}
	if err != nil {
		d.alarm("decisions-forged", fmt.Sprintf("the shared store holds decisions that none of our nodes wrote, or that cannot be read; they do not count: %v", err))
		return nil
	}
	return h
}

// fetch reads some records.
func (d *Decisions) fetch(ctx context.Context, kind conn.Kind, fields []string) ([]stored, error) {
	found := make([]stored, len(fields))
	err := d.do(ctx, kind, func(ctx context.Context, r redis.UniversalClient) error {
		values, err := r.HMGet(ctx, d.keys()[0], fields...).Result()
		if err != nil {
			return err
		}
		if len(values) != len(fields) {
			return errOdd
		}
		for i, v := range values {
			raw, _ := v.(string)
			found[i] = stored{fields[i], raw}
		}
		return nil
	})
	return found, err
}

// set writes records and says of each whether it was done.
func (d *Decisions) set(ctx context.Context, kind conn.Kind, all []replacement) ([]bool, error) {
	args := make([]any, 0, 3+3*len(all))
	mark := rand.Text()
	last := d.lastWritten()
	args = append(args, mark, last.revision, last.mark)
	for _, r := range all {
		var raw []byte
		if r.text != nil {
			raw = d.o.Ring.Seal("decision", r.field, r.text)
		}
		args = append(args, r.field, r.old, raw)
	}
	done := make([]bool, len(all))
	err := d.do(ctx, kind, func(ctx context.Context, r redis.UniversalClient) error {
		answer, err := conn.Script(setScript).Run(ctx, r, d.keys(), args...).Int64Slice()
		if err != nil {
			return err
		}
		if len(answer) != 2+len(all) {
			return errOdd
		}
		for i, n := range answer[2:] {
			done[i] = n == 1
		}
		d.wrote(point{answer[0], mark}, answer[1] == 1)
		return nil
	})
	return done, err
}

// point is a revision of the store and what was written there.
type point struct {
	revision int64
	mark     string
}

// wrote notes the last that this node wrote, and whether what it wrote before was still there.
func (d *Decisions) wrote(p point, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.revision > d.last.revision {
		d.last = p
	}
	d.strange = d.strange || !known
}

func (d *Decisions) lastWritten() point {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.last
}

// news is what pull found.
type news struct {
	point
	size    int64
	known   bool // the store is the one in which this node had seen that point
	records []stored
}

// pull reads what was written since, at most limit records.
func (d *Decisions) pull(ctx context.Context, seen point, limit int) (n news, err error) {
	last := d.lastWritten()
	err = d.do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		answer, err := conn.Script(pullScript).Run(ctx, r, d.keys(), seen.revision, seen.mark, limit, last.revision, last.mark).Slice()
		if err != nil {
			return err
		}
		if len(answer) < 4 || len(answer)%2 != 0 || len(answer) > 4+2*limit {
			return errOdd
		}
		var ok [4]bool
		var known int64
		n.revision, ok[0] = answer[0].(int64)
		n.mark, ok[1] = answer[1].(string)
		n.size, ok[2] = answer[2].(int64)
		known, ok[3] = answer[3].(int64)
		if ok != [4]bool{true, true, true, true} {
			return errOdd
		}
		n.known = known == 1
		for i := 4; i < len(answer); i += 2 {
			field, ok1 := answer[i].(string)
			raw, ok2 := answer[i+1].(string)
			if !ok1 || !ok2 {
				return errOdd
			}
			n.records = append(n.records, stored{field, raw})
		}
		return nil
	})
	return n, err
}

// scan reads a part of all records; next is 0 after the last.
func (d *Decisions) scan(ctx context.Context, cursor uint64) (found []stored, next uint64, err error) {
	err = d.do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		pairs, to, err := r.HScan(ctx, d.keys()[0], cursor, "", page).Result()
		if err != nil {
			return err
		}
		if len(pairs)%2 != 0 {
			return errOdd
		}
		for i := 0; i < len(pairs); i += 2 {
			found = append(found, stored{pairs[i], pairs[i+1]})
		}
		next = to
		return nil
	})
	return found, next, err
}
