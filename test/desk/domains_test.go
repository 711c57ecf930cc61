package desk

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/cmd/postern/access"
	"postern/internal/mailtest/redisd"
	"postern/internal/people"
	"postern/internal/store/redis/conn"
	"postern/quarantine"
	"postern/test/rig"
	"postern/test/world"
)

// homes are the two places where a gateway keeps its state, as lines of configuration and the
// files that go with them.
func homes(t *testing.T) map[string]func(o *office) string {
	t.Helper()
	return map[string]func(o *office) string{
		"local": func(*office) string { return "" },
		"redis": func(o *office) string {
			s := redisd.Start(o.t, redisd.Options{ACL: rig.ACL()})
			c := s.Client()
			defer c.Close()
			// One that was emptied just now releases nothing for half a minute.
			if err := c.Set(o.t.Context(), conn.DefaultPrefix+":born", time.Now().Add(-time.Hour).UnixMilli(), 0).Err(); err != nil {
				o.t.Fatal(err)
			}
			o.WriteFile("redis.pw", redisd.Password+"\n")
			o.WriteFile("seal.key", strings.Repeat("5a", 32)+"\n")
			return fmt.Sprintf("store: {home: redis, addrs: [%q], user: %s, password_file: DIR/redis.pw, key_file: DIR/seal.key}\n", s.Addr, rig.User)
		},
	}
}

// TestDomainAdmins has somebody who answers for one of two domains: holds, accounts and cases of
// the other are on no list and in no count, no search finds them, no stream tells of them, and
// whoever asks for one by its name is refused.
func TestDomainAdmins(t *testing.T) {
	t.Parallel()
	for home, store := range homes(t) {
		t.Run(home, func(t *testing.T) {
			t.Parallel()
			o := prepareOffice(t, func(o *office, text string) string {
				return strings.Replace(text, "routes:\n", "routes:\n  example.org: {backend: mail, recipients: any}\n", 1) + store(o)
			})
			o.user("lea", people.Lead)
			o.user("dora", people.DomainAdmin, func(u *access.NewUser) { u.Domains = []string{"example.org"} })
			o.keepsToOwn()
		})
	}
}

// both domains have mail that is held, an account that sent and a case.
func (o *office) both() (theirs, mine quarantine.Hold, theirCase, myCase string) {
	o.t.Helper()
	o.send("ada@example.com", "Hidden offer please hold", "Content-Type: text/plain\r\n\r\nHidden words.")
	theirs = o.held()[0]
	o.send("dan@example.org", "Open offer please hold", "Content-Type: text/plain\r\n\r\nOpen words.")
	for _, h := range o.held() {
		if h.ID != theirs.ID {
			mine = h
		}
	}
	copies := [][]byte{o.sellsAs("hidden@example.com", "rcpt@isp.example"), o.sellsAs("otto@example.org", "rcpt@isp.example")}
	theirCase = o.opens(func() { o.forwards("rcpt@isp.example", "Hidden complaint", copies[0]) })
	myCase = o.opens(func() { o.forwards("rcpt@isp.example", "Open complaint", copies[1]) })
	return theirs, mine, theirCase, myCase
}

func (o *office) keepsToOwn() {
	o.t.Helper()
	theirs, mine, theirCase, myCase := o.both()
	world.Await(o.t, "both accounts are known", time.Minute, func() bool {
		var all struct{ Accounts []struct{ Name string } }
		o.call("account.find", map[string]any{}, &all)
		return len(all.Accounts) == 2
	})
	b := o.browse("en")
	b.signIn("dora")
	hidden := []string{"Hidden", "hidden@", "ada@example.com", theirs.ID, theirCase}
	for path, own := range map[string]string{
		"/held": "Open offer", "/held?q=offer": "Open offer", "/held?q=hidden": "", "/held?q=to:ada@example.com": "", "/accounts": "otto@example.org", "/accounts?q=hidden": "",
		"/accounts?domain=example.com": "", "/cases": myCase, "/cases?view=all": myCase, "/cases?q=hidden": "", "/cases?q=" + theirCase: "", "/cases?account=hidden@example.com": "", "/trace": "Open offer", "/trace?q=hidden": "",
	} {
		b.goTo(path, "main h1")
		rows := b.ask(`document.querySelectorAll("tr[data-row]").length`)
		if want := map[bool]string{true: "1", false: "0"}[own != ""]; rows != want && path != "/trace" {
			o.t.Errorf("%s has %s rows, not %s", path, rows, want)
		}
		text := b.ask(`[...document.querySelectorAll("tr[data-row], nav .n, .count, .soft")].map(e => e.innerText).join(" ")`)
		if !strings.Contains(text, own) {
			o.t.Errorf("%s lacks %s: %s", path, own, text)
		}
		for _, h := range hidden {
			if strings.Contains(text, h) {
				o.t.Errorf("%s tells of %s: %s", path, h, text)
			}
		}
		if n := b.ask(`[...document.querySelectorAll("nav .n")].map(e => e.textContent).filter(n => n > 1).length`); n != "0" {
			o.t.Errorf("%s counts more than is theirs: %s", path, text)
		}
	}
	for theirs, mine := range map[string]string{
		"/held/" + theirs.ID: "/held/" + mine.ID, "/held/" + theirs.ID + "/raw": "/held/" + mine.ID + "/raw", "/held/" + theirs.ID + "?tab=headers": "/held/" + mine.ID + "?tab=headers",
		"/trace/" + theirs.MessageID: "/trace/" + mine.MessageID, "/account?name=hidden@example.com": "/account?name=otto@example.org", "/cases/" + theirCase: "/cases/" + myCase,
		"/cases/" + theirCase + "/measure?level=M1": "/cases/" + myCase + "?tab=timeline", // no measures of their own
	} {
		if got := b.fetch(theirs, ""); !strings.HasPrefix(got, "404 ") && !strings.HasPrefix(got, "403 ") || strings.Contains(got, "Hidden") {
			o.t.Errorf("%s: %s", theirs, got)
		}
		if got := b.fetch(mine, ""); !strings.HasPrefix(got, "200 ") {
			o.t.Errorf("%s, which is theirs: %.200s", mine, got)
		}
	}
	o.changesNothing(b, theirs, theirCase)
	o.hearsOwn(b)
}

// fetch asks for a path as the page would, with a form where there is one.
func (b *browser) fetch(path, form string) (answer string) {
	b.t.Helper()
	get(b, `fetch(`+quoted(path)+`, `+quoted(form)+` ? {method: "POST", redirect: "manual", headers: {"Content-Type": "application/x-www-form-urlencoded"}, body: "form=" + encodeURIComponent(document.querySelector("input[name=form]").value) + "&" + `+quoted(form)+`} : {}).then(r => r.text().then(t => r.status + " " + r.type + " " + t))`, &answer)
	return answer
}

// changesNothing tries acts on what is another domain's.
func (o *office) changesNothing(b *browser, theirs quarantine.Hold, theirCase string) {
	o.t.Helper()
	b.goTo("/held", "tr[data-row]")
	for _, act := range []string{"release", "delete", "copy", "block", "case"} {
		if got := b.fetch("/held/act", "act="+act+"&what=address&seen=yes&id="+theirs.ID); !strings.HasPrefix(got, "40") || strings.Contains(got, "Hidden") {
			o.t.Errorf("%s of another's: %.200s", act, got)
		}
	}
	for path, form := range map[string]string{
		"/cases/" + theirCase + "/act": "act=comment&reason=x", "/cases/" + theirCase + "/measure": "level=M1&reason=x", "/measures": "account=hidden@example.com&level=M1&reason=x",
	} {
		if got := b.fetch(path, form); !strings.HasPrefix(got, "40") || strings.Contains(got, "Hidden") {
			o.t.Errorf("%s: %.200s", path, got)
		}
	}
	if got := o.shown(theirCase).Case; got.Level != 0 || got.Owner != "" {
		o.t.Errorf("the case was changed: %+v", got)
	}
	if now := o.holdOf(theirs.ID); now.State != quarantine.Held {
		o.t.Errorf("the hold was changed: %+v", now)
	}
	o.unharmed("domain admins")
}

func (o *office) holdOf(id string) (h quarantine.Hold) {
	o.t.Helper()
	o.call("quarantine.show", map[string]string{"id": id}, &h)
	return h
}

// hearsOwn has mail held for the other domain and then for the own: one row is announced.
func (o *office) hearsOwn(b *browser) {
	o.t.Helper()
	b.goTo("/held", "tr[data-row]")
	b.until("the stream says where things stand", `document.documentElement.dataset.heard === ""`)
	o.send("ada@example.com", "Hidden news please hold", "Content-Type: text/plain\r\n\r\nHidden.")
	o.send("dan@example.org", "Open news please hold", "Content-Type: text/plain\r\n\r\nOpen.")
	b.until("the own row is announced", `document.querySelector(".news")?.textContent === "New: 1"`)
	b.do(chromedp.Click(".news"))
	b.until("both of the own are shown", `document.querySelectorAll("tr[data-row]").length === 2`)
	if text := b.ask(`document.querySelector("main").innerText`); strings.Contains(text, "Hidden") {
		o.t.Errorf("the list tells of another's: %s", text)
	}
}
