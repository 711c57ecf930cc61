package golden_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/canon"
	"postern/internal/stamp/seal"
)

// letter is a mail in the making: its header fields from the top down, each ended by CRLF, and
// its body.
type letter struct {
	t      testing.TB
	at     time.Time // when it was written
	fields []string
	body   string
}

func (l *letter) text() string { return strings.Join(l.fields, "") + "\r\n" + l.body }

// put sets a field on top of the header.
func (l *letter) put(name, value string) *letter {
	l.fields = slices.Insert(l.fields, 0, field(name, value))
	return l
}

// add sets a field at the end of the header.
func (l *letter) add(name, value string) *letter {
	l.fields = append(l.fields, field(name, value))
	return l
}

func field(name, value string) string {
	return name + ": " + strings.ReplaceAll(value, "\n", "\r\n\t") + "\r\n"
}

// set changes the value of a field where it stands, or adds it.
func (l *letter) set(name, value string) *letter {
	for i, f := range l.fields {
		if n, _, _ := strings.Cut(f, ":"); strings.EqualFold(n, name) {
			l.fields[i] = field(name, value)
			return l
		}
	}
	return l.add(name, value)
}

func (l *letter) get(name string) string {
	for _, f := range l.fields {
		if n, v, _ := strings.Cut(f, ":"); strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (l *letter) drop(names ...string) *letter {
	l.fields = slices.DeleteFunc(l.fields, func(f string) bool {
		n, _, _ := strings.Cut(f, ":")
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, n) })
	})
	return l
}

// received is the trace of a host that took the letter some seconds after it was written.
func (l *letter) received(after time.Duration, from, ip, by, rest string) *letter {
	stamp := l.at.Add(after).Format("Mon, 2 Jan 2006 15:04:05 -0700")
	name := from
	if strings.HasPrefix(from, "[") {
		name = "unknown"
	}
	return l.put("Received", fmt.Sprintf("from %s (%s [%s])\nby %s %s;\n%s", from, name, ip, by, rest, stamp))
}

// text makes lines end in CRLF.
func text(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

// signature says how a letter is signed; the zero value of what may be left out is usual.
type signature struct {
	key, domain, selector string
	names                 string // h=
	length                int    // l=, 0 = none
	expires               time.Time
}

// sign puts a DKIM-Signature on top. The same letter always gets the same one.
func (l *letter) sign(s signature) *letter {
	l.t.Helper()
	h, _, err := canon.Read(strings.NewReader(l.text()))
	if err != nil {
		l.t.Fatal(err)
	}
	names := strings.Split(strings.ToLower(s.names), ":")
	if s.names == "" {
		for _, f := range []string{"from", "to", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding"} {
			if len(h.Named(f)) > 0 {
				names = append(names, f)
			}
		}
		names = names[1:]
	}
	body := l.body
	more := ""
	if s.length > 0 {
		body, more = body[:s.length], fmt.Sprintf(" l=%d;", s.length)
	}
	if !s.expires.IsZero() {
		more += fmt.Sprintf(" x=%d;", s.expires.Unix())
	}
	hash := canon.NewBody(true)
	if _, err := hash.Write([]byte(body)); err != nil {
		l.t.Fatal(err)
	}
	sum := hash.Sum()
	key := private(l.t, s.key)
	alg := "rsa-sha256"
	if _, ok := key.(ed25519.PrivateKey); ok {
		alg = "ed25519-sha256"
	}
	head := fmt.Sprintf("v=1; a=%s; c=relaxed/relaxed; d=%s;\n s=%s; t=%d;%s\n h=%s;\n bh=%s;\n b=",
		alg, s.domain, s.selector, l.at.Unix(), more, strings.Join(names, ":"), base64.StdEncoding.EncodeToString(sum))
	digest := h.Digest(names, []byte(field("DKIM-Signature", head)), true)
	var opts crypto.SignerOpts = crypto.SHA256
	if alg == "ed25519-sha256" {
		opts = crypto.Hash(0) // RFC 8463 section 3
	}
	value, err := key.Sign(nil, digest, opts)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.put("DKIM-Signature", head+folded(base64.StdEncoding.EncodeToString(value)))
}

func folded(s string) string {
	var out []string
	for part := range slices.Chunk([]byte(s), 64) {
		out = append(out, string(part))
	}
	return strings.Join(out, "\n ")
}

// sealer is a host that seals what it hands on.
type sealer struct{ domain, selector, key string }

// seal puts an ARC Set on top, with what the host says it saw.
func (l *letter) seal(s sealer, validated, results string) *letter {
	l.t.Helper()
	id := "mx." + s.domain
	l.put("Authentication-Results", id+"; "+results)
	by := &seal.Sealer{Domain: s.domain, Selector: s.selector, AuthservID: id, Key: private(l.t, s.key)}
	set, err := by.Seal(strings.NewReader(l.text()), validated, l.at.Add(5*time.Second))
	if err != nil {
		l.t.Fatal(err)
	}
	l.fields[0] = string(set) // the set holds what the field said
	return l
}

// private is a key of the folder keys. They are for these mails only.
func private(t testing.TB, name string) crypto.Signer {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("keys", "test-"+name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(src)
	if block == nil {
		t.Fatalf("%s holds no key", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(crypto.Signer)
}

// record is the key record of a key.
func record(t testing.TB, name string) string {
	t.Helper()
	switch pub := private(t, name).Public().(type) {
	case ed25519.PublicKey:
		return "TXT v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		return "TXT v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	}
	t.Fatalf("%s is no key for mail", name)
	return ""
}
