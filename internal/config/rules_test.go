package config_test

import (
	"strings"
	"testing"
	"time"
)

// TestRehearsals: what is kept for them has its defaults and its bounds.
func TestRehearsals(t *testing.T) {
	const routes = "routes: {example.com: {backend: mail}}\n"
	c, err := loadInbox(t, routes)
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Rules.Replay; time.Duration(r.Keep) != 7*24*time.Hour || r.Bytes != 64e6 {
		t.Errorf("%+v", r)
	}
	for text, says := range map[string]string{
		"rules: {replay: {keep: 0s}}":                "",
		"rules: {replay: {keep: 0s, bytes: 1}}":      "",
		"rules: {replay: {keep: 30d, bytes: 1GB}}":   "",
		"rules: {replay: {keep: 90d, bytes: 1MB}}":   "",
		"rules: {replay: {keep: 1h}}":                "rules.replay.keep",
		"rules: {replay: {keep: 91d}}":               "rules.replay.keep",
		"rules: {replay: {bytes: 999kB}}":            "rules.replay.bytes",
		"rules: {replay: {bytes: 0}}":                "rules.replay.bytes",
		"rules: {replay: {kept: 7d}}":                "kept",
		"rules: {dir: /etc/rules, replay: [a list]}": "expected keys",
	} {
		c, err := loadInbox(t, routes+text+"\n")
		switch {
		case says == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case says != "" && (err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(says, "rules.replay."))):
			t.Errorf("%s: %v", text, err)
		case says == "" && c.Rules.Dir == "":
			t.Errorf("%s: the folder of rules is lost", text)
		}
	}
}
