package people

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"postern/internal/said"

	"golang.org/x/crypto/argon2"
)

// cost is what a password costs to try, after RFC 9106 and the figures that OWASP gives for
// argon2id with one lane.
type cost struct {
	memory uint32 // KiB
	passes uint32
}

// The cost of new passwords, and what a stored one may ask for at most: the record is not
// believed blindly.
const (
	memoryKiB, passes       = 46 << 10, 2
	maxMemoryKiB, maxPasses = 256 << 10, 8
)

const (
	saltBytes = 16
	keyBytes  = 32
)

// checkPassword says why nobody should use this one.
func checkPassword(name, password string) error {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return said.Errorf("people.the-password-is-no-utf-8", "the password is no UTF-8: %w", "kind", ErrInvalid)
	case n < MinPassword:
		return said.Errorf("people.the-password-has-characters-at-least-are", "the password has %d characters, at least %d are needed: %w", "n", n, "least", MinPassword, "kind", ErrInvalid)
	case len(password) > MaxPassword:
		return said.Errorf("people.the-password-has-octets-at-most-are", "the password has %d octets, at most %d are taken: %w", "n", len(password), "most", MaxPassword, "kind", ErrInvalid)
	case strings.Contains(strings.ToLower(password), name) && len(name) > 3:
		return said.Errorf("people.the-password-contains-the-name", "the password contains the name: %w", "kind", ErrInvalid)
	}
	return nil
}

// hashPassword is the PHC string of a password.
func (c cost) hashPassword(password string) string {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, c.passes, c.memory, 1, keyBytes)
	e := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, c.memory, c.passes, e(salt), e(key))
}

// verifyPassword reports whether the password is the one of the hash, and whether the hash
// should be made anew because it is cheaper than c.
func (c cost) verifyPassword(hash, password string) (ok, weak bool) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false, false
	}
	var got cost
	var lanes uint8
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &got.memory, &got.passes, &lanes); n != 3 || err != nil ||
		got.memory < 8 || got.memory > maxMemoryKiB || got.passes < 1 || got.passes > maxPasses || lanes != 1 {
		return false, false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil || len(salt) < 8 || len(salt) > 64 {
		return false, false
	}
	key, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(key) != keyBytes {
		return false, false
	}
	mine := argon2.IDKey([]byte(password), salt, got.passes, got.memory, 1, keyBytes)
	return subtle.ConstantTimeCompare(mine, key) == 1, got.memory < c.memory || got.passes < c.passes
}
