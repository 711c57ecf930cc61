package paper

import "testing"

// Each language says all that English says.
func TestNoWordIsMissing(t *testing.T) {
	all, err := languages()
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range Languages() {
		w := all[language]
		for key := range all["en"].Head {
			if w.Head[key] == "" {
				t.Errorf("%s: %s", language, key)
			}
		}
		for key := range all["en"].Figures {
			if w.Figures[key] == "" {
				t.Errorf("%s: %s", language, key)
			}
		}
		for key := range all["en"].States {
			if w.States[key] == "" {
				t.Errorf("%s: %s", language, key)
			}
		}
	}
}
