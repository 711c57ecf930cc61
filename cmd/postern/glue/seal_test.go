package glue_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/glue"
	"postern/filter"
	"postern/filter/auth/arc"
	"postern/internal/stamp/keys"
)

// oneKey signs for one domain.
type oneKey struct {
	key keys.Private
	err error
}

func (o oneKey) Active(domain string) ([]keys.Private, error) {
	if o.err != nil || domain != o.key.Domain {
		return nil, o.err
	}
	return []keys.Private{o.key}, nil
}

// txt answers for one key.
type txt struct{ name, record string }

func (z txt) TXT(_ context.Context, name string) ([]string, error) {
	if name == z.name {
		return []string{z.record}, nil
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

func TestSealed(t *testing.T) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		t.Fatal("no key")
	}
	zone := txt{"s._domainkey.mx.our.example", "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := &glue.Sealer{
		Domain: "mx.our.example", AuthservID: "mx.our.example", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Keys: oneKey{key: keys.Private{Key: keys.Key{Domain: "mx.our.example", Selector: "s"}, Signer: private}},
	}
	const body = "From: a@example.com\r\nSubject: hi\r\n\r\nhello\r\n"
	pass := func(seen, body string) (string, error) {
		block := "Authentication-Results: mx.our.example;\r\n\tspf=pass smtp.mailfrom=a@example.com" + seen + "\r\n"
		fields, err := s.Seal([]byte(block), &filter.Message{ID: "m"}, func() (io.Reader, error) { return strings.NewReader(block + body), nil })
		return string(fields) + block + body, err
	}
	check := func(msg string) arc.Chain {
		c, err := arc.Validate(t.Context(), zone, strings.NewReader(msg), int64(len(msg)), now)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	once, err := pass("", body)
	if c := check(once); err != nil || c.Result != arc.Pass || len(c.Sets) != 1 || c.Sets[0].Sealer != "mx.our.example" {
		t.Fatalf("%+v %v", c, err)
	}
	twice, err := pass(";\r\n\tarc=pass", once)
	if c := check(twice); err != nil || c.Result != arc.Pass || len(c.Sets) != 2 {
		t.Errorf("%+v %v", c, err)
	}
	broken := strings.Replace(once, "hello", "hullo", 1)
	failed, err := pass(";\r\n\tarc=fail", broken)
	if c := check(failed); err != nil || c.Result != arc.Fail || !strings.Contains(failed, "i=2") {
		t.Errorf("%+v %v", c, err)
	}
	for name, seen := range map[string]string{"nobody can say": ";\r\n\tarc=temperror", "not what was validated": ""} {
		if got, err := pass(seen, once); err != nil || strings.Contains(got, "i=2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Keys = oneKey{}
	if _, err := pass("", body); err == nil || !strings.Contains(err.Error(), "postern dkim add") {
		t.Errorf("without a key: %v", err)
	}
	s.Keys = oneKey{err: errors.New("the key file is broken")}
	if _, err := pass("", body); err == nil {
		t.Error("a broken key is not said")
	}
}
