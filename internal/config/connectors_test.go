package config_test

import (
	"strings"
	"testing"

	"postern/internal/config"
)

func TestConnectors(t *testing.T) {
	for text, want := range map[string]string{
		`postfix_policy: {addr: "unix:/var/spool/postfix/private/postern"}`:                         "",
		`postfix_policy: {addr: "127.0.0.1:10040"}`:                                                 "",
		`postfix_policy: {addr: ":10040"}`:                                                          "knows no sign-in",
		`postfix_table: {map: "lmdb:/var/lib/x"}`:                                                   "",
		`postfix_queue: {config: /etc/postfix, as_root: [sudo, -n]}`:                                "",
		`postfix_queue: {config: etc/postfix}`:                                                      "no absolute path",
		`postfix_table: {map: "/var/lib/x"}`:                                                        "lmdb:/path",
		`dovecot_deny: {prefix: /etc/dovecot/deny., kick: [doveadm, kick]}`:                         "",
		`dovecot_deny: {prefix: deny.}`:                                                             "no absolute path",
		`dovecot_policy: {addr: "127.0.0.1:1"}`:                                                     "needs secret_file",
		`dovecot_policy: {addr: "127.0.0.1:1", secret_file: /x}`:                                    "",
		`webhooks: [{name: panel, url: "https://p.example/h", secret_files: [/x]}]`:                 "",
		`webhooks: [{name: panel, url: "http://127.0.0.1:9/h", secret_files: [/x]}]`:                "",
		`webhooks: [{name: panel, url: "http://p.example/h", secret_files: [/x]}]`:                  "no https address",
		`webhooks: [{name: panel, url: "https://u:p@p.example/h", secret_files: [/x]}]`:             "no https address",
		`webhooks: [{name: panel, url: "https://p.example/h"}]`:                                     "events are signed",
		`webhooks: [{name: postfix, url: "https://p.example/h", secret_files: [/x]}]`:               "a name of its own",
		`scim: [{name: a, url: "https://p/", token_file: /x}, {name: a, url: "x", token_file: /x}]`: "a name of its own",
		`scim: [{name: a, url: "https://p/"}]`:                                                      "needs token_file",
	} {
		_, err := config.Parse("postern.yaml", []byte(string(example(t))+"\nabuse: {connectors: {"+text+"}}\n"))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
