package value_test

import (
	"strings"
	"testing"

	"postern/internal/config"
)

func TestLearning(t *testing.T) {
	many := "[" + strings.TrimSuffix(strings.Repeat("a.example, ", 51), ", ") + "]"
	for text, want := range map[string]string{
		"{}": "",
		"{keep: 100, aside: 2, domains: [a.example, b.example]}": "",
		"{keep: 99}":     "keep is between",
		"{keep: 100001}": "keep is between",
		"{aside: 1}":     "aside is 0",
		"{aside: 1001}":  "aside is 0",
		"{aside: 0, release: all, delete: desk, report: true, sender: 1, recipient: 1, auto: {on: true, ham: -3, spam: 20, ratio: 1}}": "",
		"{release: everybody}":              "release is none",
		"{delete: yes}":                     "delete is none",
		"{sender: 0}":                       "sender is between",
		"{recipient: 1001}":                 "recipient is between",
		"{auto: {ham: 1}}":                  "ham is between",
		"{auto: {spam: 4}}":                 "spam is between",
		"{auto: {ratio: 0}}":                "ratio is between",
		"{domains: [no domain]}":            "is no domain",
		"{domains: [a.example, a.example]}": "twice",
		"{domains: " + many + "}":           "51 domains",
	} {
		_, err := config.Parse("postern.yaml", []byte("learning: "+text+"\n"))
		said := ""
		if err != nil {
			said = err.Error()
		}
		wrong := strings.Contains(said, " is between") || strings.Contains(said, "aside is") || strings.Contains(said, " is none") || strings.Contains(said, "no domain") || strings.Contains(said, "twice")
		if wrong != (want != "") || !strings.Contains(said, want) {
			t.Errorf("%s: %q, want %q", text, said, want)
		}
	}
}
