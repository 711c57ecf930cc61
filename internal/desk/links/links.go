// Package links makes the links that go out in mail: each says for whom it is, what it does to
// what, and until when. Without the keys of this installation a link is noise, and none can be
// made or changed.
package links

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// Link is what a link says.
type Link struct {
	For     string    `json:"f"`           // the address whose link it is
	Act     string    `json:"a"`           // what it does
	Of      string    `json:"o,omitempty"` // to what: a hold
	Expires time.Time `json:"e"`
	// Once makes two links that say the same different ones: each is used once.
	Once string `json:"n,omitempty"`
}

// ErrBad is the error of every text that is no link, or none any more.
var ErrBad = errors.New("this link is not valid")

// MaxLen bounds the text of a link, in octets.
const MaxLen = 1024

// Keys are the secrets that seal links: the newest seals, all open.
type Keys interface {
	// Derive returns keys that serve a purpose alone, by the IDs of those they are made of, and
	// which of them seals.
	Derive(purpose string) (all map[byte][]byte, sealing byte)
}

// Sealer makes and reads links of one purpose.
type Sealer struct {
	Keys    Keys
	Purpose string
	Now     func() time.Time
}

// Seal writes a link.
func (s *Sealer) Seal(l Link) (string, error) {
	all, id := s.Keys.Derive("link " + s.Purpose)
	l.Expires = l.Expires.UTC().Truncate(time.Second)
	plain, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	aead, err := chacha20poly1305.NewX(all[id])
	if err != nil {
		return "", err
	}
	out := make([]byte, 1+aead.NonceSize(), 1+aead.NonceSize()+len(plain)+aead.Overhead())
	out[0] = id
	_, _ = rand.Read(out[1:]) // never fails
	text := base64.RawURLEncoding.EncodeToString(aead.Seal(out, out[1:], plain, []byte{id}))
	if len(text) > MaxLen {
		return "", fmt.Errorf("a link has at most %d octets", MaxLen)
	}
	return text, nil
}

// Open reads a link whose time is not over. Whatever is wrong, the error is ErrBad.
func (s *Sealer) Open(text string) (Link, error) {
	var l Link
	if len(text) > MaxLen {
		return l, ErrBad
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < 1+chacha20poly1305.NonceSizeX {
		return l, ErrBad
	}
	all, _ := s.Keys.Derive("link " + s.Purpose)
	aead, err := chacha20poly1305.NewX(all[raw[0]])
	if err != nil { // there is no such key, or none any more
		return l, ErrBad
	}
	sealed := raw[1:]
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], raw[:1])
	if err != nil {
		return l, ErrBad
	}
	if err := json.NewDecoder(bytes.NewReader(plain)).Decode(&l); err != nil || !s.Now().Before(l.Expires) {
		return Link{}, ErrBad
	}
	return l, nil
}

// Mark is how a link is remembered that was used: its text cannot be told from it.
func Mark(text string) string {
	sum := sha256.Sum256([]byte("postern link\x00" + text))
	return hex.EncodeToString(sum[:])
}
