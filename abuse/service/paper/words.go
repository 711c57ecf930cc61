package paper

import (
	"encoding/json"

	"postern/abuse/service/month"
)

// Languages are those a report can be printed in.
func Languages() []string { return []string{"en", "zh", "ru", "el"} }

// words are those of one language.
type words struct {
	Tag     string                 `json:"tag"` // of the page
	Head    map[string]string      `json:"head"`
	States  map[month.State]string `json:"states"`
	Figures map[string]string      `json:"figures"`
}

func languages() (out map[string]words, err error) {
	text, err := files.ReadFile("words.json")
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	return out, err
}
