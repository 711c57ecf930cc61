package intake

import (
	"strings"

	"postern/abuse/intake/feeds"
)

// Role is the local part whose mail the desk takes in every hosted domain (RFC 2142).
const Role = "abuse"

// Addresses says which recipients are the desk's.
type Addresses struct {
	// Hosted reports whether a domain is one we take mail for.
	Hosted func(domain string) bool
	// Own are further whole addresses: of the desk itself, of feedback loops.
	Own []string
	// Also reports further addresses that are made as one goes, such as those of cases; nil: none.
	Also func(address string) bool
}

// Take reports whether mail to an address is the desk's: in any case of letters, with any
// +tag.
func (a Addresses) Take(addr string) bool {
	local, domain := feeds.Base(addr)
	if local == "" || domain == "" {
		return false
	}
	if local == Role && a.Hosted != nil && a.Hosted(domain) {
		return true
	}
	for _, own := range a.Own {
		if l, d := feeds.Base(own); l == local && d == domain {
			return true
		}
	}
	return a.Also != nil && a.Also(strings.ToLower(addr))
}
