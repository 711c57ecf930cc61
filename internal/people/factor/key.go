package factor

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrKey says that what is kept was sealed with another key.
var ErrKey = errors.New("it was sealed with another key: desk.key is the same on every node")

const (
	keyHead = "# Seals the secrets of second factors, the same on every node: a key in hex.\n"
	keyFile = 4 << 10 // octets of the file, at most
)

// Key seals what is kept at rest.
type Key [chacha20poly1305.KeySize]byte

// OpenKey reads a key file; where there is none and make is set it is made.
func OpenKey(path string, mayMake bool) (Key, error) {
	var k Key
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && mayMake {
		if err := newKey(path); err != nil {
			return k, err
		}
		f, err = os.Open(path)
	}
	if err != nil {
		return k, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, keyFile))
	if err != nil {
		return k, err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		raw, err := hex.DecodeString(line)
		if err != nil || len(raw) != len(k) {
			break
		}
		return Key(raw), nil
	}
	return k, fmt.Errorf("%s: there is no key of %d octets in hex in it", path, len(k))
}

// newKey writes a file with a key, unless somebody else did.
func newKey(path string) error {
	var k Key
	_, _ = rand.Read(k[:]) // never fails
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(keyHead + hex.EncodeToString(k[:]) + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// seal hides what belongs to a user; it opens for that user alone.
func (k Key) seal(user string, plain []byte) (string, error) {
	aead, err := chacha20poly1305.NewX(k[:])
	if err != nil {
		return "", err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return base64.RawStdEncoding.EncodeToString(aead.Seal(nonce, nonce, plain, []byte(user))), nil
}

func (k Key) open(user, sealed string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(k[:])
	if err != nil {
		return nil, err
	}
	raw, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < aead.NonceSize() {
		return nil, ErrKey
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(user))
	if err != nil {
		return nil, ErrKey
	}
	return plain, nil
}

// mark is what is kept of a recovery code.
func (k Key) mark(user, code string) string {
	m := hmac.New(sha256.New, k[:])
	_, _ = io.WriteString(m, "recovery\x00"+user+"\x00"+code) // a hash takes everything
	return hex.EncodeToString(m.Sum(nil))
}
