package config_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/internal/config"
	"postern/internal/config/value"
	"postern/internal/people"
)

// TestDesk has what can be said of the desk in the browser.
func TestDesk(t *testing.T) {
	oidc := func(more string) string {
		return `{addr: "127.0.0.1:1", url: "https://desk.example", oidc: {issuer: "https://id.example", client_id: postern` + more + `}}`
	}
	for text, want := range map[string]string{
		`{addr: "127.0.0.1:9926"}`:                                        "",
		`{addr: ":9926"}`:                                                 "passwords travel",
		`{url: "desk.example"}`:                                           "no address as https://desk.example",
		`{totp: [postmaster, abuse-lead]}`:                                "",
		`{totp: [king]}`:                                                  `"king" is no role`,
		`{proxies: [10.0.0.0/8, "2001:db8::1"]}`:                          "",
		`{proxies: [0.0.0.0/0]}`:                                          "everybody",
		`{proxies: ["::/0"]}`:                                             "everybody",
		`{proxies: [nonsense]}`:                                           "nonsense",
		oidc(""):                                                          "",
		oidc(`, claim: groups, roles: {desk: abuse-agent}`):               "",
		oidc(`, claim: groups, roles: {admins: postmaster}`):              "none of the roles that a provider gives",
		oidc(`, claim: groups, roles: {admins: domain-admin}`):            "none of the roles that a provider gives",
		oidc(`, claim: groups`):                                           "claim and roles go together",
		oidc(`, roles: {desk: abuse-agent}`):                              "claim and roles go together",
		oidc(`, name: ` + strings.Repeat("x", 61)):                        "at most 60",
		`{oidc: {issuer: "https://id.example", client_id: postern}}`:      "oidc needs it",
		`{url: "https://d.example", oidc: {issuer: "https://i.example"}}`: "it is needed",
		`{url: "https://d.example", oidc: {client_id: postern}}`:          "issuer is needed",
		`{url: "https://d.example", oidc: {issuer: "http://i.example", client_id: x}}`:       "has to be https",
		`{url: "https://d.example", oidc: {issuer: "https://u:p@i.example", client_id: x}}`:  "is no address",
		`{url: "https://d.example", oidc: {issuer: "http://127.0.0.1:8080", client_id: x}}`:  "",
		`{url: "https://d.example", oidc: {issuer: "https://i.example/?x=y", client_id: x}}`: "is no address",
	} {
		_, err := config.Parse("postern.yaml", []byte(string(example(t))+"\ndesk: "+text+"\n"))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestDeskRoles holds the names in the configuration against those of users.
func TestDeskRoles(t *testing.T) {
	var all []string
	for _, r := range people.Roles() {
		all = append(all, string(r))
	}
	if !slices.Equal(all, value.DeskRoles()) {
		t.Error(all, value.DeskRoles())
	}
	for _, r := range value.ProvidedRoles() {
		if !slices.Contains(all, r) || r == string(people.Postmaster) || people.Role(r) == people.DomainAdmin {
			t.Error(r)
		}
	}
}

func TestDeskKey(t *testing.T) {
	c := config.Default()
	c.State = "/state"
	if path, mayMake := c.DeskKey(); path != filepath.Join("/state", "desk.key") || !mayMake {
		t.Error(path, mayMake)
	}
	c.Desk.KeyFile = "/etc/postern/desk.key"
	if path, mayMake := c.DeskKey(); path != "/etc/postern/desk.key" || mayMake {
		t.Error(path, mayMake)
	}
}
