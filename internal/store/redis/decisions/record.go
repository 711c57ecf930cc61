package decisions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"postern/abuse"
	"postern/blocklist"
	"postern/internal/store/redis/conn"
)

// The kinds of decisions, also the words for which the bus is asked.
const (
	KindAccount = "acct"
	KindList    = "list"
)

// maxText bounds one record as it is stored.
const maxText = 16 << 10

// record is a decision as it is stored, after one byte that says in which format.
type record struct {
	Kind    string          `json:"kind"`
	Name    string          `json:"name"`
	Version uint64          `json:"version"`
	Deleted bool            `json:"deleted,omitempty"` // a list entry that was removed
	At      time.Time       `json:"at"`
	By      string          `json:"by"` // the node
	Payload json.RawMessage `json:"payload,omitempty"`
}

// held is a record in memory. It is never changed.
type held struct {
	record
	field   string // what it is called in the store and in the file
	text    []byte // as stored
	account abuse.Account
	entry   blocklist.Entry
}

// fieldOf names a record in the store; what strangers wrote does not show.
func fieldOf(kind, name string) string { return conn.Hash("decision", kind, name) }

// encode makes a record of what is written after old, which may be nil. Fields of old that only
// a newer version knows are kept.
func encode(format byte, r record, payload any, old *held) (*held, error) {
	var err error
	if payload != nil {
		if r.Payload, err = json.Marshal(payload); err != nil {
			return nil, err
		}
		if old != nil && !old.Deleted {
			r.Payload = carry(old.Payload, r.Payload, payload)
		}
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if old != nil {
		text = carry(old.text[1:], text, r)
	}
	h, err := decode(append([]byte{format}, text...))
	if err == nil && (h.Kind != r.Kind || h.Name != r.Name) {
		err = fmt.Errorf("decisions: %q is no name", r.Name) // no UTF-8
	}
	return h, err
}

// decode reads a record and checks that it is whole.
func decode(text []byte) (*held, error) {
	if len(text) == 0 || len(text) > maxText || text[0] != '1' && text[0] != '2' {
		return nil, fmt.Errorf("decisions: a record of %d bytes has no known format", len(text))
	}
	h := &held{text: text}
	if err := json.Unmarshal(text[1:], &h.record); err != nil {
		return nil, fmt.Errorf("decisions: %w", err)
	}
	if h.Version == 0 || h.Version >= 1<<62 || h.Name == "" {
		return nil, fmt.Errorf("decisions: record %q has version %d", h.Name, h.Version)
	}
	h.field = fieldOf(h.Kind, h.Name)
	var err error
	switch {
	case h.Kind == KindAccount && !h.Deleted:
		if err = json.Unmarshal(h.Payload, &h.account); err == nil && (h.account.Name != h.Name || h.account.Version != h.Version) {
			err = errors.New("the account is another one")
		}
	case h.Kind == KindList && h.Deleted:
	case h.Kind == KindList:
		if err = json.Unmarshal(h.Payload, &h.entry); err == nil && h.entry.Key() != h.Name {
			err = errors.New("the entry is another one")
		}
	default:
		err = errors.New("no known kind")
	}
	if err != nil {
		return nil, fmt.Errorf("decisions: record %s %q: %w", h.Kind, h.Name, err)
	}
	return h, nil
}

// carry adds to text the members of old that the type of known does not name.
func carry(old, text []byte, known any) []byte {
	var before, after map[string]json.RawMessage
	if json.Unmarshal(old, &before) != nil || json.Unmarshal(text, &after) != nil {
		return text
	}
	for i, t := 0, reflect.TypeOf(known); i < t.NumField(); i++ {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		delete(before, name)
	}
	if len(before) == 0 {
		return text
	}
	for name, value := range before {
		after[name] = value
	}
	both, err := json.Marshal(after)
	if err != nil {
		return text
	}
	return both
}

// better reports whether a rules over b, a record of the same name. It is a total order, so
// all nodes that have seen the same records come to the same one, in whatever order: the higher
// version, then the later time, then what lets less mail through, then the smaller bytes. Two
// of one version were written on two sides of a partition: the later word is the one that its
// author gave knowing more, and where even the times are alike a suspension that is lost costs
// more than one too many, which a person sees and ends.
func better(a, b *held) bool {
	if a.Version != b.Version {
		return a.Version > b.Version
	}
	if !a.At.Equal(b.At) {
		return a.At.After(b.At)
	}
	if x, y := a.strict(), b.strict(); x != y {
		return x > y
	}
	return bytes.Compare(a.text, b.text) < 0
}

// strict says how far the record stops mail: the higher, the less it lets through.
func (h *held) strict() int {
	if h.Kind == KindAccount {
		return int(h.account.Effective())
	}
	if strings.HasPrefix(h.Name, "allow ") == h.Deleted {
		return 1
	}
	return 0
}
