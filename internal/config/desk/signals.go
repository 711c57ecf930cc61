package desk

import (
	"fmt"
	"strings"

	"postern/internal/address"
	"postern/internal/strict"
)

// MaxTraps bounds the spam traps of a configuration.
const MaxTraps = 10_000

// Signals are what speaks against accounts besides their behaviour.
type Signals struct {
	Traps []string `yaml:"traps" json:"traps,omitempty" jsonschema:"description=spam traps: addresses that nobody has a reason to write to\\, or @domains; a local account that writes to one\\, or is reported by one\\, has hit it"`
}

// Trap is the trap that an address is, or "".
func (s Signals) Trap(addr string) string {
	addr = strings.ToLower(addr)
	for _, t := range s.Traps {
		if strings.EqualFold(t, addr) || strings.HasPrefix(t, "@") && strings.HasSuffix(addr, strings.ToLower(t)) {
			return strings.ToLower(t)
		}
	}
	return ""
}

func (s Signals) validate(d *strict.Document) {
	const at = "abuse.signals.traps"
	if len(s.Traps) > MaxTraps {
		d.Fail(at, "%d are too many, at most %d", len(s.Traps), MaxTraps)
		return
	}
	for i, t := range s.Traps {
		place := fmt.Sprintf("%s[%d]", at, i)
		if domain, ok := strings.CutPrefix(t, "@"); ok {
			if !address.ValidDomain(domain) {
				d.Fail(place, "%.100q is no domain", t)
			}
			continue
		}
		if p, err := address.Parse(t, false); err != nil || p.Domain == "" {
			d.Fail(place, "%.100q is no address and no @domain", t)
		}
	}
}
