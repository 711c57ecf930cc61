package signature_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/filter/auth/signature"
	"postern/internal/canon"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func field(value string) canon.Field {
	return canon.Field{Name: "dkim-signature", Raw: []byte("DKIM-Signature: " + value + "\r\n")}
}

func read(t *testing.T, value string) *signature.Signature {
	t.Helper()
	s := &signature.Signature{}
	if err := s.Read(field(value), canon.ParseTags); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReadSaysWhatIsThere(t *testing.T) {
	s := read(t, "a=RSA-SHA256; d=Example.COM.; s=Sel; b=QUJD\r\n REVGR0hJ; l=5; h=From : To; bh="+strings.Repeat("A", 43)+"=; c=relaxed")
	if s.Alg != "rsa-sha256" || s.Domain != "example.com" || s.Selector != "Sel" || string(s.Value) != "ABCDEFGHI" || s.Short() != "QUJDREVG" || s.Length != -1 {
		t.Errorf("%+v", s)
	}
	if err := errors.Join(s.CheckSigner(), s.CheckMessage(), s.CheckQuery(), s.CheckTimes(now)); err != nil {
		t.Fatal(err)
	}
	if s.Selector != "sel" || s.Length != 5 || strings.Join(s.Names, " ") != "from to" || s.Form != (canon.Form{RelaxedHeader: true}) || len(s.BodyHash) != 32 {
		t.Errorf("%+v", s)
	}
	if err := s.Need("a", "x"); err == nil || err.Error() != "tag x= is missing" {
		t.Error(err)
	}
	large := &signature.Signature{}
	if err := large.Read(field("a="+strings.Repeat("x", 17<<10)), canon.ParseTags); err == nil || large.Short() != "" {
		t.Error(err)
	}
}

func TestDomain(t *testing.T) {
	for d, want := range map[string]string{
		"Example.COM.": "example.com", "bücher.example": "xn--bcher-kva.example", "_x.example.com": "_x.example.com", "a.co.uk": "a.co.uk",
		"foo.github.io": "foo.github.io", "github.io": "github.io", // a suffix, and yet somebody's own
	} {
		if got, err := signature.Domain(d); err != nil || got != want {
			t.Errorf("%s: %s %v", d, got, err)
		}
	}
	for _, d := range []string{"", ".", "com", "co.uk", "公司.cn", "a..b", "xn--a.b.example", "a b.example", "\x00.example", strings.Repeat("a.", 127) + "example"} {
		if got, err := signature.Domain(d); err == nil {
			t.Errorf("%.40q: %s", d, got)
		}
	}
	if got := signature.ASCII("no domain"); got != "no domain" {
		t.Error(got)
	}
}

// counting answers each name once for every question, and counts.
type counting struct{ n atomic.Int32 }

func (c *counting) TXT(_ context.Context, name string) ([]string, error) {
	c.n.Add(1)
	switch name {
	case "none._domainkey.example.com":
		return nil, &net.DNSError{Name: name, IsNotFound: true}
	case "away._domainkey.example.com":
		return nil, &net.DNSError{Name: name, IsTemporary: true}
	case "panic._domainkey.example.com":
		panic("boom")
	}
	return []string{name}, nil
}

func TestFetchAsksOnceForEachName(t *testing.T) {
	var all []*signature.Signature
	for _, selector := range []string{"a", "b", "a", "none", "away", "panic"} {
		all = append(all, &signature.Signature{Selector: selector, Domain: "example.com"})
	}
	res := &counting{}
	got := signature.Fetch(t.Context(), res, append(all, nil))
	if res.n.Load() != 5 || len(got) != 7 {
		t.Fatalf("%d questions: %+v", res.n.Load(), got)
	}
	if got[0].TXT[0] != "a._domainkey.example.com" || got[2].TXT[0] != got[0].TXT[0] || got[1].TXT[0] != "b._domainkey.example.com" {
		t.Errorf("%+v", got)
	}
	if !got[3].None || got[4].Fault == nil || errors.Is(got[4].Fault, signature.ErrInternal) || !errors.Is(got[5].Fault, signature.ErrInternal) || got[6].TXT != nil {
		t.Errorf("%+v", got)
	}
}

func TestVerifyTellsTheKeyItRestsOn(t *testing.T) {
	good := "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		records []string
		accept  func(*signature.Key) error
		key     bool
		want    string
	}{
		"none":             {nil, nil, false, "there is no key"},
		"junk":             {[]string{"junk"}, nil, false, `the key record: "junk" is no tag`},
		"junk, then good":  {[]string{"junk", good}, nil, true, "the signature does not match"},
		"good, then junk":  {[]string{good, "junk"}, nil, true, "the signature does not match"},
		"refused":          {[]string{good}, func(*signature.Key) error { return refused }, true, "refused"},
		"five, one is bad": {[]string{"j", "j", "j", "j", good}, nil, false, `the key record: "j" is no tag`},
	} {
		s := &signature.Signature{Alg: "ed25519-sha256", Value: make([]byte, 64)}
		k, err := s.Verify(make([]byte, 32), c.records, c.accept)
		if (k != nil) != c.key || err == nil || err.Error() != c.want {
			t.Errorf("%s: %+v %v", name, k, err)
		}
	}
}

func FuzzSignature(f *testing.F) {
	f.Add("v=1; a=rsa-sha256; d=bücher.example; s=s; h=from:to; bh=; b=; l=9; t=1; x=2; q=dns/txt", "v=DKIM1; k=rsa; t=s:y; h=sha256; s=*; p=MIGf")
	f.Add(";;=", "p=")
	f.Fuzz(func(t *testing.T, value, record string) {
		s := &signature.Signature{}
		if s.Read(field(value), canon.ParseTags) == nil && s.CheckSigner() == nil {
			if again, err := signature.Domain(s.Domain); err != nil || again != s.Domain {
				t.Errorf("%q is %q when read again: %v", s.Domain, again, err)
			}
			_ = errors.Join(s.CheckMessage(), s.CheckQuery(), s.CheckTimes(now))
		}
		k, err := signature.ParseKey(record)
		if (k == nil) != (err != nil && !errors.Is(err, signature.ErrWeak)) {
			t.Errorf("%+v, %v", k, err)
		}
		if k != nil && err == nil && (k.Bits() < 256 || k.Verify(make([]byte, 32), s.Value)) {
			t.Errorf("%+v", k)
		}
	})
}
