package seal_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"postern/internal/canon"
	"postern/internal/mailtest"
	"postern/internal/stamp/seal"
)

type scenario struct {
	Domain, Sel, PrivateKey string
	Tests                   map[string]struct {
		Message, AS, AMS, AAR string
		T                     int64
		Fields                string `yaml:"sig-headers"`
		Server                string `yaml:"srv-id"`
	}
}

func scenarios(t *testing.T) []scenario {
	t.Helper()
	f, err := os.Open(filepath.Join(mailtest.Suites(t, "arc/valimail"), "tests", "arc-draft-sign-tests.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []scenario
	for d := yaml.NewDecoder(f); ; {
		var doc map[string]any
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if doc == nil {
			continue
		}
		b, err := yaml.Marshal(lowered(doc))
		if err != nil {
			t.Fatal(err)
		}
		var s scenario
		if err := yaml.Unmarshal(b, &s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
}

// lowered has its keys in lower case, as the decoder wants them.
func lowered(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, v := range m {
		out[strings.ToLower(k)] = lowered(v)
	}
	return out
}

func rsaKey(t *testing.T, text string) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no key: %.60q", text)
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// tags of a field, all blanks removed from the values.
func tags(t *testing.T, value string) map[string]string {
	t.Helper()
	got, err := canon.ParseTags(value)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range got {
		got[k] = canon.Squeeze(v)
	}
	return got
}

// validated is what the suite has written into the message of its chain.
func validated(msg string) string {
	for _, v := range []string{"pass", "fail"} {
		if strings.Contains(msg, "lists.example.org; arc="+v+";\r\n") && strings.HasPrefix(msg, "Authentication-Results: lists.example.org; arc="+v) {
			return v
		}
	}
	return "none"
}

// RSA signatures are the same each time, so all three fields are compared, b= and bh= too.
func TestSuiteValimail(t *testing.T) {
	n := 0
	for _, s := range scenarios(t) {
		for name, c := range s.Tests {
			n++
			sealer := &seal.Sealer{Domain: s.Domain, Selector: s.Sel, AuthservID: c.Server, Key: rsaKey(t, s.PrivateKey)}
			sealer.AsTheSuite(c.Fields)
			msg := strings.ReplaceAll(c.Message, "\n", "\r\n")
			set, err := sealer.Seal(strings.NewReader(msg), validated(msg), time.Unix(c.T, 0))
			if strings.TrimSpace(c.AS) == "" {
				if !errors.Is(err, seal.ErrFailed) || set != nil {
					t.Errorf("%s: %q, %v; no set is expected", name, set, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			h, _, err := canon.Read(strings.NewReader(string(set)))
			if err != nil || len(h.Fields) != 3 {
				t.Fatalf("%s: %q, %v", name, set, err)
			}
			for i, want := range []string{c.AS, c.AMS} {
				if d := cmp.Diff(tags(t, want), tags(t, string(h.Fields[i].Value()))); d != "" {
					t.Errorf("%s: %s: %s", name, h.Fields[i].Name, d)
				}
			}
			words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
			if got := words(string(h.Fields[2].Value())); got != words(c.AAR) {
				t.Errorf("%s: %s, want %s", name, got, words(c.AAR))
			}
		}
	}
	if n != 17 {
		t.Errorf("%d cases, want 17", n)
	}
}
