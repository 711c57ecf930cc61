package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"postern/internal/record"
	"postern/internal/store/redis/conn"
)

// The chain is a list, {audit}:log; the entry with number n is at index n-1, sealed under n.

// line is an entry as it is stored, after its seal and one byte that says in which format.
type line struct {
	ID    string       `json:"id"`
	Node  string       `json:"node"`
	Entry record.Entry `json:"entry"`
}

// appendScript appends entries if the chain is as long as the caller saw and ends the same.
const appendScript conn.Script = `
local n = redis.call('LLEN', KEYS[1])
if n ~= tonumber(ARGV[1]) or (n > 0 and redis.call('LINDEX', KEYS[1], -1) ~= ARGV[2]) then
  return redis.error_reply('POSTERN moved')
end
for i = 3, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
return redis.call('LLEN', KEYS[1])`

// longest is above the length of every list.
const longest = 1 << 40

// errOdd says that the store answered what cannot be.
var errOdd = errors.New("audit: the store answered something else than it was asked")

func (a *Audit) key() string { return a.o.Conn.Key("{audit}", "log") }

func (a *Audit) seal(l line) ([]byte, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return a.o.Ring.Seal("audit", strconv.FormatInt(l.Entry.Seq, 10), append([]byte{'0' + byte(a.o.Format)}, text...)), nil
}

// open reads the entry with a number. What is not ours comes back as an entry that breaks the
// chain, with what is wrong as its note.
func (a *Audit) open(seq int64, raw string) line {
	text, err := a.o.Ring.Open("audit", strconv.FormatInt(seq, 10), []byte(raw))
	var l line
	if err == nil && (len(text) == 0 || text[0] != '1' && text[0] != '2') {
		err = errors.New("it has no known format")
	}
	if err == nil {
		err = json.Unmarshal(text[1:], &l)
	}
	if err == nil && l.Entry.Seq != seq {
		err = fmt.Errorf("it is entry %d", l.Entry.Seq)
	}
	if err != nil {
		return line{Entry: record.Entry{Seq: seq, Action: ActionForged, Note: fmt.Sprintf("this entry was not written by a node of ours: %v", err), Prev: "forged", Hash: "forged"}}
	}
	return l
}

// Entries implements record.AuditStore. An entry that is not ours breaks the chain.
func (a *Audit) Entries(ctx context.Context, after int64, limit int) ([]record.Entry, error) {
	lines, err := a.read(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	var all []record.Entry
	for _, l := range lines {
		all = append(all, l.Entry)
	}
	return all, nil
}

func (a *Audit) read(ctx context.Context, after int64, limit int) ([]line, error) {
	after, limit = max(after, 0), min(limit, record.MaxPage)
	if limit <= 0 {
		return nil, nil
	}
	var raw []string
	err := a.do(ctx, func(ctx context.Context, r redis.UniversalClient) (err error) {
		raw, err = r.LRange(ctx, a.key(), after, after+int64(limit)-1).Result()
		if err == nil && len(raw) > limit {
			err = errOdd
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	lines := make([]line, len(raw))
	for i, text := range raw {
		lines[i] = a.open(after+1+int64(i), text)
	}
	return lines, nil
}

// end is what the chain looks like now.
type end struct {
	length int64
	raw    string // the last entry as stored
	last   record.Entry
	whole  bool // what this node has seen is still there
}

// look reads the end of the chain and whether it goes on from what this node knows, in one
// round trip. The three answers may be of different moments; the append finds that out.
func (a *Audit) look(ctx context.Context) (e end, err error) {
	var then, last *redis.StringCmd
	var length *redis.IntCmd
	err = a.do(ctx, func(ctx context.Context, r redis.UniversalClient) error {
		p := r.Pipeline()
		then = p.LIndex(ctx, a.key(), max(a.known.Seq-1, 0))
		length = p.LLen(ctx, a.key())
		last = p.LIndex(ctx, a.key(), -1)
		_, err := p.Exec(ctx)
		if errors.Is(err, redis.Nil) {
			err = errors.Join(length.Err(), notNil(then.Err()), notNil(last.Err()))
		}
		return err
	})
	if err != nil {
		return end{}, err
	}
	e = end{length: length.Val(), raw: last.Val()}
	if e.length < 0 || e.length > longest {
		return end{}, errOdd
	}
	if e.length > 0 {
		e.last = a.open(e.length, e.raw).Entry
	}
	e.whole = a.known.Seq == 0 || e.length >= a.known.Seq && a.open(a.known.Seq, then.Val()).Entry.Hash == a.known.Hash
	return e, nil
}

// notNil is err unless it says that there is nothing.
func notNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// errMoved says that somebody else appended meanwhile.
var errMoved = errors.New("audit: another node appended at the same time")

// push appends lines after the end that was seen, numbered and chained. It returns them as
// written.
func (a *Audit) push(ctx context.Context, e end, lines []line) ([]line, error) {
	args := []any{e.length, e.raw}
	last := record.Entry{Seq: e.length, Hash: e.last.Hash}
	for i := range lines {
		sealed, err := record.Seal(last, lines[i].Entry)
		if err != nil {
			return nil, err
		}
		lines[i].Entry, last = sealed, sealed
		raw, err := a.seal(lines[i])
		if err != nil {
			return nil, err
		}
		args = append(args, raw)
	}
	err := a.do(ctx, func(ctx context.Context, r redis.UniversalClient) error {
		n, err := appendScript.Run(ctx, r, []string{a.key()}, args...).Int64()
		if err == nil && n != last.Seq {
			err = errOdd
		}
		return err
	})
	if err != nil && conn.Refused(err) == "moved" {
		return nil, errMoved
	}
	return lines, err
}
