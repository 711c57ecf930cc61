package config_test

import (
	"strings"
	"testing"

	"postern/internal/config"
)

func TestPublicAndDigests(t *testing.T) {
	for text, want := range map[string]string{
		`public: {addr: "127.0.0.1:1", url: "https://mail.example"}`:                         "",
		`public: {addr: "127.0.0.1:1", url: "https://mail.example/", proxies: [10.0.0.0/8]}`: "",
		`public: {addr: ":1"}`:                                                             "needs tls",
		`public: {url: "mail.example"}`:                                                    "is no address as https://mail.example",
		`public: {url: "https://mail.example/path"}`:                                       "is no address as",
		`public: {url: "https://` + strings.Repeat("m", 100) + `"}`:                        "links have room for 100",
		`public: {proxies: [nonsense]}`:                                                    "nonsense",
		`digests: {from: help@example.com, language: zh-CN, zone: Asia/Shanghai, hour: 0}`: "",
		`digests: {from: nobody}`:                                                          "is no address",
		`digests: {language: fr}`:                                                          "is not one of en",
		`digests: {zone: Mars}`:                                                            "is no time zone",
		`digests: {zone: Local}`:                                                           "is no time zone",
		`digests: {hour: 24}`:                                                              "is no hour of the day",
		`digests: {hours: 3}`:                                                              "hours",
	} {
		_, err := config.Parse("postern.yaml", []byte(string(example(t))+"\n"+text+"\n"))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
