package desk

import (
	"net/http"
	"net/smtp"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/internal/people"
	"postern/test/world"
)

const refusing = rules + `  - id: REFUSE_THIS
    describe: The subject asks to be refused
    in: subject
    match: 'please refuse'
    action: reject
    tests: {hit: ["please refuse this"], miss: ["hello"]}
`

// refusedAt is what a server is told of a message, by real SMTP.
func (n *node) refusedAt(from, to, subject string) string {
	n.t.Helper()
	err := smtp.SendMail(n.Addrs["mx"], nil, from, []string{to}, []byte("From: <"+from+">\r\nTo: <"+to+">\r\nSubject: "+subject+"\r\n\r\nHello, this is the bakery.\r\n"))
	if err == nil {
		n.t.Fatalf("%q was taken", subject)
	}
	return err.Error()
}

var aReference = regexp.MustCompile(`\(ref ([0-9a-z]{26})\) (http://127\.0\.0\.1:\d+/r/[0-9a-z]{26})"?$`)

// pageOf is where a refusal leads.
func (n *node) pageOf(reply string) (reference, page string) {
	n.t.Helper()
	m := aReference.FindStringSubmatch(reply)
	if m == nil || !strings.HasSuffix(m[2], m[1]) {
		n.t.Fatalf("no reference with its page: %q", reply)
	}
	world.Await(n.t, "the page of "+m[1], time.Minute, func() bool { // rows of traffic are written in batches
		code, _ := n.status(person(), http.MethodGet, m[2], nil)
		return code == http.StatusOK
	})
	return m[1], m[2]
}

// TestSenders has mail refused at RCPT and after the body, its sender read why in four languages
// and ask a person to look again; the desk answers, lets the sender through, and the message
// goes through.
func TestSenders(t *testing.T) {
	t.Parallel()
	n, behind := startPublic(t, "ada@example.com", "frank@example.com")
	n.WriteFile("rules.d/own.yaml", refusing)
	if err := n.control.Call(t.Context(), "reload", nil, nil); err != nil {
		t.Fatal(err)
	}
	n.run("blocklist", "add", "bakery.example", "--reason", "too many complaints")
	n.user("olga", people.Postmaster)
	reply := n.refusedAt("anna@bakery.example", "ada@example.com", "Bread")
	if !strings.HasPrefix(reply, "550 ") || !strings.Contains(reply, "block list") {
		t.Errorf("%q", reply)
	}
	reference, page := n.pageOf(reply)
	whole, _ := n.pageOf(n.refusedAt("frank@friend.example", "ada@example.com", "please refuse"))

	// Who has no reference learns nothing; all that lead nowhere look alike.
	site := strings.TrimSuffix(page, "/r/"+reference)
	nothing := func(ref string) string {
		t.Helper()
		code, body := n.status(person(), http.MethodGet, site+"/r/"+ref, nil)
		if code != http.StatusNotFound {
			t.Errorf("%s: %d", ref, code)
		}
		return strings.ReplaceAll(body, ref, "REF")
	}
	forged := reference[:25] + map[bool]string{true: "1", false: "0"}[reference[25] != '1']
	if nothing(forged) != nothing("00000000000000000000000000") || nothing(forged) != nothing("nonsense") {
		t.Error("a forged reference looks different")
	}

	for lang, want := range map[string]string{"en": "does not take mail from this sender", "zh-CN": "不接收此发件人的邮件", "ru": "не принимает письма от этого отправителя", "el": "δεν δέχεται μηνύματα από αυτόν τον αποστολέα"} {
		b := n.browse(lang)
		b.do(navigate(page), visible("#text"))
		text := b.ask(`document.querySelector("main").textContent`)
		if !strings.Contains(text, want) || !strings.Contains(text, reference) || strings.Contains(text, "ada@example.com") || strings.Contains(text, "OWN_BLOCK") || strings.Contains(text, "Bread") {
			t.Errorf("%s: %s", lang, text)
		}
		b.picture(lang + "-refused")
		b.do(chromedp.EmulateViewport(390, 844), navigate(page), visible("#text"))
		b.picture(lang + "-refused-phone")
		b.do(navigate(site+"/r/"+forged), visible("#ref"))
		b.picture(lang + "-unknown")
	}
	b := n.browse("el")
	b.do(navigate(site+"/r"), visible("#ref"), keys("#ref", reply+"\n"), visible("#text"))
	b.do(keys("#text", "Είμαστε ο φούρνος. <script>alert(1)</script>"), keys("#email", "frank@example.com"), click("button.main"), visible(".said"))
	b.picture("asked")
	if text := b.ask(`document.querySelector("main").textContent`); !strings.Contains(text, "Ευχαριστούμε") || b.ask(`document.querySelectorAll("textarea").length`) != "0" {
		t.Error(text)
	}
	if code, _ := n.status(person(), http.MethodPost, page, url.Values{"text": {"again"}, "form": {"x"}}); code != http.StatusForbidden {
		t.Errorf("a form that is none: %d", code)
	}

	desk := n.browse("en")
	desk.signIn("olga")
	desk.do(navigate(desk.base+"/appeals"), visible("tr[data-row]"))
	desk.picture("list")
	desk.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"), visible("#answer"))
	desk.picture("appeal")
	desk.do(click(`a[href^="/trace/"].button`), visible("ol.way"), navigate(desk.base+"/appeals/"+reference), visible("#days"))
	// Their own entry stops the bakery whatever lets it through, so that one goes.
	desk.do(click(`form[action$="/unblock"] button`), absent(`form[action$="/unblock"]`))
	desk.do(click(`form[action$="/allow"] button`), visible(".said"))
	desk.picture("allowed")
	again := "From: Anna <anna@bakery.example>\r\nTo: <ada@example.com>\r\nSubject: Bread\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\nMessage-ID: <again@bakery.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello again.\r\n"
	if err := smtp.SendMail(n.Addrs["mx"], nil, "anna@bakery.example", []string{"ada@example.com"}, []byte(again)); err != nil {
		t.Errorf("let through, and refused: %v", err)
	}
	desk.do(keys("#answer", "Συγγνώμη, στείλτε ξανά."), keys("#note", "known bakery"), click(`button[value="granted"]`), absent("#answer"))
	desk.picture("granted")
	desk.do(chromedp.EmulateViewport(390, 844), navigate(desk.base+"/appeals/"+reference), visible("h1"))
	desk.picture("phone")
	desk.do(navigate(desk.base+"/appeals?view=granted"), visible("tr[data-row]"))
	desk.picture("list-phone")

	b.do(navigate(page), visible(".said"))
	b.picture("answered")
	if text := b.ask(`document.querySelector("main").textContent`); !strings.Contains(text, "έγινε δεκτό") || !strings.Contains(text, "Συγγνώμη, στείλτε ξανά.") || strings.Contains(text, "known bakery") {
		t.Error(text)
	}
	letter := string(waitMail(t, behind, "frank@example.com", 1)[0])
	if !strings.Contains(letter, "Auto-Submitted: auto-generated") || !strings.Contains(letter, "/r/"+reference) || strings.Contains(letter, "script") {
		t.Errorf("the letter:\n%s", letter)
	}
	for _, lang := range []string{"zh-CN", "ru", "el"} {
		desk := n.browse(lang)
		desk.signIn("olga")
		desk.do(navigate(desk.base+"/appeals?view=all"), visible("tr[data-row]"))
		desk.picture(lang + "-list")
		desk.do(click("a[data-open]"), visible("dl.facts"))
		desk.picture(lang + "-appeal")
	}
	if out := n.run("trace", whole); !strings.Contains(out, "please refuse") {
		t.Errorf("the desk does not find what the sender quotes: %s", out)
	}
	if out := n.run("audit", "list", "--json"); !strings.Contains(out, `"appeal-granted"`) || !strings.Contains(out, `"public page"`) {
		t.Error("the audit has nothing of it")
	}
}
