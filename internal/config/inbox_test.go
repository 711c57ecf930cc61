package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/config"
)

const inboxBase = `hostname: mx.example.com
state: /var/lib/postern
listeners: [{name: mx, kind: inbound, addr: "127.0.0.1:25"}]
backends: {mail: [{addr: "127.0.0.1:26"}]}
`

func loadInbox(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postern.yaml")
	if err := os.WriteFile(path, []byte(inboxBase+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path)
}

func TestTestInbox(t *testing.T) {
	c, err := loadInbox(t, "test_inbox: {domains: [ci.example, xn--mgba3a4f16a.example]}\n")
	if err != nil {
		t.Fatal(err) // without a route: it takes mail all the same
	}
	for domain, want := range map[string]bool{"ci.example": true, "CI.example": true, "x.ci.example": false, "example": false, "": false} {
		if c.TestInbox.Has(domain) != want {
			t.Errorf("%q: %v", domain, !want)
		}
	}
	if c.TestInbox.Messages != 1000 || c.TestInbox.Keep <= 0 || c.TestInbox.Bytes != 100e6 {
		t.Errorf("%+v", c.TestInbox)
	}
	for text, says := range map[string]string{
		"routes: {ci.example: {backend: mail}}\ntest_inbox: {domains: [ci.example]}": "has a route as well",
		"test_inbox: {domains: [CI.example]}":                                        "lower case",
		"test_inbox: {domains: [a.example, a.example]}":                              "twice",
		"test_inbox: {domains: ['no domain']}":                                       "is no domain",
		"test_inbox: {domains: [a.example], messages: 0}":                            "between 1 and 10000",
		"test_inbox: {domains: [a.example], messages: 10001}":                        "between 1 and 10000",
		"test_inbox: {domains: [a.example], bytes: 0}":                               "larger than 0",
		"test_inbox: {domains: [a.example], keep: 0s}":                               "larger than 0",
		"test_inbox: {domains: [" + strings.Repeat("a.example, ", 51) + "]}":         "at most 50",
		"test_inbox: {domain: a.example}":                                            "domain",
	} {
		if _, err := loadInbox(t, text+"\n"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}
