package dkim

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
)

// Bounds on a key record and what it holds.
const (
	maxRecord = 4 << 10 // octets
	maxKeys   = 4       // records tried under one selector
	minBits   = 1024    // RFC 8301 section 3.2
	maxBits   = 4096
)

// key is one public key record (RFC 6376 section 3.6.1).
type key struct {
	rsa     *rsa.PublicKey
	ed      ed25519.PublicKey
	testing bool
	strict  bool // i= must be d= itself
}

func (k *key) bits() int {
	if k.rsa != nil {
		return k.rsa.N.BitLen()
	}
	return 256
}

// alg is the algorithm the key is for.
func (k *key) alg() string {
	if k.rsa != nil {
		return "rsa-sha256"
	}
	return "ed25519-sha256"
}

func parseKey(txt string) (*key, error) {
	if len(txt) > maxRecord {
		return nil, fmt.Errorf("the key record is larger than %d octets", maxRecord)
	}
	t, err := parseTags(txt)
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
	if h, ok := t["h"]; ok && !slices.Contains(list(h), "sha256") {
		return nil, errors.New("the key is not for SHA-256")
	}
	if s, ok := t["s"]; ok && !slices.Contains(list(s), "*") && !slices.Contains(list(s), "email") {
		return nil, errors.New("the key is not for mail")
	}
	raw, err := base64.StdEncoding.DecodeString(squeeze(p))
	if err != nil {
		return nil, errors.New("the key is no base64")
	}
	k := &key{}
	if flags, ok := t["t"]; ok {
		k.testing, k.strict = slices.Contains(list(flags), "y"), slices.Contains(list(flags), "s")
	}
	switch kind := strings.ToLower(t["k"]); kind {
	case "", "rsa":
		k.rsa, err = parseRSA(raw)
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

func parseRSA(raw []byte) (*rsa.PublicKey, error) {
	var pub *rsa.PublicKey
	if any, err := x509.ParsePKIXPublicKey(raw); err == nil {
		pub, _ = any.(*rsa.PublicKey)
	} else if pub, err = x509.ParsePKCS1PublicKey(raw); err != nil {
		pub = nil
	}
	if pub == nil {
		return nil, errors.New("the key is no RSA key")
	}
	if n := pub.N.BitLen(); n < minBits || n > maxBits {
		return nil, fmt.Errorf("an RSA key of %d bits, taken are %d to %d", n, minBits, maxBits)
	}
	return pub, nil
}

// verify checks a signature over a SHA-256 digest.
func (k *key) verify(digest, sig []byte) bool {
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, digest, sig) == nil
	}
	return ed25519.Verify(k.ed, digest, sig)
}
