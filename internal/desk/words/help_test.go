package words_test

import (
	"encoding/json"
	"os"
	"testing"
	"unicode"

	"postern/internal/desk/words"
)

// schema is what is read of the schema of the configuration.
type schema struct {
	Description string            `json:"description"`
	Properties  map[string]schema `json:"properties"`
	Defs        map[string]schema `json:"$defs"`
}

func (s schema) all(to map[string]bool) {
	if s.Description != "" {
		to[s.Description] = true
	}
	for _, of := range []map[string]schema{s.Properties, s.Defs} {
		for _, x := range of {
			x.all(to)
		}
	}
}

// TestEveryKeyOfTheConfigurationIsSaid holds the words against the schema, in all languages.
func TestEveryKeyOfTheConfigurationIsSaid(t *testing.T) {
	raw, err := os.ReadFile("../../../docs/postern.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	if err := json.Unmarshal(raw, &root); err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	root.all(all)
	if len(all) < 150 {
		t.Fatalf("only %d keys say what they mean", len(all))
	}
	b, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	for name, letters := range map[string]*unicode.RangeTable{"zh-CN": unicode.Han, "ru": unicode.Cyrillic, "el": unicode.Greek} {
		l, _ := b.Language(name)
		for english := range all {
			said, own := b.Help(l, english), 0
			for _, r := range said {
				if unicode.Is(letters, r) {
					own++
				}
			}
			if said == english || own == 0 {
				t.Errorf("%s: %q is said as %q", name, english, said)
			}
		}
	}
	en, _ := b.Language(words.Default)
	if got := b.Help(en, "something else"); got != "something else" {
		t.Errorf("%q", got)
	}
}
