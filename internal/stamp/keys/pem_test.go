package keys_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"postern/internal/stamp/keys"
)

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

// Keys made elsewhere come in as they are, whatever their wrapping.
func TestKeysFromElsewhere(t *testing.T) {
	big := rsaKey(t, 2048)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"PKCS1":         block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(big)),
		"PKCS8":         pkcs8(t, big),
		"with comments": append([]byte("made by hand\n"), pkcs8(t, big)...),
		"Ed25519":       pkcs8(t, ed),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir(), newClock())
			k := add(t, s, "example.com", keys.New{Selector: "old", PEM: text, From: "old.pem"})
			if _, err := s.SetActive("example.com", "old"); err != nil {
				t.Fatal(err)
			}
			got, err := s.Active("example.com")
			if err != nil || len(got) != 1 {
				t.Fatalf("%v %v", got, err)
			}
			same := big.Equal(got[0].Signer)
			if k.Algorithm == keys.Ed25519 {
				same = ed.Equal(got[0].Signer)
			}
			if !same {
				t.Error("another key came out")
			}
			if _, err := s.Add("example.com", keys.New{Selector: "again", PEM: text, From: "old.pem"}); !errors.Is(err, keys.ErrConflict) {
				t.Errorf("the same key twice: %v", err)
			}
		})
	}
	s := open(t, t.TempDir(), newClock())
	for _, n := range []keys.New{{Algorithm: keys.Ed25519}, {Bits: 4096}} {
		n.PEM, n.From = pkcs8(t, big), "old.pem"
		if _, err := s.Add("example.com", n); !errors.Is(err, keys.ErrInvalid) || !strings.Contains(err.Error(), "old.pem: it holds an rsa key of 2048 bits") {
			t.Errorf("%v", err)
		}
	}
}

// What is no fit private key is refused with the name of its file and the reason.
func TestBrokenKeys(t *testing.T) {
	good := pkcs8(t, rsaKey(t, 2048))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	locked := &pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x")}
	for want, text := range map[string][]byte{
		"there is no PEM block in it":                     nil,
		"there is no PEM block":                           []byte("not a key"),
		"no PEM block in":                                 good[:len(good)-40],
		"more than one PEM block (PRIVATE KEY, ":          slices.Concat(good, good),
		"locked with a password":                          block("ENCRYPTED PRIVATE KEY", []byte("x")),
		"take the password off":                           pem.EncodeToMemory(locked),
		`the PEM block is a "PUBLIC KEY"`:                 block("PUBLIC KEY", spki),
		`the PEM block is a "CERTIFICATE"`:                block("CERTIFICATE", spki),
		"the private key cannot be read":                  block("PRIVATE KEY", []byte("junk")),
		"cannot be read: ":                                block("RSA PRIVATE KEY", spki),
		"a key of type *ecdsa.PrivateKey":                 pkcs8(t, ec),
		"an RSA key of 1024 bits: 2048 to 4096 are taken": pkcs8(t, rsaKey(t, 1024)),
		"an RSA key of 4104 bits: 2048 to 4096 are taken": pkcs8(t, rsaKey(t, 4104)),
	} {
		_, err := keys.ParsePEM("dir/some.pem", text)
		if !errors.Is(err, keys.ErrInvalid) || !strings.HasPrefix(err.Error(), "dir/some.pem: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
