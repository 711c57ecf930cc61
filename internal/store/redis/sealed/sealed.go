// Package sealed authenticates records that act: what comes back from a shared store counts
// only when this installation wrote it, and wrote it under that name.
package sealed

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ErrForged says that a record was not written under this name with one of our keys.
var ErrForged = errors.New("a record of the store carries no valid seal")

const (
	sealLen  = 16 // bytes of HMAC-SHA-256 that are kept
	idLen    = 4  // bytes that tell keys apart; a key itself never leaves the node
	keyLeast = 16
)

type key struct {
	id     [idLen]byte
	secret []byte
}

// Ring seals with its first key and accepts all of them, so that a key can be replaced.
type Ring struct{ keys []key }

// New makes a ring; a key has at least 16 bytes.
func New(secrets ...[]byte) (*Ring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no key to seal records with")
	}
	r := &Ring{}
	for i, s := range secrets {
		if len(s) < keyLeast {
			return nil, fmt.Errorf("key %d has %d bytes; at least %d are needed", i+1, len(s), keyLeast)
		}
		sum := sha256.Sum256(append([]byte("postern key id\n"), s...))
		r.keys = append(r.keys, key{[idLen]byte(sum[:]), s})
	}
	return r, nil
}

// ID names the key that seals; it says nothing about the key.
func (r *Ring) ID() string { return hex.EncodeToString(r.keys[0].id[:]) }

// Accepts reports whether the ring has the key of this ID.
func (r *Ring) Accepts(id string) bool {
	for _, k := range r.keys {
		if hex.EncodeToString(k.id[:]) == id {
			return true
		}
	}
	return false
}

// Read reads keys from a file: one a line in hex, the first one seals. Empty lines and lines
// that begin with "#" are skipped. Errors name file and line.
func Read(path string) (*Ring, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var secrets [][]byte
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := hex.DecodeString(line)
		if err != nil || len(s) < keyLeast {
			return nil, fmt.Errorf("%s:%d: want a key of at least %d bytes in hex, as \"openssl rand -hex 32\" makes it", path, n, keyLeast)
		}
		secrets = append(secrets, s)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r, err := New(secrets...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Seal returns the record with its seal in front. Kind and name are what it is stored as:
// moved under another name it is no longer valid.
func (r *Ring) Seal(kind, name string, record []byte) []byte {
	k := r.keys[0]
	out := make([]byte, 0, idLen+sealLen+len(record))
	out = append(out, k.id[:]...)
	out = append(out, k.sum(kind, name, record)...)
	return append(out, record...)
}

// Open returns the record; ErrForged when the seal is not ours.
func (r *Ring) Open(kind, name string, sealedRecord []byte) ([]byte, error) {
	if len(sealedRecord) >= idLen+sealLen {
		id, sum, record := sealedRecord[:idLen], sealedRecord[idLen:idLen+sealLen], sealedRecord[idLen+sealLen:]
		for _, k := range r.keys {
			if bytes.Equal(k.id[:], id) && hmac.Equal(k.sum(kind, name, record), sum) {
				return record, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: %s %q", ErrForged, kind, name)
}

func (k key) sum(kind, name string, record []byte) []byte {
	mac := hmac.New(sha256.New, k.secret)
	for _, field := range []string{kind, name} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		mac.Write(n[:])
		mac.Write([]byte(field))
	}
	mac.Write(record)
	return mac.Sum(nil)[:sealLen]
}
