package desk

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"postern/internal/people"
)

// TestLetters changes what a letter says, goes back, and writes to a reporter with snippets, in
// each language.
func TestLetters(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.user("lea", people.Lead)
	o.forwards("rcpt@isp.example", "I did not ask for this.", o.sells("rcpt@isp.example"))
	id := o.cases(1)[0]
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		b := o.browse(lang)
		b.signIn("lea")
		of, _, _ := strings.Cut(lang, "-")
		b.goTo("/templates", "tr[data-row]")
		b.picture(lang + "-templates")
		path := "/templates/" + of + "/result"
		b.goTo(path, "#editor")
		shipped := b.ask(`document.getElementById("body").value`)
		write := func(words string) {
			b.do(chromedp.Evaluate[chromedp.Void](`(() => { const e = document.getElementById("body"); e.value = ` + quoted(words) + `; e.dispatchEvent(new Event("input", {bubbles: true})) })()`))
		}
		write("One.\n\n{{.Mesure}}")
		b.do(visible(`#checked .problems`))
		b.says(".Mesure", "3:3")
		b.picture(lang + "-wrong")
		write(shipped + "\n{{.Ticket}} MARK-" + of)
		b.do(visible(`#checked .letter`))
		b.says("A-2026-000042 MARK-" + of)
		b.picture(lang + "-preview")
		b.do(keys("#note", "a mark"), click("#editor button.main"), visible(".said.good[role=status]"))
		b.says("lea", "a mark")
		b.picture(lang + "-saved")
		b.do(click(`aside a[href="`+path+`/1"]`), visible(".diff"))
		b.says("MARK-" + of)
		b.picture(lang + "-change")

		b.goTo("/snippets", "#title")
		b.do(keys("#title", "Thanks "+of), set("#language", of), keys("#short", "thx"), keys("#text", "Thank you for your patience."), click("form.card button.main"), visible("tr[data-row]"))
		b.says("Thanks "+of, ";thx")
		b.picture(lang + "-snippets")

		var draft struct{ ID, Body string }
		o.call("notice.draft", map[string]string{"case": id, "kind": "result", "language": of}, &draft)
		if !strings.Contains(draft.Body, "MARK-"+of) {
			t.Errorf("a draft does not say what the desk wrote: %s", draft.Body)
		}
		b.goTo("/cases/"+id+"/letters/"+draft.ID, "#body")
		b.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("body").value = ""`), chromedp.KeyEvent(";"), keys("#body", "A line. ;thx "))
		// The driver types a character even where the page took its key.
		if got := strings.Trim(b.ask(`document.getElementById("body").value`), "; "); got != "A line. Thank you for your patience." {
			t.Errorf("%s: typed, the snippet gives %q", lang, got)
		}
		b.picture(lang + "-letter")
		b.phone()
		for _, p := range []string{"/templates", path, path + "/1", "/snippets", "/cases/" + id + "/letters/" + draft.ID} {
			b.goTo(p, "main h1")
			if wide := b.ask(`document.documentElement.scrollWidth - window.innerWidth`); strings.TrimLeft(wide, "-0123456789") != "" || !strings.HasPrefix(wide, "-") && wide != "0" {
				t.Errorf("%s %s is %s wider than a phone", lang, p, wide)
			}
			b.picture(lang + "-phone")
		}
		b.goTo("/templates/"+of+"/result", "#editor")
		b.do(click(`#editor button[value=reset]`), visible(".said.good[role=status]"))
		if now := b.ask(`document.getElementById("body").value`); now != shipped {
			t.Errorf("%s: after going back it says %q", lang, now)
		}
	}
}
