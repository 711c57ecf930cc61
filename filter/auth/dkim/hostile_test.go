package dkim_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same zones on every machine

	oracle "github.com/emersion/go-msgauth/dkim"

	"postern/filter/auth/dkim"
)

const multipart = "From: A <a@example.com>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b--\r\n"

// l= lets anyone add a part that a reader shows: such a signature is taken for none.
func TestH_H04AppendedParts(t *testing.T) {
	s := newSigner(t)
	body := len(multipart[strings.Index(multipart, "\r\n\r\n")+4:])
	for name, c := range map[string]struct {
		l        int
		appended string
		want     dkim.Result
		reason   string
	}{
		"all of the body":         {body, "", dkim.Pass, ""},
		"empty lines appended":    {body, "\r\n\r\n", dkim.Pass, ""}, // no part of the canonical body
		"a part appended":         {body, "--b\r\nContent-Type: text/html\r\n\r\n<b>pay</b>\r\n--b--\r\n", dkim.Policy, "l= leaves 51 octets of the body unsigned"},
		"one octet appended":      {body, "x", dkim.Policy, "l= leaves 3 octets of the body unsigned"},
		"one octet left":          {body - 1, "", dkim.Policy, "l= leaves 1 octets of the body unsigned"},
		"nothing signed":          {0, "", dkim.Policy, fmt.Sprintf("l= leaves %d octets of the body unsigned", body)},
		"more than there is":      {body + 1, "", dkim.PermError, "l= is longer than the body"},
		"far more than there is":  {1 << 40, "", dkim.PermError, "l= is longer than the body"},
		"cut off behind the seal": {body, "cut", dkim.PermError, "l= is longer than the body"},
	} {
		signed := s.byHand(fmt.Sprintf("l=%d; ", c.l), multipart) + c.appended
		if c.appended == "cut" {
			signed = strings.TrimSuffix(signed, "--b--\r\ncut")
		}
		got := s.one(signed)
		if got.Result != c.want || got.Reason != c.reason {
			t.Errorf("%s: %s (%s), want %s (%s)", name, got.Result, got.Reason, c.want, c.reason)
		}
	}
	for l, reason := range map[string]string{
		"-1": "l= is no length", "+5": "l= is no length", "": "l= is no length", "0x10": "l= is no length",
		strings.Repeat("9", 76): "l= is longer than the body", // RFC 6376 section 3.5: up to 76 digits
	} {
		if got := edited(s, "v=1;", "v=1; l="+l+";"); got.Result == dkim.Pass || got.Reason != reason && got.Reason != "the signature does not match" {
			t.Errorf("l=%s: %s (%s)", l, got.Result, got.Reason)
		}
	}
}

func TestH_H05EveryShownField(t *testing.T) {
	s := newSigner(t)
	msg := "From: a@example.com\r\nTo: b@example.org\r\nCc: c@example.org\r\nSubject: s\r\nDate: d\r\nReply-To: r@example.com\r\n" +
		"Sender: s@example.com\r\nContent-Type: text/plain\r\nMessage-ID: <m>\r\n\r\nbody\r\n"
	names := []string{"From", "Subject", "To", "Cc", "Date", "Reply-To", "Sender", "Content-Type"}
	signed := s.sign(msg, func(o *oracle.SignOptions) { o.HeaderKeys = append([]string{"Message-ID"}, names...) })
	for _, name := range names {
		if got := s.one(name + ": forged\r\n" + signed); got.Result != dkim.Pass || fmt.Sprint(got.Added) != "["+strings.ToLower(name)+"]" {
			t.Errorf("%s in front: %+v", name, got)
		}
		if got := s.one(strings.Replace(signed, "\r\n\r\n", "\r\n"+name+": forged\r\n\r\n", 1)); got.Result != dkim.Fail {
			t.Errorf("%s behind: %+v", name, got)
		}
	}
	if got := s.one("Message-ID: <n>\r\nX-Note: y\r\n" + signed); got.Result != dkim.Pass || got.Added != nil {
		t.Errorf("what nobody is shown: %+v", got)
	}
	if got := s.one("fRoM : forged\r\n" + signed); fmt.Sprint(got.Added) != "[from]" {
		t.Errorf("another spelling: %+v", got)
	}
}

// A verdict depends on the moment alone, whatever a clock shows for it.
func TestH_H07Clocks(t *testing.T) {
	s := newSigner(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	far := time.FixedZone("far", 14*3600)
	for name, at := range map[string]time.Time{
		"before summer time": time.Date(2026, 3, 29, 0, 59, 59, 0, time.UTC), "summer time begins": time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC),
		"the hour that comes twice": time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC), "again": time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC),
		"31 bits full": time.Unix(1<<31-1, 0), "31 bits over": time.Unix(1<<31, 0), "32 bits over": time.Unix(1<<32, 0),
		"the last year of four digits": time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC), "the first day": time.Unix(0, 0),
	} {
		for _, c := range []struct {
			tag    string
			offset int64
			want   dkim.Result
			reason string
		}{
			{"t", 0, dkim.Pass, ""}, {"t", 300, dkim.Pass, ""}, {"t", 301, dkim.PermError, "signed in the future"},
			{"x", 0, dkim.Pass, ""}, {"x", -300, dkim.Pass, ""}, {"x", -301, dkim.PermError, "expired"},
		} {
			n := at.Unix() + c.offset
			if n < 0 {
				continue // no time of the tags
			}
			signed := []byte(s.byHand(c.tag+"="+strconv.FormatInt(n, 10)+"; ", plain))
			for _, zone := range []*time.Location{time.UTC, berlin, far} {
				if got := verify(t, s.keys, signed, at.In(zone)); got[0].Result != c.want || got[0].Reason != c.reason {
					t.Errorf("%s in %v, %s= %+d s: %s (%s)", name, zone, c.tag, c.offset, got[0].Result, got[0].Reason)
				}
			}
		}
	}
	for _, tags := range []string{"t=-1; ", "t=; ", "x=1e9; ", "x=2026-11-22; ", "t=0x10; ", "x=+9; "} {
		if got := s.one(s.byHand(tags, plain)); got.Result != dkim.PermError || !strings.HasSuffix(got.Reason, "= is no time") {
			t.Errorf("%s: %s (%s)", tags, got.Result, got.Reason)
		}
	}
}

// RFC 8301: neither is a pass, and both are named.
func TestH_H08WeakSignaturesAreNamed(t *testing.T) {
	s := newSigner(t)
	if got := edited(s, "a=ed25519-sha256", "a=rsa-sha1"); got.Result != dkim.PermError || !got.Weak || got.KeyBits != 0 {
		t.Errorf("SHA-1: %+v", got)
	}
	signed := strings.Replace(s.sign(plain), "ed25519-sha256", "rsa-sha256", 1)
	for bits, weak := range map[uint]bool{512: true, 768: true, 1023: true, 1024: false, 2047: false, 2048: false} {
		n := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), bits-1), big.NewInt(1))
		der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
		if err != nil {
			t.Fatal(err)
		}
		s.keys["s._domainkey.example.com"] = []string{"p=" + base64.StdEncoding.EncodeToString(der)}
		if got := s.one(signed); got.Weak != weak || got.KeyBits != int(bits) || got.Alg != "rsa-sha256" || got.Result == dkim.Pass {
			t.Errorf("%d bits: %+v", bits, got)
		}
	}
}

// rsaSigner signs with a key of so many bits.
func rsaSigner(t *testing.T, bits int) *signer {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &signer{t: t, key: key, keys: keys{"s._domainkey.example.com": {"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)}}}
}

func TestH_H08ShortKeysThatAreTaken(t *testing.T) {
	for _, bits := range []int{1024, 1536, 2048} {
		got := rsaSigner(t, bits).one(rsaSigner(t, bits).sign(plain))
		if got.Result != dkim.Fail || got.KeyBits != bits { // another key of this size
			t.Errorf("%d bits: %+v", bits, got)
		}
		s := rsaSigner(t, bits)
		if got := s.one(s.sign(plain)); got.Result != dkim.Pass || got.KeyBits != bits || got.Weak {
			t.Errorf("%d bits: %+v", bits, got)
		}
	}
}

func TestH_H08SizesAreBounded(t *testing.T) {
	s := newSigner(t)
	names := func(n int) string { return "h=" + strings.Repeat("x:", n-1) + "From" }
	start := time.Now()
	for _, c := range []struct{ old, new, reason string }{
		{"h=From", names(10_000), "the signature is larger than 16384 octets"},
		{"h=From", names(4000), "h= has more than 200 names"},
		{"v=1;", "v=1; z=" + strings.Repeat("y", 17<<10) + ";", "the signature is larger than 16384 octets"},
		{"bh=", "bh=AAAA", "bh= is no SHA-256"},
		{"bh=", "bh=" + strings.Repeat("A", 8000), "bh= is no SHA-256"},
		{"s=s;", "s=" + strings.Repeat("a.", 200) + "a;", "s= is no selector"},
		{"s=s;", "s=a b;", "s= is no selector"},
		{"s=s;", "s=..;", "s= is no selector"},
	} {
		if got := edited(s, c.old, c.new); got.Result != dkim.PermError || got.Reason != c.reason {
			t.Errorf("%.20s: %s (%s)", c.new, got.Result, got.Reason)
		}
	}
	short := strings.Replace(s.sign(plain), "b=", "b=QUJD", 1)
	for name, msg := range map[string]string{"a short value": short, "a long value": strings.Replace(short, "b=", "b="+strings.Repeat("QUJD", 3000), 1)} {
		if got := s.one(msg); got.Result == dkim.Pass {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

// Names in other scripts are one name in the DNS (RFC 8616), or none.
func TestH_H09NamesInOtherScripts(t *testing.T) {
	s := newSigner(t)
	s.keys["s._domainkey.xn--bcher-kva.example"] = s.keys["s._domainkey.example.com"]
	for _, d := range []string{"bücher.example", "BÜCHER.Example.", "xn--bcher-kva.example"} {
		got := s.one(s.sign(plain, func(o *oracle.SignOptions) { o.Domain, o.Hash = d, crypto.SHA256 }))
		if got.Result != dkim.Pass || got.Domain != "xn--bcher-kva.example" || got.Identity != got.Domain {
			t.Errorf("d=%s: %+v", d, got)
		}
	}
	for d, reason := range map[string]string{
		"公司.cn":                   "d=xn--55qx5d.cn is a public suffix",
		"ｅxample.com":             "d= holds ｅxample, which is no U-label", // full width
		"exa\u00admple.com":       "d= holds exa\u00admple, which is no U-label",
		"xn--80ak6aa92e-.com":     "d= holds xn--80ak6aa92e-, which is no A-label",
		"xn--apple-.com":          "d= holds xn--apple-, which is no A-label", // decodes to ASCII
		"xn--.com":                "d= holds xn--, which is no A-label",
		"xn--a.xn--b.example.com": "d= holds xn--a, which is no A-label",
		"a.b.c.d.co.uk.":          "there is no key",
		"CO.UK":                   "d=co.uk is a public suffix",
		"com.":                    "d=com is no signer's domain",
	} {
		if got := edited(s, "d=example.com", "d="+d); got.Result != dkim.PermError || got.Reason != reason {
			t.Errorf("d=%s: %s (%s), want %s", d, got.Result, got.Reason, reason)
		}
	}
}
