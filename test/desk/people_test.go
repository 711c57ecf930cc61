package desk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/mailtest/openid"
	"postern/internal/people"
)

// TestPeople has a postmaster add somebody, send the link, make a token, and disable the user,
// whose browser is then signed out; in all languages.
func TestPeople(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	for _, lang := range languages {
		t.Run(lang, func(t *testing.T) {
			n := &node{Gateway: n.Gateway, t: t, backend: n.backend, control: n.control}
			b, name := n.browse(lang), "agent-"+strings.ToLower(lang)
			b.signIn("olga")
			b.do(navigate(b.base+"/people"), visible("tr[data-row]"))
			b.picture(lang + "-people")
			b.do(navigate(b.base+"/people/new"), visible("#covers"), keys("#name", name))
			b.do(set("#role", "abuse-agent"))
			b.picture(lang + "-new")
			b.do(click("main button.main"), visible("#link"))
			b.picture(lang + "-link")
			link := b.text("#link")
			if i := strings.Index(link, "/welcome/"); i >= 0 {
				link = link[i:]
			}
			c := n.browse(lang)
			c.do(navigate(c.base+link), visible("#again"), keys("#password", password), keys("#again", password+"\n"), visible("#name"))
			c.signIn(name)
			at := b.base + "/people/user/" + name
			b.do(navigate(at), click("details.under summary"), visible("#token"), keys("#token", "monitoring"), keys("#scopes", "holds:read"),
				click("button[value=token]"), visible("#secret"))
			b.picture(lang + "-token")
			if secret := b.text("#secret"); !strings.HasPrefix(secret, "postern_") {
				t.Error(secret)
			}
			b.do(navigate(at), visible("button[value=revoke]"), click("button[value=disable]"), visible("button[value=enable]"))
			b.picture(lang + "-disabled")
			c.do(navigate(c.base+"/held"), visible("#password"))
			b.do(navigate(b.base+"/approvals"), visible("nav.tabs"))
			b.picture(lang + "-approvals")
		})
	}
}

// TestProvider signs in at an OpenID provider: a user by the address, somebody by the group, and
// a stranger, who stays outside; then the provider is silent.
func TestProvider(t *testing.T) {
	t.Parallel()
	srv := openid.New(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(srv.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port, err := mailtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	n := start(t, fmt.Sprintf("desk: {addr: %q, url: %q, oidc: {name: Company, issuer: %q, client_id: postern, secret_file: %q, claim: groups, roles: {desk: abuse-agent}}}\n", addr, "http://"+addr, srv.URL, secret))
	n.user("olga", people.Postmaster)
	for _, lang := range languages {
		t.Run(lang, func(t *testing.T) {
			n := &node{Gateway: n.Gateway, t: t, backend: n.backend, control: n.control}
			b := n.browse(lang)
			srv.Set(openid.Script{Who: openid.Claims{"sub": "stranger", "email": "stranger@example.com", "email_verified": true}})
			go303 := []act{navigate(b.base + "/sign-in?to=/me"), visible(".apart a.button"), click(".apart a.button"), visible("#yes"), click("#yes")}
			b.do(go303...)
			b.do(visible(".said.bad"))
			b.picture(lang + "-stranger")
			srv.Set(openid.Script{Who: openid.Claims{"sub": "agent", "preferred_username": "ada", "email": "ada@example.com", "email_verified": true, "groups": []string{"desk"}}})
			b.do(go303...)
			b.do(visible("dl.facts"))
			b.picture(lang + "-agent")
			if got := b.text("a.who"); got != "ada" {
				t.Error(got)
			}
		})
	}
}
