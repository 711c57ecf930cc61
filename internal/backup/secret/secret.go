// Package secret encrypts the keys in a backup to those who may restore them.
package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// Recipients reads public keys, "age1...".
func Recipients(keys []string) (out []age.Recipient, err error) {
	for _, k := range keys {
		r, err := age.ParseX25519Recipient(k)
		if err != nil {
			return nil, fmt.Errorf("%.80q is no public key of age: %w", k, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// Identities reads a file with secret keys, "AGE-SECRET-KEY-1..." one a line.
func Identities(r io.Reader) ([]age.Identity, error) {
	return age.ParseIdentities(io.LimitReader(r, 1<<20))
}

// Encrypt seals a secret so that each of the recipients can open it.
func Encrypt(secret []byte, to []age.Recipient) ([]byte, error) {
	if len(to) == 0 {
		return nil, errors.New("there is nobody to encrypt for")
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(secret)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}

// Decrypt opens what Encrypt sealed. A secret of more than limit bytes is refused.
func Decrypt(r io.Reader, limit int64, ids []age.Identity) ([]byte, error) {
	plain, err := age.Decrypt(r, ids...)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(plain, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	return b, err
}
