package desk

import (
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"postern/cmd/postern/access"
	"postern/internal/people"
)

// languages are those of the desk.
var languages = []string{"en", "zh-CN", "ru", "el"}

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
			b.do(navigate(b.base+link.Path), visible("#again"))
			b.picture(lang + "-welcome")
			b.do(keys("#password", password), keys("#again", password+"\n"), visible("#name"))
			b.picture(lang + "-password-set")
			b.do(keys("#name", name), keys("#password", password+"\n"), visible("button[value=begin]"))
			b.picture(lang + "-must")
			b.do(navigate(b.base+"/held"), visible("button[value=begin]"), click("button[value=begin]"), visible("img.code"))
			b.picture(lang + "-offer")
			secret := strings.ReplaceAll(b.text("#secret"), " ", "")
			b.do(keys("#code", "000000x\n"), visible(".said.bad"))
			used := b.code(secret, "")
			b.do(keys("#code", used+"\n"), visible(".codes li"))
			b.picture(lang + "-recovery")
			recovery := b.text(".codes li:nth-child(2)")
			b.do(navigate(b.base+"/me"), visible("header nav"))
			b.picture(lang + "-me")
			signOut := click("form[action='/sign-out'] button")
			again := []act{signOut, visible("#name"), keys("#name", name), keys("#password", password+"\n"), visible("#code")}
			b.do(again...)
			b.picture(lang + "-code")
			b.do(keys("#code", used+"\n"), visible(".said.bad")) // it was used
			b.picture(lang + "-code-used")
			b.do(keys("#code", recovery+"\n"), visible("header nav"))
			b.do(again...)
			b.do(keys("#code", recovery+"\n"), visible(".said.bad"))
			if lang == "en" { // half a minute: once is enough
				b.do(keys("#code", b.code(secret, used)+"\n"), visible("header nav"))
			}
			if err := n.control.Call(t.Context(), "user.factor-reset", access.FactorReset{Name: name, Note: "lost phone"}, nil); err != nil {
				t.Fatal(err)
			}
			b.do(navigate(b.base+"/me"), visible("#name"), keys("#name", name), keys("#password", password+"\n"), visible("button[value=begin]"))
		})
	}
}
