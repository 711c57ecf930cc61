package dkim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/filter/auth/dkim"
	"postern/internal/mailtest"
)

// keys answers TXT questions; TEMPERROR stands for a failing server.
type keys map[string][]string

func (k keys) TXT(_ context.Context, name string) ([]string, error) {
	txt, ok := k[strings.ToLower(name)]
	switch {
	case !ok || txt[0] == "PERMERROR":
		return nil, &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
	case txt[0] == "TEMPERROR":
		return nil, &net.DNSError{Err: "server failure", Name: name, IsTemporary: true}
	}
	return txt, nil
}

func crlf(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

func verify(t testing.TB, k dkim.Resolver, msg []byte, now time.Time) []dkim.Signature {
	t.Helper()
	sigs, err := dkim.Verify(t.Context(), k, bytes.NewReader(msg), int64(len(msg)), now)
	if err != nil {
		t.Fatal(err)
	}
	return sigs
}

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// chasquidDNS reads "name: value" lines, continued by a backslash.
func chasquidDNS(src string) keys {
	k := keys{}
	for line := range strings.Lines(strings.ReplaceAll(src, "\\\n", "")) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			k[strings.TrimSpace(name)] = append(k[strings.TrimSpace(name)], strings.TrimSpace(value))
		}
	}
	return k
}

// TestSuiteChasquid follows the .result files but for two cases. 02 has seven signatures,
// of which chasquid looks at five and we at up to ten. 09 signs 17 octets of the body by
// l=: valid for chasquid, unsigned for us.
func TestSuiteChasquid(t *testing.T) {
	dir := mailtest.Suites(t, "dkim/chasquid")
	msgs, err := filepath.Glob(filepath.Join(dir, "*.msg"))
	if err != nil || len(msgs) != 11 {
		t.Fatalf("%d cases, want 11: %v", len(msgs), err)
	}
	for _, path := range msgs {
		base := strings.TrimSuffix(filepath.Base(path), ".msg")
		t.Run(base, func(t *testing.T) {
			k := keys{}
			if b, err := os.ReadFile(strings.TrimSuffix(path, "msg") + "dns"); err == nil {
				k = chasquidDNS(string(b))
			}
			sigs := verify(t, k, crlf(read(t, path)), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
			if base == "03-bad_message" { // .error: no message at all, and so no signature
				if len(sigs) != 0 {
					t.Errorf("%+v", sigs)
				}
				return
			}
			var want struct {
				Results []struct{ State, Domain, Selector, B string }
			}
			if err := json.Unmarshal(read(t, strings.TrimSuffix(path, "msg")+"result"), &want); err != nil {
				t.Fatal(err)
			}
			if base == "02-too_many_headers" {
				want.Results = append(want.Results, want.Results[0], want.Results[0])
				want.Results[6].Domain = "" // the RSA signature
			}
			if len(sigs) != len(want.Results) {
				t.Fatalf("%d results, want %d: %+v", len(sigs), len(want.Results), sigs)
			}
			for i, s := range sigs {
				state := map[dkim.Result]string{dkim.Pass: "SUCCESS", dkim.TempError: "TEMPFAIL"}[s.Result]
				if state == "" {
					state = "PERMFAIL"
				}
				w := want.Results[i]
				if base == "09-limited_body" && i == 0 {
					w.State = "PERMFAIL"
				}
				if state != w.State || w.Domain != "" && (s.Domain != w.Domain || s.Selector != w.Selector || !strings.HasPrefix(w.B, s.Value)) {
					t.Errorf("%d: %+v, want %+v", i, s, w)
				}
			}
		})
	}
}

// TestSuiteStalwart: each of the six carries its keys above the message and is valid at the
// time it was signed.
func TestSuiteStalwart(t *testing.T) {
	dir := filepath.Join(mailtest.Suites(t, "dkim/stalwart-mail-auth"), "dkim")
	for name, c := range map[string]struct {
		at   int64
		want string
	}{
		"001.txt": {1528637909, "pass pass"},
		"002.txt": {1615825284, "pass"},
		"003.txt": {1667592145, "pass pass"}, // the list server signed twice
		"004.txt": {1667862801, "pass"},
		"005.txt": {1667843664, "pass"},
		"006.txt": {1667843664, "pass"},
	} {
		head, msg, _ := strings.Cut(string(read(t, dir, name)), "\n\n")
		if strings.Contains(head, "\r") {
			head, msg, _ = strings.Cut(string(read(t, dir, name)), "\r\n\r\n")
		}
		k := keys{}
		for line := range strings.Lines(head) {
			n, v, _ := strings.Cut(strings.TrimSpace(line), " ")
			k[n] = append(k[n], v)
		}
		var got []string
		for _, s := range verify(t, k, crlf([]byte(msg)), time.Unix(c.at, 0)) {
			got = append(got, string(s.Result))
			if s.Reason != "" {
				t.Logf("%s: %s", name, s.Reason)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

func suiteKeys(t *testing.T, dir string) keys {
	pub := string(read(t, dir, "mimekit/gmail.pub"))
	pub = strings.NewReplacer("-----BEGIN PUBLIC KEY-----", "", "-----END PUBLIC KEY-----", "", "\n", "", "\r", "").Replace(pub)
	return keys{
		"20120113._domainkey.gmail.com":            {"k=rsa; p=" + pub},
		"brisbane._domainkey.football.example.com": {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
		"test._domainkey.football.example.com":     {"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"},
		"sed._domainkey.test.ex":                   {string(read(t, dir, "dkimpy/eximtest.dns"))},
		"test._domainkey.legitimate.com(.attacker.com": {
			string(read(t, dir, "dkimpy/test.txt")),
		},
	}
}

// messages carry no expected results; the verdict and its reason are ours.
var messages = map[string][]string{
	"mimekit/rfc8463-example.msg":           {"pass", "pass"}, // RFC 8463 appendix A
	"mimekit/gmail.msg":                     {"pass"},         // a real mail and its key
	"mimekit/related.msg":                   {"pass"},         // the same
	"mimekit/multipart-no-end-boundary.msg": {"pass"},         // the body's end does not matter to a hash
	"dkimpy/rfc6376.signed.msg":             {"pass", "pass"},
	"dkimpy/rfc6376.signed.rsa.msg":         {"pass"},
	"dkimpy/ed25519test2.msg":               {"pass"},
	"dkimpy/test2.message":                  {"pass"},
	"dkimpy/test.message.baddomain":         {"permerror d= is no domain"}, // a comment in d= that other parsers strip
	"dkimpy/message.mbox":                   {"permerror there is no key"}, // the domain's key was not kept
	"dkimpy/rfc6376.msg":                    nil,                           // not signed, as all below
	"dkimpy/rfc6376.w1258.msg":              nil,
	"dkimpy/test.message":                   nil,
	"dkimpy/test_extra.message":             nil,
	"dkimpy/test_nofrom.message":            nil,
	"dkimpy/ed25519test.msg":                nil,
}

func TestSuiteMessages(t *testing.T) {
	dir := filepath.Dir(mailtest.Suites(t, "dkim/dkimpy"))
	k := suiteKeys(t, dir)
	for name, want := range messages {
		var got []string
		for _, s := range verify(t, k, crlf(read(t, dir, name)), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)) {
			got = append(got, strings.TrimSpace(string(s.Result)+" "+s.Reason))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// keyRecords are dkimpy's, each for a signature made with its key.
var keyRecords = map[string]string{
	"badk.txt":                            "key type \"ed25519-sha256\"",        // k= names an algorithm
	"badversion.txt":                      "the key record has another version", // "DKIM1: g=*"
	"test_bad.txt":                        "the key is no RSA key",              // cut off
	"test_tlsrpt.txt":                     "the key is not for mail",            // s=tlsrpt
	"test.txt":                            "the signature does not match",       // a good key
	"test2.txt":                           "the signature does not match",       // no k= means rsa
	"1024_testkey_wo_markers.pub.txt":     "the signature does not match",       // SubjectPublicKeyInfo
	"2048_testkey_wo_markers.pub.txt":     "the signature does not match",       //
	"2048_testkey_PKCS8.key.pub.txt":      "the signature does not match",       //
	"ed25519test.dns":                     "the key is not for rsa-sha256",      //
	"1024_testkey_wo_markers.pub.rsa.txt": "the signature does not match",       // PKCS #1
	"2048_testkey_wo_markers.pub.rsa.txt": "the signature does not match",       //
}

func TestSuiteKeyRecords(t *testing.T) {
	dir := mailtest.Suites(t, "dkim/dkimpy")
	signed := []byte("DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s; h=from; bh=" +
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\nFrom: a@example.com\r\n\r\n")
	for name, want := range keyRecords {
		k := keys{"s._domainkey.example.com": {strings.TrimSpace(string(read(t, dir, name)))}}
		sigs := verify(t, k, signed, time.Now())
		if len(sigs) != 1 || sigs[0].Reason != want {
			t.Errorf("%s: %+v, want %q", name, sigs, want)
		}
	}
}

// MimeKit's example key as three tools write it: each record is read and none made the
// signature.
func TestSuiteKeyOfManyTools(t *testing.T) {
	dir := mailtest.Suites(t, "dkim/mimekit")
	pem := strings.NewReplacer("-----BEGIN PUBLIC KEY-----", "v=DKIM1; p=", "-----END PUBLIC KEY-----", "", "\r", "")
	_, bind, _ := strings.Cut(string(read(t, dir, "example.bind9")), "(")
	bind = strings.NewReplacer("\"", "", "\r", "", ")", "").Replace(bind)
	tinydns := strings.Split(string(read(t, dir, "example.tinydns")), ":")[1]
	for name, record := range map[string]string{
		"example.pub": pem.Replace(string(read(t, dir, "example.pub"))), "example.bind9": bind, "example.tinydns": tinydns,
	} {
		s := newSigner(t)
		s.keys["s._domainkey.example.com"] = []string{record}
		got := s.one(strings.Replace(s.sign(plain), "ed25519-sha256", "rsa-sha256", 1))
		if got.Reason != "the signature does not match" || got.KeyBits != 1024 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// notRead are files of the suites that hold nothing for a verifier.
var notRead = map[string]string{
	"chasquid/*.readme": "words about a case",
	"chasquid/*.error":  "chasquid's own words, for what its .result file says",
	"dkimpy/*.key":      "private keys, for tests of dkimpy's signer",
}

// Every file of the suites is read by a test above, or is in notRead.
func TestSuitesAreReadWhole(t *testing.T) {
	root := filepath.Dir(mailtest.Suites(t, "dkim/dkimpy"))
	read := []string{
		"chasquid/*.msg", "chasquid/*.dns", "chasquid/*.result", "stalwart-mail-auth/dkim/00[1-6].txt",
		"mimekit/gmail.pub", "mimekit/example.*", "dkimpy/eximtest.dns", "SOURCE.txt",
	}
	for name := range messages {
		read = append(read, name)
	}
	for name := range keyRecords {
		read = append(read, "dkimpy/"+name)
	}
	for name := range notRead {
		read = append(read, name)
	}
	n, used := 0, map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		n++
		known := false
		for _, pattern := range read {
			if ok, err := filepath.Match(pattern, filepath.ToSlash(name)); err != nil {
				return err
			} else if ok {
				known, used[pattern] = true, true
			}
		}
		if !known {
			t.Errorf("%s is read by no test", name)
		}
		return nil
	})
	if err != nil || n < 70 {
		t.Errorf("%d files: %v", n, err)
	}
	for _, pattern := range read {
		if !used[pattern] {
			t.Errorf("%s fits no file", pattern)
		}
	}
}

var errBroken = errors.New("broken disk")

type brokenReader struct{}

func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, errBroken }

func TestReaderErrorIsReturned(t *testing.T) {
	if _, err := dkim.Verify(t.Context(), keys{}, brokenReader{}, 10, time.Now()); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}
