package held_test

import (
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"postern/internal/desk/words"
	"postern/rules"
)

func book(t *testing.T) *words.Book {
	t.Helper()
	b, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// scripts are the letters that a sentence of each language has: one left in English has none.
var scripts = map[string]*unicode.RangeTable{"en": unicode.Latin, "zh-CN": unicode.Han, "ru": unicode.Cyrillic, "el": unicode.Greek}

// TestEverySymbolHasASentence wants each symbol of the default rules said in every language, each
// in words of its own. test/golden demands that the default rules know what the checks raise.
func TestEverySymbolHasASentence(t *testing.T) {
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	symbols := set.Symbols()
	if len(symbols) < 250 {
		t.Fatalf("only %d symbols", len(symbols))
	}
	b := book(t)
	for _, name := range b.Languages() {
		l, _ := b.Language(name)
		if scripts[name] == nil {
			t.Fatalf("which letters has %s?", name)
		}
		said := map[string]string{}
		for _, sym := range symbols {
			text, ok := b.Reason(l, sym.Name, sym.Describe)
			switch {
			case !ok:
				t.Errorf("%s: %s has no sentence, or the English one is not the rule's: %q", name, sym.Name, sym.Describe)
			case said[text] != "":
				t.Errorf("%s: %s and %s say the same: %q", name, said[text], sym.Name, text)
			case !strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(scripts[name], r) }):
				t.Errorf("%s: %s is in another language: %q", name, sym.Name, text)
			case strings.TrimSpace(text) != text || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "。"):
				t.Errorf("%s: %s ends otherwise than the others: %q", name, sym.Name, text)
			}
			said[text] = sym.Name
		}
	}
}

// TestNoSentenceWithoutASymbol finds what is left behind by a rule that went or was renamed. That
// the other languages have the keys of the default one is tested with the words.
func TestNoSentenceWithoutASymbol(t *testing.T) {
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("../words/lang/" + words.Default + "/symbols.json")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]string
	if err := json.Unmarshal(raw, &texts); err != nil {
		t.Fatal(err)
	}
	if unknown := set.Unknown(slices.Collect(maps.Keys(texts))...); len(unknown) > 0 {
		t.Errorf("no rule knows %s", strings.Join(unknown, ", "))
	}
}

// TestOwnRulesSpeakForThemselves has an operator's rules over the defaults: a symbol of their own,
// as one that a list of theirs raises, and a default one told otherwise stand as written, in any
// language; one that only weighs something else is still translated.
func TestOwnRulesSpeakForThemselves(t *testing.T) {
	own := fstest.MapFS{"own.yaml": {Data: []byte(`symbols:
  RBL_MINE: {score: 2, describe: The host is on our list}
  DKIM_FAIL: {score: 1, describe: Our own words about a signature}
  SPF_FAIL: {score: 4}
`)}}
	set, err := rules.LoadFS(rules.Layer{Name: "own", FS: own})
	if err != nil {
		t.Fatal(err)
	}
	q := newQuarantine()
	var reasons []any
	for _, name := range []string{"RBL_MINE", "DKIM_FAIL", "SPF_FAIL", "RBL_UNSAID"} {
		sym, _ := set.Symbol(name) // of the last one the rules know nothing
		reasons = append(reasons, map[string]any{"symbol": name, "score": 100, "describe": sym.Describe})
	}
	q.holds["hold-0"]["reasons"] = reasons
	h := desk(t, q)
	b := book(t)
	for _, name := range b.Languages() {
		l, _ := b.Language(name)
		w := ask(h, name, http.MethodGet, "/held/hold-0", nil)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", name, w.Code)
		}
		shown := html.UnescapeString(w.Body.String())
		for _, want := range []string{"<td>The host is on our list", "<td>Our own words about a signature", "<td>" + l.Say("symbols.SPF_FAIL"), "<td>RBL_UNSAID"} {
			if !strings.Contains(shown, want) {
				t.Errorf("%s: the page has no %q", name, want)
			}
		}
		if strings.Contains(shown, l.Say("symbols.DKIM_FAIL")) {
			t.Errorf("%s: the page says of DKIM_FAIL what the rules in force do not", name)
		}
	}
}
