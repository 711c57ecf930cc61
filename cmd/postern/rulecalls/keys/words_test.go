package keys_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"postern/cmd/postern/rulecalls/keys"
	"postern/internal/config"
	"postern/internal/desk/words"
)

// TestEveryKeyIsSaidInEveryLanguage holds the words of the desk against the keys that may stand in
// the operator's files: none is left in English, and no words are left of keys that went.
func TestEveryKeyIsSaidInEveryLanguage(t *testing.T) {
	b, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	meant := map[string]bool{}
	for _, kind := range []string{"rules", "calendar", "config"} {
		all, err := keys.Of(kind)
		if err != nil || len(all) == 0 {
			t.Fatal(kind, err)
		}
		for _, k := range all {
			meant[k.Describe] = true
			for _, name := range b.Languages() {
				l, _ := b.Language(name)
				if said := b.Help(l, k.Describe); k.Describe != "" && (said == k.Describe) != (name == words.Default) {
					t.Errorf("%s: %s %s is said as %q", name, kind, k.Path, said)
				}
			}
		}
	}
	raw, err := os.ReadFile("../../../../internal/desk/words/lang/en/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]string
	if err := json.Unmarshal(raw, &texts); err != nil {
		t.Fatal(err)
	}
	schema, err := config.Schema() // it says of the items of a list what no key says
	if err != nil {
		t.Fatal(err)
	}
	for key, text := range texts {
		if !meant[text] && !strings.Contains(string(schema), `"description":"`+text+`"`) {
			t.Errorf("%s: no key means %q any more", key, text)
		}
	}
}
