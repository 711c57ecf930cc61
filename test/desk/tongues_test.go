package desk

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/chromedp/chromedp"
)

// tongues compares what pages say in the other languages with what all pages said in English.
type tongues struct {
	t       *testing.T
	english map[string]string // a sentence, and the page that it stands on
	keys    *regexp.Regexp
}

// newTongues knows the names that keys of texts begin with.
func newTongues(t *testing.T) *tongues {
	t.Helper()
	files, err := os.ReadDir("../../internal/desk/words/lang/en")
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, f := range files {
		parts = append(parts, strings.TrimSuffix(f.Name(), ".json"))
	}
	return &tongues{t: t, english: map[string]string{}, keys: regexp.MustCompile(`(?:^|[\s("“:>])(?:` + strings.Join(parts, "|") + `)\.[a-z][A-Za-z0-9_-]+(?:$|[\s)"”.,;:<])`)}
}

// sentences are what the page says where somebody of ours wrote it: what strangers and machines
// wrote stands in bdi, in a fixed pitch, or says its own language.
const sentences = `(() => {
	const theirs = "script, style, template, textarea, pre, code, bdi, .mono, .letter[role=region], .diff, .problems, [lang]:not(html), #keys, #at"
	const shut = [...document.querySelectorAll("details:not([open])")]
	shut.forEach(d => d.open = true)
	const said = new Map(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
	for (let n; n = walk.nextNode();) {
		let e = n.parentElement
		if (e.closest(theirs) || !e.checkVisibility()) continue
		while (getComputedStyle(e).display.startsWith("inline")) e = e.parentElement
		said.set(e, (said.get(e) || "") + n.data)
	}
	const all = [document.title, ...said.values()]
	for (const a of ["title", "aria-label", "placeholder", "alt", "data-sure", "data-says", "data-move", "data-enter", "data-pick"])
		document.querySelectorAll("[" + a + "]").forEach(e => { if (!e.closest(theirs)) all.push(e.getAttribute(a)) })
	shut.forEach(d => d.open = false)
	return JSON.stringify(all)
})()`

// wide is what stands over the edge of the page with all of it unfolded, once layout has settled.
const wide = `new Promise(done => {
	const shut = [...document.querySelectorAll("details:not([open])")]
	shut.forEach(d => d.open = true)
	let left = 30
	const look = () => {
		const e = document.documentElement, over = e.scrollWidth - e.clientWidth
		if (over > 0 && left-- > 0) return requestAnimationFrame(look)
		const what = over <= 0 ? "" : over + " pixels: " + [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 8).map(e => e.tagName + "." + e.className + "#" + e.id).join(" ")
		shut.forEach(d => d.open = false)
		done(what)
	}
	requestAnimationFrame(look)
})`

// variable parts of sentences: what they are about.
var particulars = regexp.MustCompile(`[^\s()]+@[^\s()]+|\b[0-9a-z]{20,}\S*|\b[A-Z]{1,2}-\d{4}-\d+|\b[a-z0-9.-]+\.(?:example|com|yaml|d)\b|\d+`)

// data are texts of strangers, of operators and of rules that pages show in any language; so are
// the languages' own names for things that have one name.
var data = []*regexp.Regexp{
	regexp.MustCompile(`please hold|please refuse`),                                                              // subjects
	regexp.MustCompile(`^The subject asks to be (held|refused)`),                                                 // rules of the test
	regexp.MustCompile(`^(Mozilla|HeadlessChrome)|Chrome/|AppleWebKit|KHTML`),                                    // browsers
	regexp.MustCompile(`^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific)/`), // zones
	regexp.MustCompile(`^General Office of the State Council`),                                                   // where a calendar is from
	regexp.MustCompile(`^\[A-\d`),                                                                                // subjects of letters, in the reader's language
}

// reads judges the page that a browser shows: its texts, its width on a phone, and whether what
// is on it has moved by itself. The first pages to be read are those in English.
func (s *tongues) reads(b *browser, name string) {
	b.t.Helper()
	b.loaded()
	lang := b.ask("document.documentElement.lang")
	var moved float64
	if get(b, shifts, &moved); moved > still {
		b.t.Errorf("%s %s: what is on the page moves by itself: %.3f", lang, name, moved)
	}
	var all []string
	if err := json.Unmarshal([]byte(b.ask(sentences)), &all); err != nil {
		b.t.Fatal(err)
	}
	said := map[string]bool{}
	for _, text := range all {
		for _, sentence := range split(text) {
			said[sentence] = true
		}
	}
	for sentence := range said {
		s.judge(b.t, lang, name, sentence)
	}
	if os.Getenv("SCREENS") != "" {
		b.picture(lang + "-" + name)
	}
	var over string
	b.phone()
	if get(b, wide, &over); over != "" {
		b.t.Errorf("%s %s is wider than a phone by %s", lang, name, over)
		b.picture(lang + "-" + name + "-wide")
	}
	if os.Getenv("SCREENS") != "" {
		b.picture(lang + "-" + name + "-phone")
	}
	b.do(chromedp.EmulateViewport(1280, 800))
}

var sentenceEnd = regexp.MustCompile(`\n+|[.!?。！？]+(\s+|$)`)

func split(text string) (all []string) {
	for _, s := range sentenceEnd.Split(text, -1) {
		if s = strings.Join(strings.Fields(s), " "); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// judge fails the test where a sentence is a key, has an empty place, or is the English one.
func (s *tongues) judge(t *testing.T, lang, page, sentence string) {
	t.Helper()
	if m := s.keys.FindString(sentence); m != "" && !fileName.MatchString(m) {
		t.Errorf("%s %s shows a key: %s", lang, page, sentence)
	}
	if emptyPlace.MatchString(sentence) {
		t.Errorf("%s %s shows an empty place: %s", lang, page, sentence)
	}
	for _, d := range data {
		if d.MatchString(sentence) {
			return
		}
	}
	plain := particulars.ReplaceAllString(sentence, "#")
	letters := 0
	for _, c := range plain {
		if unicode.IsLetter(c) {
			letters++
		}
	}
	if letters <= 25 {
		return
	}
	if lang == "en" {
		s.english[plain] = page
	} else if of, ok := s.english[plain]; ok {
		t.Errorf("%s %s says in English, as %s does: %s", lang, page, of, sentence)
	}
}

var fileName = regexp.MustCompile(`rules\.d|\.yaml`)

var emptyPlace = regexp.MustCompile(`\{[a-z]+\}|%!|<no value>|map\[`)

// leaves acts on the page in a way that leads to another one, and waits until that is whole.
func (b *browser) leaves(actions ...act) {
	b.t.Helper()
	b.loaded()
	b.ask(`window.wasHere = true`)
	b.do(actions...)
	b.until("another page", `!window.wasHere && document.readyState === "complete" && document.querySelector("h1, #password")`)
}

// press clicks what leads to another page, and gives the password where that asks for it.
func (b *browser) press(what string) {
	b.t.Helper()
	b.leaves(chromedp.Click(what))
	if b.ask(`!!`+asks) == "true" {
		b.leaves(chromedp.SendKeys(`input[name="confirm-password"]`, password+"\n"))
	}
}

// fill writes into fields, by selector; what a select offers is chosen.
func (b *browser) fill(pairs ...string) {
	b.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		b.do(chromedp.WaitVisible(pairs[i]), chromedp.SetValue(pairs[i], pairs[i+1]))
	}
}

// unfold opens all that is folded.
func (b *browser) unfold() {
	b.t.Helper()
	b.ask(`document.querySelectorAll("details:not(.taste)").forEach(d => d.open = true)`)
}

// speak chooses a language on the page.
func (b *browser) speak(lang string) {
	b.t.Helper()
	if b.ask("document.documentElement.lang") == lang {
		return
	}
	b.do(chromedp.Click("details.taste summary"))
	b.leaves(chromedp.Click(`button[name=language][value="` + lang + `"]`))
	if got := b.ask("document.documentElement.lang"); got != lang {
		b.t.Fatalf("%s was chosen, the page is in %s", lang, got)
	}
}
