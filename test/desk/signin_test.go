package desk

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"postern/cmd/postern/access"
	"postern/internal/people"
)

// languages are those of the desk.
var languages = []string{"en", "zh-CN", "ru", "el"}

// text is what an element says.
func (b *browser) text(what string) string {
	b.t.Helper()
	s, err := chromedp.Run(b, chromedp.Text(what))
	if err != nil {
		b.picture("failed")
		b.t.Fatal(what, err)
	}
	return s
}

// code is what an authenticator with the secret shows, once it shows another one than before.
func (b *browser) code(secret, before string) string {
	b.t.Helper()
	for {
		c, err := totp.GenerateCode(secret, time.Now())
		if err != nil {
			b.t.Fatal(err)
		}
		if c != before {
			return c
		}
		select {
		case <-b.Done():
			b.t.Fatal("the time stands still")
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// TestSecondFactor has a lead, whose role needs codes: a one-time link, the set-up, the recovery
// codes, the next sign-in, and a lost phone; in all languages.
func TestSecondFactor(t *testing.T) {
	t.Parallel()
	n := start(t, "desk: {addr: \"127.0.0.1:0\", totp: [abuse-lead]}\n")
	for _, lang := range languages {
		t.Run(lang, func(t *testing.T) {
			n := &node{Gateway: n.Gateway, t: t, backend: n.backend, control: n.control}
			name := "lea-" + strings.ToLower(lang)
			n.user(name, people.Lead, func(u *access.NewUser) { u.Password = "" })
			var link access.Link
			if err := n.control.Call(t.Context(), "user.invite", access.Name{Name: name}, &link); err != nil {
				t.Fatal(err)
			}
			b := n.browse(lang)
			b.do(chromedp.Navigate(b.base+link.Path), chromedp.WaitVisible("#again"))
			b.picture(lang + "-welcome")
			b.do(chromedp.SendKeys("#password", password), chromedp.SendKeys("#again", password+"\n"), chromedp.WaitVisible("#name"))
			b.picture(lang + "-password-set")
			b.do(chromedp.SendKeys("#name", name), chromedp.SendKeys("#password", password+"\n"), chromedp.WaitVisible("button[value=begin]"))
			b.picture(lang + "-must")
			b.do(chromedp.Navigate(b.base+"/held"), chromedp.WaitVisible("button[value=begin]"), chromedp.Click("button[value=begin]"), chromedp.WaitVisible("img.code"))
			b.picture(lang + "-offer")
			secret := strings.ReplaceAll(b.text("#secret"), " ", "")
			used := b.code(secret, "")
			b.do(chromedp.SendKeys("#code", "000000x\n"), chromedp.WaitVisible(".said.bad"), chromedp.SendKeys("#code", used+"\n"), chromedp.WaitVisible(".codes li"))
			b.picture(lang + "-recovery")
			recovery := b.text(".codes li:nth-child(2)")
			b.do(chromedp.Navigate(b.base+"/me"), chromedp.WaitVisible("header nav"))
			b.picture(lang + "-me")
			signOut := chromedp.Click("form[action='/sign-out'] button")
			again := []chromedp.Action[chromedp.Void]{signOut, chromedp.WaitVisible("#name"), chromedp.SendKeys("#name", name), chromedp.SendKeys("#password", password+"\n"), chromedp.WaitVisible("#code")}
			b.do(again...)
			b.picture(lang + "-code")
			b.do(chromedp.SendKeys("#code", used+"\n"), chromedp.WaitVisible(".said.bad")) // it was used
			b.picture(lang + "-code-used")
			b.do(chromedp.SendKeys("#code", recovery+"\n"), chromedp.WaitVisible("header nav"))
			b.do(again...)
			b.do(chromedp.SendKeys("#code", recovery+"\n"), chromedp.WaitVisible(".said.bad"))
			if lang == "en" { // half a minute: once is enough
				b.do(chromedp.SendKeys("#code", b.code(secret, used)+"\n"), chromedp.WaitVisible("header nav"))
			}
			if err := n.control.Call(t.Context(), "user.factor-reset", access.FactorReset{Name: name, Note: "lost phone"}, nil); err != nil {
				t.Fatal(err)
			}
			b.do(chromedp.Navigate(b.base+"/me"), chromedp.WaitVisible("#name"), chromedp.SendKeys("#name", name), chromedp.SendKeys("#password", password+"\n"), chromedp.WaitVisible("button[value=begin]"))
		})
	}
}
