// Package head signs how far the audit has come, once a day, and holds the audit against what
// was signed: an audit that was cut or written anew after that is found, although its hashes fit
// each other.
package head

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"postern/internal/entity"
	"postern/internal/record"
	"postern/internal/said"
)

// Kind is that of the records.
const Kind entity.Kind = "audit-head"

// Head says that the audit had an entry with this number and hash, and who says so.
type Head struct {
	Day  string    `json:"day"` // "2026-11-22", UTC
	Seq  int64     `json:"seq"`
	Hash string    `json:"hash"`
	At   time.Time `json:"at"`
	Node string    `json:"node"`
	Key  string    `json:"key"` // public key, Ed25519, base64
	Sig  string    `json:"sig"` // of Text, base64
}

// Text is what is signed.
func (h Head) Text() string {
	return fmt.Sprintf("postern audit head\n%s\n%d\n%s\n%s\n%s\n", h.Day, h.Seq, h.Hash, h.At.UTC().Format(time.RFC3339), h.Node)
}

// Signed says that the head is signed by the key that it names.
func (h Head) Signed() bool {
	key, kerr := base64.StdEncoding.DecodeString(h.Key)
	sig, serr := base64.StdEncoding.DecodeString(h.Sig)
	return kerr == nil && serr == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, []byte(h.Text()), sig)
}

// Key reads the node's key, or makes one that only this user can read.
func Key(path string, random io.Reader) (ed25519.PrivateKey, error) {
	seed, err := os.ReadFile(path)
	switch {
	case err == nil && len(seed) == ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(seed), nil
	case err == nil:
		return nil, fmt.Errorf("%s: a key has %d bytes, this file %d; bring the right one back from a backup, or remove it and a new one is made", path, ed25519.SeedSize, len(seed))
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	seed = make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, err
	}
	if err := write(path+".new", seed, os.O_TRUNC); err != nil {
		return nil, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), syncDir(filepath.Dir(path))
}

func write(path string, b []byte, how int) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|how, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Heads makes and keeps them.
type Heads struct {
	Store entity.Store
	Audit record.AuditStore
	Key   ed25519.PrivateKey
	Node  string
	Now   func() time.Time
	// File keeps the heads of this node once more, one a line: what is done to the store does
	// not reach them.
	File string
	// Send carries a head out of the installation. An error is tried again with the next call
	// of Daily.
	Send func(ctx context.Context, h Head) error
}

// stored is a head as it is kept.
type stored struct {
	Head

	Sent time.Time `json:"sent,omitzero"`
}

func (s *Heads) table() entity.Table[stored] {
	return entity.Table[stored]{
		Store: s.Store, Kind: Kind, ID: func(h *stored) string { return h.Day },
		Keys: func(h *stored) []entity.Key { return []entity.Key{{Index: "all", At: h.At.UnixMilli()}} },
	}
}

// Daily signs the head of today unless there is one, and sends it unless that was done. One
// node of several calls it at a time.
func (s *Heads) Daily(ctx context.Context) error {
	day := s.Now().UTC().Format(time.DateOnly)
	row, err := s.table().Get(ctx, day)
	if errors.Is(err, entity.ErrNotFound) {
		row, err = s.sign(ctx, day)
	}
	if err != nil || row.Value.Seq == 0 || !row.Value.Sent.IsZero() || s.Send == nil {
		return err
	}
	if err := s.Send(ctx, row.Value.Head); err != nil {
		return fmt.Errorf("sending the head of the audit: %w", err)
	}
	_, err = s.table().Change(ctx, day, func(h *stored) error { h.Sent = s.Now().UTC(); return nil })
	return err
}

// sign makes the head of a day. What is signed verifies up to there: a broken audit gets none.
func (s *Heads) sign(ctx context.Context, day string) (entity.Row[stored], error) {
	last, err := record.Verify(ctx, s.Audit)
	if err != nil || last.Seq == 0 {
		return entity.Row[stored]{}, err
	}
	h := Head{Day: day, Seq: last.Seq, Hash: last.Hash, At: s.Now().UTC().Truncate(time.Second), Node: s.Node, Key: s.public()}
	h.Sig = base64.StdEncoding.EncodeToString(ed25519.Sign(s.Key, []byte(h.Text())))
	line, err := json.Marshal(h)
	if err != nil {
		return entity.Row[stored]{}, err
	}
	if err := write(s.File, append(line, '\n'), os.O_APPEND); err != nil {
		return entity.Row[stored]{}, err
	}
	return s.table().Create(ctx, stored{Head: h})
}

func (s *Heads) public() string {
	return base64.StdEncoding.EncodeToString(s.Key.Public().(ed25519.PublicKey))
}

// Found is what Verify says of the heads.
type Found struct {
	Last    record.Entry `json:"last"`    // the last entry of the audit
	Heads   int          `json:"heads"`   // that fit it, signed by this node
	Others  int          `json:"others"`  // that fit it, signed by keys this node does not have
	Foreign int          `json:"foreign"` // of a home that the audit was moved from: their numbers say nothing here
}

// Said implements said.Sayer: the audit is whole.
func (f Found) Said() said.Words {
	var others, foreign said.Words
	if f.Others > 0 {
		others = said.Say("audit.others", ", and %d signed by keys that this node does not have", "n", f.Others)
	}
	if f.Foreign > 0 {
		foreign = said.Say("audit.foreign", "; %d heads are of the home that the audit was moved from", "n", f.Foreign)
	}
	return said.Say("audit.whole", "%d entries, unbroken, last hash %s; %d signed heads fit%s%s", "n", f.Last.Seq, "hash", f.Last.Hash, "heads", f.Heads, "others", others, "foreign", foreign)
}

// Verify reads the whole audit and checks its hashes, and the heads against it. The error is a
// *record.BrokenError for the first thing that is wrong.
func (s *Heads) Verify(ctx context.Context) (f Found, err error) {
	if f.Last, err = record.Verify(ctx, s.Audit); err != nil {
		return f, err
	}
	moved, err := s.moved(ctx)
	if err != nil {
		return f, err
	}
	own := map[int64]bool{}
	check := func(h Head) error {
		fits, err := s.fits(ctx, h)
		switch {
		case err != nil:
			return err
		case !h.Signed():
			return &record.BrokenError{Seq: h.Seq, Why: "the head of " + h.Day + " has another signature: it was changed"}
		case !fits && h.At.Before(moved):
			f.Foreign++
		case !fits && h.Seq > f.Last.Seq:
			return &record.BrokenError{Seq: f.Last.Seq + 1, Why: fmt.Sprintf("is missing: the head of %s was signed at entry %d, the audit was cut", h.Day, h.Seq)}
		case !fits:
			return &record.BrokenError{Seq: h.Seq, Why: "is another one than the head of " + h.Day + " was signed for: the audit was written anew"}
		case h.Key == s.public():
			if !own[h.Seq] {
				f.Heads++
			}
			own[h.Seq] = true
		default:
			f.Others++
		}
		return nil
	}
	err = s.table().Each(ctx, entity.Query{Index: "all", Rising: true, Limit: entity.MaxPage}, func(r entity.Row[stored]) error { return check(r.Value.Head) })
	if err != nil {
		return f, err
	}
	return f, s.eachOfFile(func(h Head) error {
		if h.Key == s.public() && own[h.Seq] {
			return nil
		}
		return check(h)
	})
}

// fits says that the audit has the entry that the head was signed for.
func (s *Heads) fits(ctx context.Context, h Head) (bool, error) {
	e, err := s.Audit.Entries(ctx, h.Seq-1, 1)
	return err == nil && len(e) == 1 && e[0].Seq == h.Seq && e[0].Hash == h.Hash, err
}

// auditMoved marks in an audit that entries before it came from another home, where they had
// other numbers.
const auditMoved = "audit-moved"

// moved is when entries came from another home last.
func (s *Heads) moved(ctx context.Context) (at time.Time, err error) {
	for after := int64(0); ; {
		page, err := s.Audit.Entries(ctx, after, 500)
		if err != nil || len(page) == 0 {
			return at, err
		}
		for _, e := range page {
			if after = e.Seq; e.Action == auditMoved && e.Time.After(at) {
				at = e.Time
			}
		}
	}
}

// eachOfFile gives the heads of the node's own file. A last line that was not written to its end
// is none: its head is not in the store either.
func (s *Heads) eachOfFile(f func(Head) error) error {
	file, err := os.Open(s.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(io.LimitReader(file, 64<<20))
	for lines.Scan() {
		var h Head
		if json.Unmarshal(lines.Bytes(), &h) != nil {
			continue
		}
		if err := f(h); err != nil {
			return err
		}
	}
	return lines.Err()
}
