package setup

import (
	"fmt"
	"os"

	"postern/abuse/behaviour/geo"
	"postern/blocklist"
	"postern/filter/account"
	"postern/internal/config"
	"postern/rules"
)

// Beside reads the files that the configuration names: without those for lists and senders the
// server does not start, without those that tell where addresses are it knows less.
func Beside(cfg *config.Config) []error {
	var wrong []error
	for _, l := range ListConfigs(cfg) {
		if _, err := blocklist.NewLists([]blocklist.ListConfig{l}, blocklist.ListParts{}); err != nil {
			wrong = append(wrong, err)
		}
	}
	if f := cfg.Senders.File; f != "" {
		if err := account.CheckFile(f); err != nil {
			wrong = append(wrong, err)
		}
	}
	m := cfg.Abuse.Measures
	if err := geo.Check(geo.Paths{Country: m.GeoCountry, ASN: m.GeoASN}); err != nil {
		wrong = append(wrong, err)
	}
	return wrong
}

// UnknownSymbols names symbols of DNS lists that no rule gives a worth to: they would count
// for nothing.
func UnknownSymbols(cfg *config.Config, set *rules.Set) []string {
	var names []string
	for _, l := range cfg.Lists {
		for _, symbol := range l.Codes {
			names = append(names, symbol)
		}
	}
	var out []string
	for _, n := range set.Unknown(names...) {
		out = append(out, fmt.Sprintf("lists: no rule gives %s a score or an action, so it counts for nothing", n))
	}
	return out
}

// Rules reads the defaults and, where the folder exists, the operator's rules.
func Rules(dir string) (*rules.Set, error) {
	if dir == "" {
		return rules.Load()
	}
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return rules.Load()
	}
	return rules.Load(dir)
}
