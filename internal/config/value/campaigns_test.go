package value_test

import (
	"strings"
	"testing"

	"postern/internal/config"
)

func TestCampaigns(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                   "",
		"{on: false, keep: 30d, delete: none}": "",
		"{burst: {messages: 0, sources: 2, window: 1m}}":       "",
		"{burst: {messages: 100000, sources: 60, window: 1d}}": "",
		"{keep: 23h}":                 "keep is between",
		"{keep: 61d}":                 "keep is between",
		"{delete: all}":               "delete is none or desk",
		"{burst: {messages: -1}}":     "messages is between",
		"{burst: {messages: 100001}}": "messages is between",
		"{burst: {sources: 1}}":       "sources is between",
		"{burst: {sources: 61}}":      "sources is between",
		"{burst: {window: 59s}}":      "window is between",
		"{burst: {window: 25h}}":      "window is between",
	} {
		_, err := config.Parse("postern.yaml", []byte("campaigns: "+text+"\n"))
		said := ""
		if err != nil {
			said = err.Error()
		}
		wrong := false
		for _, key := range []string{"keep", "delete", "messages", "sources", "window"} {
			wrong = wrong || strings.Contains(said, key+" is ")
		}
		if wrong != (want != "") || !strings.Contains(said, want) {
			t.Errorf("%s: %q, want %q", text, said, want)
		}
	}
}
