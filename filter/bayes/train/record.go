package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/filter/bayes"
	"postern/filter/bayes/token"
	"postern/internal/address"
	"postern/internal/entity"
	"postern/internal/mime"
)

// Kind is that of the journal's records.
const Kind entity.Kind = "learned"

// The indexes of the journal.
const (
	byTime  = "at"
	byClass = "class" // key, scope and class, of what counts
	byAside = "aside" // the same, of what is kept aside
	byKept  = "kept"  // all that count
	byGone  = "gone"  // all that count no more
	bySpan  = "run"   // of one act
	byWay   = "via"   // how it was learned
	byRef   = "ref"   // of a hold
	bySend  = "from"  // how it was learned, the day, and the domain of the sender
	byVote  = "by"    // the same with who said it, and with who said it and the domain
)

// Entry is one message in the journal: what it counts as, and who said so. It holds no text of
// the message.
type Entry struct {
	ID     string      `json:"id"`
	Class  bayes.Class `json:"class"`
	Was    bayes.Class `json:"was"`             // before the last change
	Aside  bool        `json:"aside,omitempty"` // it is not counted: what is counted is tested with it
	Scope  string      `json:"scope,omitempty"`
	At     time.Time   `json:"at"`
	By     string      `json:"by"`
	Via    string      `json:"via"` // how: one of the ways
	Run    string      `json:"run"` // names the act that it was part of
	Ref    string      `json:"ref,omitempty"`
	Sender string      `json:"sender,omitempty"` // the domain in From, as registered
	Undone bool        `json:"undone,omitempty"` // the last change took one back
	Key    string      `json:"key"`              // names the key that its tokens were hashed under
	Tokens []byte      `json:"tokens,omitempty"` // 8 octets each

	version uint64
}

// counts is the class that it is counted as.
func (e Entry) counts() bayes.Class {
	if e.Aside {
		return bayes.None
	}
	return e.Class
}

// tokens are those of the message.
func (e Entry) tokens() []uint64 {
	out := make([]uint64, 0, len(e.Tokens)/8)
	for b := e.Tokens; len(b) >= 8; b = b[8:] {
		out = append(out, binary.BigEndian.Uint64(b))
	}
	return out
}

func packed(tokens []uint64) []byte {
	out := make([]byte, 0, 8*len(tokens))
	for _, t := range tokens {
		out = binary.BigEndian.AppendUint64(out, t)
	}
	return out
}

// record is the entry as it is kept.
func (e Entry) record() (entity.Record, error) {
	data, err := json.Marshal(e)
	return entity.Record{Kind: Kind, ID: e.ID, Version: e.version + 1, Data: data, Keys: e.keys()}, err
}

func (e Entry) keys() []entity.Key {
	at := e.At.UnixMilli()
	keys := []entity.Key{{Index: byTime, At: at}, {Index: bySpan, Value: e.Run, At: at}, {Index: byWay, Value: e.Via, At: at}}
	if e.Ref != "" && e.Via != ViaCommand {
		keys = append(keys, entity.Key{Index: byRef, Value: e.Ref, At: at})
	}
	if e.Class == bayes.None {
		return append(keys, entity.Key{Index: byGone, At: at})
	}
	of := e.Key + "/" + e.Scope + "/" + e.Class.String()
	if e.Aside {
		keys = append(keys, entity.Key{Index: byAside, Value: of, At: at})
	} else {
		keys = append(keys, entity.Key{Index: byClass, Value: of, At: at}, entity.Key{Index: byKept, At: at})
	}
	return append(keys, entity.Key{Index: bySend, Value: sendKey(e.Via, e.At, e.Sender), At: at},
		entity.Key{Index: byVote, Value: sendKey(e.Via, e.At, voter(e.By)), At: at}, entity.Key{Index: byVote, Value: sendKey(e.Via, e.At, voter(e.By)+" "+e.Sender), At: at})
}

func sendKey(via string, at time.Time, of string) string {
	return via + " " + at.UTC().Format("20060102") + " " + of
}

// voter names who said something, however long they are called.
func voter(by string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(by)))
	return hex.EncodeToString(sum[:8])
}

func entryOf(r entity.Record) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(r.Data, &e); err != nil {
		return e, fmt.Errorf("learned message %s: %w", r.ID, err)
	}
	e.version = r.Version
	return e, nil
}

// query asks for what counts as a class in a scope, or is kept aside.
func (t *Trainer) query(index, scope string, class bayes.Class) entity.Query {
	return entity.Query{Kind: Kind, Index: index, Value: t.keyID() + "/" + scope + "/" + class.String()}
}

// get returns an entry; one that is not there has version 0.
func (t *Trainer) get(ctx context.Context, id string) (Entry, error) {
	r, err := t.Records.Get(ctx, Kind, id)
	if errors.Is(err, entity.ErrNotFound) {
		return Entry{ID: id}, nil
	}
	if err != nil {
		return Entry{}, err
	}
	return entryOf(r)
}

// Known is what a held message was learned as.
type Known struct {
	ID     string    `json:"id"`   // in the journal
	Ref    string    `json:"hold"` // the hold
	Class  string    `json:"class"`
	Scope  string    `json:"domain,omitempty"`
	Aside  bool      `json:"aside,omitempty"`  // it tests what is learned, and does not count
	Undone bool      `json:"undone,omitempty"` // the last change was taken back
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Via    string    `json:"via"`
}

// Known says what holds were learned as; those that never were are left out.
func (t *Trainer) Known(ctx context.Context, refs []string) (out []Known, err error) {
	for _, ref := range refs {
		if ref == "" {
			continue
		}
		page, err := t.Records.Find(ctx, entity.Query{Kind: Kind, Index: byRef, Value: clip(ref, maxRef), Limit: Batch})
		if err != nil {
			return out, err
		}
		for _, r := range page.Records {
			e, err := entryOf(r)
			if err != nil {
				return out, err
			}
			out = append(out, Known{e.ID, e.Ref, e.Class.String(), e.Scope, e.Aside, e.Undone, e.At, e.By, e.Via})
		}
	}
	return out, nil
}

// identity names a message within a scope by its Message-ID and what stands below its header:
// the same in whatever copy, and not to be had for another message by writing its Message-ID.
func (t *Trainer) identity(tree *mime.Tree, scope string) string {
	body := sha256.Sum256(bytes.TrimSpace(bytes.ReplaceAll(tree.Root.Body(), []byte("\r\n"), []byte("\n"))))
	h := sha256.New()
	key := t.Reader.Tokenizer.Key
	h.Write(key[:])
	for _, field := range []string{"message " + token.Version, scope, strings.TrimSpace(tree.Root.Header.Get("Message-ID")), string(body[:])} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		h.Write(n[:])
		h.Write([]byte(field))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// keyID names a key without saying anything about it.
func (t *Trainer) keyID() string {
	return fmt.Sprintf("%08x", uint32(t.Reader.Tokenizer.Name("key "+token.Version)))
}

// sender is the domain of the author as registered.
func sender(tree *mime.Tree) string {
	from := tree.From()
	if len(from) == 0 {
		return ""
	}
	domain := address.Registered(strings.ToLower(from[0].Domain))
	if len(domain) > 255 {
		domain = domain[:255]
	}
	return domain
}
