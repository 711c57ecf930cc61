package config_test

import (
	"strings"
	"testing"

	"postern/internal/config"
)

func TestBackup(t *testing.T) {
	const base = "hostname: mx.example.org\nstate: /var/lib/postern\nlisteners: [{name: in, kind: smarthost, addr: '127.0.0.1:2525', networks: [127.0.0.0/8]}]\nbackends: {out: [{addr: '127.0.0.1:26'}]}\negress: out\n"
	for text, want := range map[string]string{
		"": "",
		"backup: {dir: /backup, recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]}": "",
		"backup: {dir: backups}":                   "is no absolute path",
		"backup: {dir: /var/lib/postern/b}":        "lies in the state folder",
		"backup: {dir: /b, full: 12h}":             "must not be longer than full",
		"backup: {dir: /b, keep: 2d}":              "must not be shorter than full",
		"backup: {dir: /b, incremental: 1m}":       "incremental must be at least",
		"backup: {dir: /b, recipients: [ssh-rsa]}": "is no public key of age",
		"backup: {direct: /b}":                     "direct",
	} {
		_, err := config.Parse("p.yaml", []byte(base+text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
