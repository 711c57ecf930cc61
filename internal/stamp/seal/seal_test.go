package seal_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"postern/filter/auth/arc"
	"postern/internal/canon"
	"postern/internal/stamp/seal"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

type keys map[string]string

func (k keys) TXT(_ context.Context, name string) ([]string, error) {
	if txt, ok := k[name]; ok {
		return []string{txt}, nil
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

// host is a sealer whose key is in the DNS.
func host(t testing.TB, k keys, domain, alg string) *seal.Sealer {
	t.Helper()
	var key crypto.Signer
	record := "v=DKIM1; k=ed25519; p="
	var public []byte
	if alg == "rsa" {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		if public, err = x509.MarshalPKIXPublicKey(private.Public()); err != nil {
			t.Fatal(err)
		}
		key, record = private, "v=DKIM1; p="
	} else {
		pub, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, public = private, pub
	}
	k["s._domainkey."+domain] = record + base64.StdEncoding.EncodeToString(public)
	return &seal.Sealer{Domain: domain, Selector: "s", AuthservID: "mx." + domain, Key: key}
}

func relay(t testing.TB, s *seal.Sealer, msg, validated string) string {
	t.Helper()
	msg = "Authentication-Results: " + s.AuthservID + "; arc=" + validated + ";\r\n\tspf=pass smtp.mailfrom=a@example.com;\r\n\tdmarc=pass header.from=example.com\r\n" + msg
	set, err := s.Seal(strings.NewReader(msg), validated, now)
	if err != nil {
		t.Fatal(err)
	}
	return string(set) + msg
}

func validate(t testing.TB, k keys, msg string) arc.Chain {
	t.Helper()
	c, err := arc.Validate(t.Context(), k, strings.NewReader(msg), int64(len(msg)), now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const plain = "From: A <a@example.com>\r\nTo: b@example.org\r\nSubject: =?utf-8?q?h=C3=A9?=\r\n  folded\r\n\r\nHello  world \r\n\r\nbye\r\n\r\n\r\n"

func TestWhatIsSealedValidates(t *testing.T) {
	k := keys{}
	msg := plain
	for i, alg := range []string{"rsa", "ed25519", "rsa"} {
		state := "pass"
		if i == 0 {
			state = "none"
		}
		msg = relay(t, host(t, k, fmt.Sprintf("hop%d.example", i+1), alg), msg, state)
		got := validate(t, k, msg)
		if got.Result != arc.Pass || len(got.Sets) != i+1 || got.OldestPass != 0 {
			t.Fatalf("after hop %d: %+v", i+1, got)
		}
		last := got.Sets[i]
		want := fmt.Sprintf("mx.hop%d.example; arc=%s; spf=pass smtp.mailfrom=a@example.com; dmarc=pass header.from=example.com", i+1, state)
		if last.Sealer != fmt.Sprintf("hop%d.example", i+1) || last.Results != want || last.CV != state || !last.SignsFrom || !last.Unchanged {
			t.Errorf("hop %d: %+v", i+1, last)
		}
	}
}

// Every line is short, begins as a field or its continuation, and i= comes first.
func TestShape(t *testing.T) {
	k := keys{}
	set := relay(t, host(t, k, strings.Repeat("long-name.", 12)+"example", "rsa"), plain, "none")
	set = set[:strings.Index(set, "Authentication-Results: mx")]
	if !strings.HasPrefix(set, "ARC-Seal: i=1; a=rsa-sha256;") || strings.Count(set, "\nARC-Message-Signature: i=1;") != 1 || strings.Count(set, "\nARC-Authentication-Results: i=1;") != 1 {
		t.Errorf("%s", set)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(set, "\r\n"), "\r\n") {
		if len(line) > 160 || strings.TrimSpace(line) == "" || line[0] != '\t' && !strings.HasPrefix(line, "ARC-") || strings.ContainsAny(line, "\r\n") {
			t.Errorf("line %q", line)
		}
	}
}

func TestAddedShownFieldBreaksTheSeal(t *testing.T) {
	k := keys{}
	msg := relay(t, host(t, k, "hop.example", "ed25519"), plain, "none")
	for _, field := range []string{"From: ceo@bank.example", "Subject: urgent", "Content-Type: text/html", "Reply-To: x@example"} {
		if got := validate(t, k, field+"\r\n"+msg); got.Result != arc.Fail {
			t.Errorf("%s: %+v", field, got)
		}
	}
	if got := validate(t, k, "Received: by next.example\r\nX-Note: y\r\n"+msg); got.Result != arc.Pass {
		t.Errorf("%+v", got)
	}
}

// RFC 8617 section 5.1.2: the set that finds a chain failed covers itself alone, and is the
// last one.
func TestAFailedChainIsSealedOnce(t *testing.T) {
	k := keys{}
	one, two := host(t, k, "one.example", "ed25519"), host(t, k, "two.example", "ed25519")
	msg := strings.Replace(relay(t, one, plain, "none"), "Hello", "HELLO", 1)
	if got := validate(t, k, msg); got.Result != arc.Fail {
		t.Fatalf("%+v", got)
	}
	failed := relay(t, two, msg, "fail")
	if got := validate(t, k, failed); got.Result != arc.Fail || got.Sets[1].CV != "fail" || got.Reason != "the newest seal says cv=fail" {
		t.Errorf("%+v", got)
	}
	if set, err := one.Seal(strings.NewReader(failed), "fail", now); !errors.Is(err, seal.ErrFailed) || set != nil {
		t.Errorf("%q %v", set, err)
	}
	// The set is what a chain of one host would be, but for its i= and cv=: nothing of the
	// set below changes the seal.
	set := func(msg string) string {
		b, err := two.Seal(strings.NewReader("Authentication-Results: mx.two.example; arc=fail\r\n"+msg), "fail", now)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if a, b := set(msg), set(strings.Replace(msg, "cv=none", "cv=oops", 1)); a != b {
		t.Errorf("the failed chain is covered:\n%s\n%s", a, b)
	}
}

func TestNothingIsAdded(t *testing.T) {
	k := keys{}
	s := host(t, k, "hop.example", "ed25519")
	own := "Authentication-Results: mx.hop.example; spf=pass\r\n"
	sealed := relay(t, s, plain, "none")
	var full strings.Builder
	for i := range 50 {
		fmt.Fprintf(&full, "ARC-Seal: i=%d; cv=pass\r\nARC-Message-Signature: i=%d\r\nARC-Authentication-Results: i=%d; x\r\n", i+1, i+1, i+1)
	}
	for name, c := range map[string]struct {
		msg, validated string
		want           error
	}{
		"chain unknown":         {own + plain, "temperror", seal.ErrUnknown},
		"no word":               {own + plain, "", seal.ErrUnknown},
		"no results":            {plain, "none", seal.ErrNoResults},
		"results of others":     {"Authentication-Results: other.example; spf=pass\r\n" + plain, "none", seal.ErrNoResults},
		"a chain, told none":    {own + sealed, "none", seal.ErrOther},
		"no chain, told pass":   {own + plain, "pass", seal.ErrOther},
		"no chain, told fail":   {own + plain, "fail", seal.ErrOther},
		"field twice":           {own + "ARC-Seal: i=1; cv=none\r\n" + sealed, "pass", seal.ErrOther},
		"field lost":            {own + strings.Replace(sealed, "ARC-Message-Signature", "X-Signature", 1), "pass", seal.ErrOther},
		"field of no set":       {own + "ARC-Seal: nonsense\r\n" + sealed, "pass", seal.ErrOther},
		"gap":                   {own + strings.ReplaceAll(sealed, " i=1;", " i=2;"), "pass", seal.ErrOther},
		"fifty sets":            {own + full.String() + plain, "pass", seal.ErrFull},
		"header without an end": {"X: " + strings.Repeat("x", 300<<10), "none", canon.ErrTooLarge},
	} {
		if set, err := s.Seal(strings.NewReader(c.msg), c.validated, now); !errors.Is(err, c.want) || set != nil {
			t.Errorf("%s: %q, %v", name, set, err)
		}
	}
	broken := errors.New("broken disk")
	for name, r := range map[string]io.Reader{
		"at once":     iotest.ErrReader(broken),
		"in the body": io.MultiReader(strings.NewReader(own+plain), iotest.ErrReader(broken)),
	} {
		if set, err := s.Seal(r, "none", now); !errors.Is(err, broken) || set != nil {
			t.Errorf("%s: %q, %v", name, set, err)
		}
	}
}

// brokenKey is a key whose holder does not answer.
type brokenKey struct{ crypto.Signer }

var errHolder = errors.New("no answer")

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errHolder }

func TestKeysThatDoNotSeal(t *testing.T) {
	s := host(t, keys{}, "hop.example", "ed25519")
	msg := "Authentication-Results: mx.hop.example; spf=pass\r\n" + plain
	weak := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 511), E: 65537}}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for want, key := range map[string]crypto.Signer{
		"there is no key to seal with": nil, "an RSA key of 512 bits; nobody takes less than 1024": weak,
		"a key of type *ecdsa.PublicKey seals nothing": curve, "sealing for hop.example: no answer": brokenKey{s.Key},
	} {
		s.Key = key
		if set, err := s.Seal(strings.NewReader(msg), "none", now); err == nil || err.Error() != want || set != nil {
			t.Errorf("%q, %v; want %s", set, err, want)
		}
	}
}

func TestManyFieldsKeepTheSealShort(t *testing.T) {
	k := keys{}
	s := host(t, k, "hop.example", "ed25519")
	msg := relay(t, s, strings.Repeat("DKIM-Signature: x\r\n", 500)+strings.Repeat("References: <x>\r\n", 500)+plain, "none")
	if got := validate(t, k, msg); got.Result != arc.Pass {
		t.Errorf("%+v", got)
	}
	msg = relay(t, s, strings.Repeat("To: b@example.org\r\n", 500)+plain, "none")
	if got := validate(t, k, msg); got.Result != arc.Pass || !got.Sets[0].SignsFrom {
		t.Errorf("%+v", got)
	}
}

// However relaxed a next host treats blanks and folds, the chain still passes.
func TestRoundTripOfAnyMessage(t *testing.T) {
	k := keys{}
	one, two := host(t, k, "one.example", "ed25519"), host(t, k, "two.example", "ed25519")
	rapid.Check(t, func(rt *rapid.T) {
		line := rapid.StringMatching(`[ \tabC.é]{0,12}`)
		msg := "From: a@example.com\r\nSubject:" + line.Draw(rt, "subject") + "x\r\nX-" + rapid.StringMatching(`[a-z]{1,5}`).Draw(rt, "name") + ": y\r\n"
		if rapid.Bool().Draw(rt, "body") {
			msg += "\r\n" + strings.Join(rapid.SliceOfN(line, 0, 6).Draw(rt, "lines"), "\r\n")
		}
		msg = relay(t, two, relay(t, one, msg, "none"), "pass")
		if got := validate(t, k, msg); got.Result != arc.Pass || got.OldestPass != 0 {
			rt.Fatalf("%+v of %q", got, msg)
		}
		folded := strings.ReplaceAll(msg, "; ", ";\r\n  ")
		head, body, _ := strings.Cut(folded, "\r\n\r\n")
		if got := validate(t, k, head+"\r\n\r\n"+body); !strings.Contains(body, "; ") && got.Result != arc.Pass {
			rt.Fatalf("folded: %+v of %q", got, folded)
		}
	})
}

// endless is n octets of lines.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), e.n)]
	for i := range p {
		p[i] = "a line of text like any other\r\n"[i%31]
	}
	e.n -= int64(len(p))
	return len(p), nil
}

func TestALargeBodyIsNotHeldInMemory(t *testing.T) {
	s := host(t, keys{}, "hop.example", "ed25519")
	head := "Authentication-Results: mx.hop.example; spf=pass\r\n" + plain
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := s.Seal(io.MultiReader(strings.NewReader(head), &endless{50 << 20}), "none", now); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d octets were allocated for a message of 50 MB", got)
	}
}

func FuzzSeal(f *testing.F) {
	k := keys{}
	s := host(f, k, "hop.example", "ed25519")
	f.Add([]byte(plain), "none")
	f.Add([]byte(relay(f, s, plain, "none")), "pass")
	f.Add([]byte("ARC-Seal: i=1; cv=fail\r\nARC-Authentication-Results: i=(x\\)1;\r\n\r\n"), "fail")
	f.Fuzz(func(t *testing.T, msg []byte, validated string) {
		msg = append([]byte("Authentication-Results: mx.hop.example; spf=pass\r\n"), msg...)
		set, err := s.Seal(bytes.NewReader(msg), validated, now)
		if err != nil {
			return
		}
		h, body, err := canon.Read(bytes.NewReader(set))
		if err != nil || len(h.Fields) != 3 {
			t.Fatalf("%q, %v", set, err)
		}
		if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
			t.Fatalf("the set ends the header: %q, %v", set, err)
		}
	})
}
