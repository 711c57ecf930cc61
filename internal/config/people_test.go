package config_test

import (
	"strings"
	"testing"

	"postern/internal/config"
)

func TestPeople(t *testing.T) {
	for text, want := range map[string]string{
		`people: ["Ada Lovelace", "李 明"]`:                                          "",
		`people: ["Ada"]`:                                                          ":6:10: \"Ada\" is no full name",
		`people: ["Ada Lovelace", "Ada"]`:                                          ":6:26: \"Ada\" is no full name",
		`people: ["Ada <ada@example.com>"]`:                                        "is an address",
		`people: ["` + strings.Repeat("Ada ", 60) + `"]`:                           "at most 200",
		`people: [` + strings.Repeat(`"Ada Lovelace", `, config.MaxPeople+1) + `]`: "at most 10000",
	} {
		_, err := loadInbox(t, "routes: {example.com: {backend: mail}}\n"+text+"\n")
		said := ""
		if err != nil {
			said = err.Error()
		}
		if want == "" && said != "" || !strings.Contains(said, want) {
			t.Errorf("%.60s: %q, wanted %q", text, said, want)
		}
	}
}
