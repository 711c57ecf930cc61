package token

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// Version is in front of every token.
const Version = "v1."

// feedbackVersion stands for it where no dot may (RFC 9477 section 4.2).
const feedbackVersion = "v1:"

// FeedbackID is a token as it stands in CFBL-Feedback-ID.
func FeedbackID(token string) string { return feedbackVersion + strings.TrimPrefix(token, Version) }

// tokenLen is the length of a token without its version.
var tokenLen = base64.RawURLEncoding.EncodedLen(1 + chacha20poly1305.NonceSizeX + plainLen + chacha20poly1305.Overhead)

// valueMax bounds what Find looks at of a field.
const valueMax = 4 << 10

// Key is one key of a ring, as a person may see it.
type Key struct {
	ID   string    `json:"id"`   // "1" to "255"
	From time.Time `json:"from"` // when it begins to seal
}

type key struct {
	id     byte
	from   time.Time
	secret [chacha20poly1305.KeySize]byte
}

// Ring is the keys of an installation. The newest one whose time has come seals, all open. It
// is safe for concurrent use.
type Ring struct {
	now  func() time.Time
	keys atomic.Pointer[[]key] // oldest first
}

// Seal makes the token of a message that an account sends; t.Account is set from the name.
func (r *Ring) Seal(account string, t Trace) (string, error) {
	k := r.sealing()
	t.Account = k.name(account)
	plain, err := t.bytes()
	if err != nil {
		return "", err
	}
	aead, err := k.aead()
	if err != nil {
		return "", err
	}
	out := make([]byte, 1+aead.NonceSize(), 1+aead.NonceSize()+len(plain)+aead.Overhead())
	out[0] = k.id
	_, _ = rand.Read(out[1:]) // never fails
	out = aead.Seal(out, out[1:], plain, k.said())
	return Version + base64.RawURLEncoding.EncodeToString(out), nil
}

// Open reads a token; ErrNotOurs or ErrUnknownKey where it is none of these keys.
func (r *Ring) Open(token string) (Trace, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(token), Version)
	if !ok || len(text) != tokenLen {
		return Trace{}, ErrNotOurs
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return Trace{}, ErrNotOurs
	}
	known := false
	for _, k := range *r.keys.Load() {
		if k.id != b[0] {
			continue
		}
		known = true
		aead, err := k.aead()
		if err != nil {
			return Trace{}, err
		}
		nonce, sealed := b[1:1+aead.NonceSize()], b[1+aead.NonceSize():]
		if plain, err := aead.Open(nil, nonce, sealed, k.said()); err == nil && len(plain) == plainLen {
			t := parse(plain)
			t.Key = strconv.Itoa(int(k.id))
			return t, nil
		}
	}
	if !known {
		return Trace{}, ErrUnknownKey
	}
	return Trace{}, ErrNotOurs
}

// Find opens the first token of ours in the value of a header field, which may be folded and
// hold comments. ErrNotOurs where there is none.
func (r *Ring) Find(value string) (Trace, error) {
	value = strings.ReplaceAll(value[:min(len(value), valueMax)], feedbackVersion, Version)
	joined := strings.Join(strings.Fields(value), "") // a gateway on the way may have folded inside the token
	for _, text := range []string{value, joined} {
		for rest := text; ; {
			at := strings.Index(rest, Version)
			if at < 0 {
				break
			}
			rest = rest[at:]
			if n := len(Version) + tokenLen; len(rest) >= n {
				if t, err := r.Open(rest[:n]); err == nil {
					return t, nil
				}
			}
			rest = rest[len(Version):]
		}
	}
	return Trace{}, ErrNotOurs
}

// Names reports whether a token that was opened with this ring is of the account.
func (r *Ring) Names(t Trace, account string) bool {
	for _, k := range *r.keys.Load() {
		if strconv.Itoa(int(k.id)) == t.Key {
			sum := k.name(account)
			if hmac.Equal(sum[:], t.Account[:]) {
				return true
			}
		}
	}
	return false
}

// Keys shows the keys, oldest first, and which one seals now.
func (r *Ring) Keys() (all []Key, sealing string) {
	for _, k := range *r.keys.Load() {
		all = append(all, k.public())
	}
	return all, r.sealing().public().ID
}

// sealing is the newest key whose time has come; before that of the first, the first.
func (r *Ring) sealing() key {
	all := *r.keys.Load()
	now, out := r.now(), all[0]
	for _, k := range all[1:] {
		if !k.from.After(now) {
			out = k
		}
	}
	return out
}

func (k key) public() Key { return Key{ID: strconv.Itoa(int(k.id)), From: k.from} }

func (k key) aead() (cipher.AEAD, error) { return chacha20poly1305.NewX(k.derive("seal")) }

// said is what stands in clear and is authenticated with the rest.
func (k key) said() []byte { return []byte(Version + strconv.Itoa(int(k.id))) }

// name is the hash that stands for an account.
func (k key) name(account string) (h [8]byte) {
	mac := hmac.New(sha256.New, k.derive("account"))
	mac.Write([]byte(strings.ToLower(strings.TrimSpace(account))))
	copy(h[:], mac.Sum(nil))
	return h
}

// derive gives each use a key of its own.
func (k key) derive(use string) []byte {
	mac := hmac.New(sha256.New, k.secret[:])
	mac.Write([]byte("postern trace " + use))
	return mac.Sum(nil)
}

// Derive returns keys for another purpose, each made of one of the ring's, by its ID, and which
// of them seals. They tell nothing of the ring's own.
func (r *Ring) Derive(purpose string) (all map[byte][]byte, sealing byte) {
	all = map[byte][]byte{}
	for _, k := range *r.keys.Load() {
		all[k.id] = k.derive("for " + purpose)
	}
	return all, r.sealing().id
}

// set takes keys over, which must be fit.
func (r *Ring) set(keys []key) error {
	if len(keys) == 0 {
		return errors.New("there is no key to make trace tokens with")
	}
	seen := map[byte]bool{}
	for i, k := range keys {
		switch {
		case k.id == 0:
			return errors.New("a trace key has an ID from 1 to 255")
		case seen[k.id]:
			return fmt.Errorf("two trace keys have the ID %d", k.id)
		case i > 0 && k.from.Before(keys[i-1].from):
			return fmt.Errorf("trace key %d begins before the one above it", k.id)
		}
		seen[k.id] = true
	}
	r.keys.Store(&keys)
	return nil
}
