package keys

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
)

// Sizes of RSA keys in bits: what is taken, and what is made unless told otherwise. RFC 8301
// section 3.2 asks signers for 2048; verifiers need not take more than 4096.
const (
	MinBits     = 2048
	MaxBits     = 4096
	DefaultBits = 2048
)

// generate makes a private key.
func generate(algorithm string, bits int) (crypto.Signer, error) {
	switch algorithm {
	case RSA:
		if bits == 0 {
			bits = DefaultBits
		}
		if err := fitBits(bits); err != nil {
			return nil, err
		}
		return rsa.GenerateKey(rand.Reader, bits)
	case Ed25519:
		if bits != 0 && bits != 256 {
			return nil, refuse(ErrInvalid, "dkim.an-ed25519-key-has-256-bits-cannot", "an Ed25519 key has 256 bits, %d cannot be had", "bits", bits)
		}
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, refuse(ErrInvalid, "dkim.algorithm-rsa-and-ed25519-are-known", "algorithm %.20q: rsa and ed25519 are known", "algorithm", algorithm)
}

func fitBits(bits int) error {
	if bits < MinBits || bits > MaxBits {
		return refuse(ErrInvalid, "dkim.an-rsa-key-of-bits-to-are", "an RSA key of %d bits: %d to %d are taken", "bits", bits, "least", MinBits, "most", MaxBits)
	}
	return nil
}

// ParsePEM reads a private key, PKCS#1 or PKCS#8. Errors begin with name, which says where
// the text came from.
func ParsePEM(name string, text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, refuse(ErrInvalid, "dkim.there-is-no-pem-block-in-it", "%s: there is no PEM block in it", "name", name)
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, refuse(ErrInvalid, "dkim.it-holds-more-than-one-pem-block", "%s: it holds more than one PEM block (%.40s, %.40s)", "name", name, "type", block.Type, "type2", more.Type)
	}
	var any any
	var err error
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, refuse(ErrInvalid, "dkim.the-key-is-locked-with-a-password", "%s: the key is locked with a password; take the password off first (openssl pkey)", "name", name)
	case block.Type == "RSA PRIVATE KEY":
		any, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type == "PRIVATE KEY":
		any, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, refuse(ErrInvalid, "dkim.the-pem-block-is-a-wanted-is", "%s: the PEM block is a %.40q, wanted is a private key", "name", name, "type", block.Type)
	}
	if err != nil {
		return nil, refuse(ErrInvalid, "dkim.the-private-key-cannot-be-read", "%s: the private key cannot be read: %v", "name", name, "why", err)
	}
	switch key := any.(type) {
	case *rsa.PrivateKey:
		if err := fitBits(key.N.BitLen()); err != nil {
			return nil, refuse(ErrInvalid, "dkim.in", "%s: %v", "name", name, "why", err)
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, refuse(ErrInvalid, "dkim.a-key-of-type-dkim-knows-rsa", "%s: a key of type %T; DKIM knows RSA and Ed25519", "name", name, "any", any)
}

// encode writes a private key as PKCS#8.
func encode(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return b.Bytes(), err
}

// publicOf is p= of a key's record.
func publicOf(key crypto.Signer) (string, error) {
	switch pub := key.Public().(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(pub)
		return base64.StdEncoding.EncodeToString(der), err
	case ed25519.PublicKey:
		return base64.StdEncoding.EncodeToString(pub), nil
	default:
		return "", fmt.Errorf("key of type %T", pub)
	}
}

// describe fills in what a private key says about itself.
func describe(k *Key, signer crypto.Signer) (err error) {
	k.Public, err = publicOf(signer)
	k.Algorithm, k.Bits = Ed25519, 256
	if key, ok := signer.(*rsa.PrivateKey); ok {
		k.Algorithm, k.Bits = RSA, key.N.BitLen()
	}
	return err
}
