package record

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"postern/internal/store/redis/sealed"
	"postern/quarantine"
)

// Kinds of seals: a record of one kind is none of another.
const (
	kindFixed = "hold"
	kindState = "hold-state"
)

// Scribe writes and reads sealed records. Write says in which schema, asked each time.
type Scribe struct {
	ring  *sealed.Ring
	codec codec
	write func() int
}

// NewScribe makes a Scribe. write may be nil: the newest schema.
func NewScribe(ring *sealed.Ring, write func() int) *Scribe {
	if write == nil {
		write = func() int { return Packed }
	}
	return &Scribe{ring, newCodec(), write}
}

// fixed is a hold without what changes: the fields hide those of Hold.
type fixed struct {
	quarantine.Hold
	State   *struct{} `json:"state,omitempty"`
	Version *struct{} `json:"version,omitempty"`
	Release *struct{} `json:"release,omitempty"`
	Ended   *struct{} `json:"ended,omitempty"`
	Expires *struct{} `json:"expires,omitempty"`
}

// state is what changes of a hold.
type state struct {
	State   quarantine.State    `json:"state"`
	Version int64               `json:"version"`
	Release *quarantine.Release `json:"release,omitempty"`
	Ended   *quarantine.Ended   `json:"ended,omitempty"`
	Expires time.Time           `json:"expires"`
	Write   string              `json:"w"` // no two writes are alike, so that each is known by its bytes
}

// Fixed seals what never changes of a hold.
func (s *Scribe) Fixed(h quarantine.Hold) ([]byte, error) {
	text, err := json.Marshal(fixed{Hold: h})
	if err != nil {
		return nil, err
	}
	return s.seal(kindFixed, h.ID, text)
}

// State seals what changes of a hold. Fields of before that we do not know are kept; before
// may be nil or unreadable. No two results are alike.
func (s *Scribe) State(h quarantine.Hold, before []byte) ([]byte, error) {
	var mark [5]byte
	rand.Read(mark[:])
	text, err := json.Marshal(state{h.State, h.Version, h.Release, h.Ended, h.Expires, base64.RawStdEncoding.EncodeToString(mark[:])})
	if err != nil {
		return nil, err
	}
	if old, err := s.open(kindState, h.ID, before); before != nil && err == nil {
		if text, err = merge(old, text); err != nil {
			return nil, err
		}
	}
	return s.seal(kindState, h.ID, text)
}

func (s *Scribe) seal(kind, name string, text []byte) ([]byte, error) {
	packed, err := s.codec.encode(s.write(), text)
	if err != nil {
		return nil, err
	}
	return s.ring.Seal(kind, name, packed), nil
}

// merge adds the fields of old that state has not to text.
func merge(old, text []byte) ([]byte, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(old, &fields); err != nil {
		return text, nil //nolint:nilerr // what was no object has no fields to keep
	}
	for _, known := range []string{"state", "version", "release", "ended", "expires", "w"} {
		delete(fields, known)
	}
	if len(fields) == 0 {
		return text, nil
	}
	more, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{text[:len(text)-1], more[1:]}, []byte{','}), nil
}

func (s *Scribe) open(kind, name string, b []byte) ([]byte, error) {
	packed, err := s.ring.Open(kind, name, b)
	if err != nil {
		return nil, err
	}
	return s.codec.decode(packed)
}

// Read opens both halves of the hold with this ID. The error is sealed.ErrForged or ErrRecord.
func (s *Scribe) Read(id string, fixedPart, statePart []byte) (quarantine.Hold, error) {
	var h quarantine.Hold
	text, err := s.open(kindFixed, id, fixedPart)
	if err != nil {
		return h, err
	}
	changes, err := s.open(kindState, id, statePart)
	if err != nil {
		return h, err
	}
	var st state
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if err := json.Unmarshal(changes, &st); err != nil {
		return h, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if h.ID != id || !st.State.Valid() {
		return h, fmt.Errorf("%w: %q", ErrRecord, id)
	}
	h.State, h.Version, h.Release, h.Ended, h.Expires = st.State, st.Version, st.Release, st.Ended, st.Expires
	return h, nil
}

const kindClock = "clock"

// Clock seals a time.
func (s *Scribe) Clock(name string, t time.Time) []byte {
	return s.ring.Seal(kindClock, name, t.UTC().AppendFormat(nil, time.RFC3339Nano))
}

// ReadClock opens a time sealed under this name.
func (s *Scribe) ReadClock(name string, b []byte) (time.Time, error) {
	text, err := s.ring.Open(kindClock, name, b)
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, string(text))
}
