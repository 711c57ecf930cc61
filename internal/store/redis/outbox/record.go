package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter"
	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/store/redis/chunks"
	"postern/internal/store/redis/conn"
)

// Kinds of the sealed records.
const (
	kindFixed = "outbox"
	kindState = "outbox state"
)

// fixed is what never changes of an entry. It is never written again, so what a newer version
// wrote into it stays.
type fixed struct {
	Entry relayoutbox.Entry `json:"entry"` // as it was added
	Nonce string            `json:"nonce"` // of the keys of the body
	Body  chunks.Body       `json:"body"`
}

// state is what changes of an entry.
type state struct {
	Version   int64              `json:"version"` // when this was written; claims count on
	To        []filter.Recipient `json:"to"`
	Next      time.Time          `json:"next"`
	Attempts  int                `json:"attempts"`
	Ambiguous bool               `json:"ambiguous"`
	LastReply string             `json:"last_reply"`
}

// stored is an entry as it was found. Without ok it is missing or does not verify, and only id,
// there and version say something.
type stored struct {
	ok      bool
	there   bool
	id      string
	version string // as text
	entry   relayoutbox.Entry
	fixed   fixed
	state   []byte // the JSON
	size    int64
	lease   int64 // 0: given back
	node    string
	crashed bool
}

// due is when a claim may find the entry.
func (st stored) due() int64 { return max(st.entry.Next.UnixMilli(), st.lease) }

// pack puts the format in front of a record. Both formats are JSON; the second is what the next
// version writes, whose fields are kept here though not known.
func (s *Store) pack(kind, id string, text []byte) []byte {
	format := byte('1')
	if s.Write() == 2 {
		format = '2'
	}
	return s.Ring.Seal(kind, id, append([]byte{format}, text...))
}

// unpack verifies a record and returns its JSON.
func (s *Store) unpack(kind, id string, record string) ([]byte, error) {
	text, err := s.Ring.Open(kind, id, []byte(record))
	if err != nil {
		return nil, err
	}
	if len(text) == 0 || text[0] != '1' && text[0] != '2' {
		return nil, fmt.Errorf("%s %q has a format that this version does not know", kind, id)
	}
	return text[1:], nil
}

func (s *Store) sealFixed(e relayoutbox.Entry, nonce string, b chunks.Body) ([]byte, error) {
	text, err := json.Marshal(fixed{Entry: e, Nonce: nonce, Body: b})
	return s.pack(kindFixed, e.ID, text), err
}

// sealState writes what changes of e, with what the old JSON has beside it.
func (s *Store) sealState(e relayoutbox.Entry, old []byte) ([]byte, error) {
	var kept struct {
		To []json.RawMessage `json:"to"`
	}
	all := map[string]json.RawMessage{}
	if old != nil {
		if err := errors.Join(json.Unmarshal(old, &all), json.Unmarshal(old, &kept)); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(state{e.Version, e.To, e.Next, e.Attempts, e.Ambiguous, e.LastReply})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	to := make([]json.RawMessage, len(e.To))
	for i, r := range e.To {
		if to[i], err = recipient(r, kept.To); err != nil {
			return nil, err
		}
	}
	if all["to"], err = json.Marshal(to); err != nil {
		return nil, err
	}
	text, err = json.Marshal(all)
	return s.pack(kindState, e.ID, text), err
}

// recipient is the JSON of r, as it was stored before where it was.
func recipient(r filter.Recipient, kept []json.RawMessage) (json.RawMessage, error) {
	for _, text := range kept {
		var old filter.Recipient
		if err := json.Unmarshal(text, &old); err == nil && old == r {
			return text, nil
		}
	}
	return json.Marshal(r)
}

// columns are the fields that open reads, in this order.
var columns = []string{"r", "s", "v", "l", "n", "c"}

// read reads entries in one round trip. Those that are missing or do not verify are not ok.
func (s *Store) read(ctx context.Context, ids []string) ([]stored, error) {
	cmds := make([]*redis.SliceCmd, len(ids))
	if _, err := s.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, id := range ids {
			if wellFormed.MatchString(id) {
				cmds[i] = p.HMGet(ctx, s.entity(id), columns...)
			}
		}
	}); err != nil {
		return nil, err
	}
	out := make([]stored, len(ids))
	for i, cmd := range cmds {
		out[i].id = ids[i]
		if cmd == nil {
			continue
		}
		if err := cmd.Err(); err != nil { // of another type
			s.accuse(ids[i], err)
			out[i].there = true
			continue
		}
		fields, there := texts(cmd.Val())
		if !there {
			s.forgive(ids[i])
			continue
		}
		st, err := s.open(ids[i], fields)
		if err != nil {
			s.accuse(ids[i], err)
			out[i].there, out[i].version = true, fields[2]
			continue
		}
		s.forgive(ids[i])
		out[i] = st
	}
	return out, nil
}

// texts are the values of columns; there is false when none is there.
func texts(values []any) (fields []string, there bool) {
	fields = make([]string, len(columns))
	for i, v := range values {
		if text, ok := v.(string); ok && i < len(fields) {
			fields[i], there = text, true
		}
	}
	return fields, there
}

// open verifies an entry and puts it together.
func (s *Store) open(id string, fields []string) (stored, error) {
	st := stored{ok: true, there: true, id: id, version: fields[2], node: fields[4], size: int64(len(fields[0]) + len(fields[1]))}
	text, err := s.unpack(kindFixed, id, fields[0])
	if err == nil {
		err = json.Unmarshal(text, &st.fixed)
	}
	if err == nil {
		st.state, err = s.unpack(kindState, id, fields[1])
	}
	var now state
	if err == nil {
		err = json.Unmarshal(st.state, &now)
	}
	if err != nil {
		return stored{}, err
	}
	version, err := strconv.ParseInt(st.version, 10, 64)
	lease, lerr := strconv.ParseInt(fields[3], 10, 64)
	if err = errors.Join(err, lerr); err != nil || st.fixed.Entry.ID != id || version < now.Version {
		return stored{}, fmt.Errorf("outbox entry %q does not fit together: %w", id, errors.Join(err, errTorn))
	}
	st.lease, st.crashed = lease, lease != 0 || fields[5] == "1"
	st.size += st.fixed.Body.Stored
	e := st.fixed.Entry
	e.Version, e.To, e.Next, e.Attempts, e.Ambiguous, e.LastReply = version, now.To, now.Next, now.Attempts, now.Ambiguous, now.LastReply
	st.entry = e
	return st, nil
}

var errTorn = errors.New("its parts are of different entries or times")

// Bounds of what is remembered of entries that do not verify.
const (
	maxBad   = 4096
	sayFirst = 16
	sayEvery = time.Minute
)

// accuse says once that an entry does not verify; when there are many, once a minute how many.
func (s *Store) accuse(id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad[id] || len(s.bad) >= maxBad {
		return
	}
	s.bad[id] = true
	if now := s.Now(); len(s.bad) <= sayFirst || s.said.IsZero() || now.Sub(s.said) >= sayEvery || now.Before(s.said) {
		s.said = now
		s.Log.Error("an outbox entry does not verify; it is not sent and stays for a person", "entry", id, "error", err, "such_entries", len(s.bad))
	}
}

// forgive forgets that an entry did not verify.
func (s *Store) forgive(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bad, id)
}

func (s *Store) isBad(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad[id]
}
