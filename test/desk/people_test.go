package desk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

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
			b.do(chromedp.Navigate(b.base+"/people"), chromedp.WaitVisible("tr[data-row]"))
			b.picture(lang + "-people")
			b.do(chromedp.Navigate(b.base+"/people/new"), chromedp.WaitVisible("#covers"), chromedp.SendKeys("#name", name))
			b.do(chromedp.SetValue("#role", "abuse-agent"))
			b.picture(lang + "-new")
			b.do(chromedp.Click("main button.main"), chromedp.WaitVisible("#link"))
			b.picture(lang + "-link")
			link := b.text("#link")
			if i := strings.Index(link, "/welcome/"); i >= 0 {
				link = link[i:]
			}
			c := n.browse(lang)
			c.do(chromedp.Navigate(c.base+link), chromedp.WaitVisible("#again"), chromedp.SendKeys("#password", password), chromedp.SendKeys("#again", password+"\n"), chromedp.WaitVisible("#name"))
			c.signIn(name)
			at := b.base + "/people/user/" + name
			b.do(chromedp.Navigate(at), chromedp.Click("details.under summary"), chromedp.WaitVisible("#token"), chromedp.SendKeys("#token", "monitoring"), chromedp.SendKeys("#scopes", "holds:read"),
				chromedp.Click("button[value=token]"), chromedp.WaitVisible("#secret"))
			b.picture(lang + "-token")
			if secret := b.text("#secret"); !strings.HasPrefix(secret, "postern_") {
				t.Error(secret)
			}
			b.do(chromedp.Navigate(at), chromedp.WaitVisible("button[value=revoke]"), chromedp.Click("button[value=disable]"), chromedp.WaitVisible("button[value=enable]"))
			b.picture(lang + "-disabled")
			c.do(chromedp.Navigate(c.base+"/held"), chromedp.WaitVisible("#password"))
			b.do(chromedp.Navigate(b.base+"/approvals"), chromedp.WaitVisible("nav.tabs"))
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
			go303 := []chromedp.Action[chromedp.Void]{chromedp.Navigate(b.base + "/sign-in?to=/me"), chromedp.WaitVisible(".apart a.button"), chromedp.Click(".apart a.button"), chromedp.WaitVisible("#yes"), chromedp.Click("#yes")}
			b.do(go303...)
			b.do(chromedp.WaitVisible(".said.bad"))
			b.picture(lang + "-stranger")
			srv.Set(openid.Script{Who: openid.Claims{"sub": "agent", "preferred_username": "ada", "email": "ada@example.com", "email_verified": true, "groups": []string{"desk"}}})
			b.do(go303...)
			b.do(chromedp.WaitVisible("dl.facts"))
			b.picture(lang + "-agent")
			if got := b.text("a.who"); got != "ada" {
				t.Error(got)
			}
		})
	}
}
