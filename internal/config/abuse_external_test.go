package config_test

import (
	"strings"
	"testing"

	"postern/internal/config"
)

func TestAbuseExternal(t *testing.T) {
	for text, want := range map[string]string{
		`external: {automatic: true, partners: {networks: [192.0.2.0/24], domains: [p.example]}}`:                                          "",
		`external: {partners: {domains: ["-"]}}`:                                                                                           "is no domain",
		`external: {contacts: {rdap: true, endpoints: ["http://127.0.0.1:8080/rdap"]}}`:                                                    "",
		`external: {contacts: {endpoints: ["http://rdap.example/"]}}`:                                                                      "no https address",
		`external: {contacts: {bootstrap: ["ftp://x"]}}`:                                                                                   "no https address",
		`external: {contacts: {address_zone: "", domain_zone: "a b"}}`:                                                                     "is no zone",
		`external: {national_body: {address: report@body.example, form: text, language: zh}}`:                                              "",
		`external: {national_body: {address: nobody}}`:                                                                                     "is no address",
		`external: {national_body: {form: fax}}`:                                                                                           "no form",
		`external: {national_body: {language: fr}}`:                                                                                        "none of en",
		`external: {aws: {ranges_file: /r, credentials_file: /c, region: eu-west-1, endpoint: "http://127.0.0.1:1/{region}", test: true}}`: "",
		`external: {aws: {ranges_file: /r}}`:                                                                                               "it needs ranges_file and credentials_file",
		`external: {aws: {ranges_file: r, credentials_file: /c}}`:                                                                          "no absolute path",
		`external: {aws: {ranges_file: /r, credentials_file: c}}`:                                                                          "no absolute path",
		`external: {aws: {region: "x.evil.example/"}}`:                                                                                     "no name of a region",
		`external: {aws: {endpoint: "http://abuse.{region}.example/"}}`:                                                                    "no https address",
		`external: {published_hold: 1h}`:                                                                                                   "a day at least",
		`external: {published_lists: [{name: a, key_file: /x}, {name: a, key_file: /y}]}`:                                                  "a name of its own",
		`external: {published_lists: [{name: a, key_file: x}]}`:                                                                            "no absolute path",
		`listings: {addresses: [192.0.2.25], domains: [x.example], lists: [{name: a, zone: a.example}, {name: b, zone: b.example, of: domains, test: t, major: true}]}`: "",
		`listings: {addresses: [127.0.0.1]}`:                         "no address of the Internet",
		`listings: {domains: [x y]}`:                                 "is no domain",
		`listings: {lists: [{name: "", zone: a.example}]}`:           "a name of its own",
		`listings: {lists: [{name: a, zone: "a b"}]}`:                "is no zone",
		`listings: {lists: [{name: a, zone: a.example, of: links}]}`: "addresses or of domains",
		`listings: {lists: [{name: a, zone: a.example, test: t}]}`:   "127.0.0.2",
	} {
		_, err := config.Parse("postern.yaml", []byte(string(example(t))+"\nabuse: {"+text+"}\n"))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
