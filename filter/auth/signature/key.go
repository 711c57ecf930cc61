package signature

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postern/internal/canon"
)

// Bounds on a key record and what it holds.
const (
	maxRecord = 4 << 10 // octets
	maxKeys   = 4       // records tried under one selector
	minBits   = 1024    // RFC 8301 section 3.2
	maxBits   = 4096
)

// ErrWeak: the key is too short to be taken (RFC 8301 section 3.2).
var ErrWeak = errors.New("the key is too weak")

// Key is one public key record (RFC 6376 section 3.6.1).
type Key struct {
	Testing bool // the domain is trying DKIM out
	Strict  bool // i= must be d= itself

	rsa *rsa.PublicKey
	ed  ed25519.PublicKey
}

// Bits is the size of the key.
func (k *Key) Bits() int {
	if k.rsa != nil {
		return k.rsa.N.BitLen()
	}
	return 256
}

// Alg is the algorithm the key is for, in the words of a=.
func (k *Key) Alg() string {
	if k.rsa != nil {
		return "rsa-sha256"
	}
	return "ed25519-sha256"
}

// ParseKey reads a key record. With an error that is ErrWeak the key is returned too, so that
// its size can be told.
func ParseKey(txt string) (*Key, error) {
	if len(txt) > maxRecord {
		return nil, fmt.Errorf("the key record is larger than %d octets", maxRecord)
	}
	t, err := canon.ParseTags(txt)
	if err != nil {
		return nil, fmt.Errorf("the key record: %w", err)
	}
	if v, ok := t["v"]; ok && v != "DKIM1" {
		return nil, errors.New("the key record has another version")
	}
	p, ok := t["p"]
	if !ok {
		return nil, errors.New("the key record holds no key")
	}
	if p == "" {
		return nil, errors.New("the key is revoked")
	}
	if h, ok := t["h"]; ok && !slices.Contains(canon.List(h), "sha256") {
		return nil, errors.New("the key is not for SHA-256")
	}
	if s, ok := t["s"]; ok && !slices.Contains(canon.List(s), "*") && !slices.Contains(canon.List(s), "email") {
		return nil, errors.New("the key is not for mail")
	}
	raw, err := base64.StdEncoding.DecodeString(canon.Squeeze(p))
	if err != nil {
		return nil, errors.New("the key is no base64")
	}
	k := &Key{}
	if flags, ok := t["t"]; ok {
		k.Testing, k.Strict = slices.Contains(canon.List(flags), "y"), slices.Contains(canon.List(flags), "s")
	}
	switch kind := strings.ToLower(t["k"]); kind {
	case "", "rsa":
		err := k.setRSA(raw)
		if err != nil && !errors.Is(err, ErrWeak) {
			return nil, err
		}
		return k, err
	case "ed25519":
		if len(raw) != ed25519.PublicKeySize {
			return nil, errors.New("the key is no Ed25519 key")
		}
		k.ed = raw
		return k, nil
	default:
		return nil, fmt.Errorf("key type %.30q", kind)
	}
}

func (k *Key) setRSA(raw []byte) error {
	var pub *rsa.PublicKey
	if parsed, err := x509.ParsePKIXPublicKey(raw); err == nil {
		pub, _ = parsed.(*rsa.PublicKey)
	} else if pub, err = x509.ParsePKCS1PublicKey(raw); err != nil {
		pub = nil
	}
	if pub == nil {
		return errors.New("the key is no RSA key")
	}
	k.rsa = pub
	switch n := pub.N.BitLen(); {
	case n < minBits:
		return weak(n)
	case n > maxBits:
		return fmt.Errorf("an RSA key of %d bits, taken are %d to %d", n, minBits, maxBits)
	}
	return nil
}

// weak is ErrWeak with the size of the key in its words.
type weak int

func (w weak) Error() string {
	return fmt.Sprintf("an RSA key of %d bits, taken are %d to %d", int(w), minBits, maxBits)
}

func (w weak) Is(target error) bool { return target == ErrWeak }

// Verify checks a signature over a SHA-256 digest.
func (k *Key) Verify(digest, sig []byte) bool {
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, digest, sig) == nil
	}
	return ed25519.Verify(k.ed, digest, sig)
}
