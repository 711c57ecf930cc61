package config_test

import (
	"strings"
	"testing"

	"postern/internal/config"
)

func TestWeb(t *testing.T) {
	for text, want := range map[string]string{
		`{addr: "127.0.0.1:9926"}`:    "",
		`{addr: "[::1]:9926"}`:        "",
		`{addr: "localhost:9926"}`:    "",
		`{addr: ""}`:                  "",
		`{addr: ":9926"}`:             "can be reached from elsewhere, so it needs tls: tokens travel",
		`{addr: "192.0.2.1:9926"}`:    "needs tls",
		`{addr: "nonsense"}`:          "is no address with a port",
		`{tls: {cert: /x}}`:           "cert and key go together",
		`{addr: ":1", tls: {key: x}}`: "cert and key go together",
		`{addr: ":9926", tls: {cert: /etc/postern/a.pem, key: /etc/postern/a.key}}`: "",
	} {
		_, err := config.Parse("postern.yaml", []byte(string(example(t))+"\napi: "+text+"\n"))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
