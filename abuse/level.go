package abuse

import (
	"fmt"
	"strings"

	"postern/internal/said"
)

// Level is how far an account, or all of a domain, is restricted. The larger includes what the
// smaller ones forbid.
type Level uint8

// The levels.
const (
	M0 Level = iota // nothing is restricted; under a measure: watched
	M1              // throttled
	M2              // mail that leaves is held
	M3              // may not send; reading and receiving go on
	M4              // credentials reset, sessions ended
	M5              // login off
	M6              // the domain
	M7              // the end
)

// Watch and the others are the same levels by what they do.
const (
	Watch    = M0
	Throttle = M1
	Hold     = M2
	Suspend  = M3
	Reset    = M4
	LoginOff = M5
	Domain   = M6
	End      = M7
)

var levelWords = [...]string{"watch", "throttle", "hold", "suspend", "reset", "login-off", "domain", "end"}

// Valid reports whether it is a level.
func (l Level) Valid() bool { return int(l) < len(levelWords) }

// String is "M0" to "M7".
func (l Level) String() string { return fmt.Sprintf("M%d", uint8(l)) }

// Word is what the level does: "throttle".
func (l Level) Word() string {
	if !l.Valid() {
		return "unknown"
	}
	return levelWords[l]
}

// ParseLevel reads "M1", "1" or "throttle".
func ParseLevel(s string) (Level, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	for i, word := range levelWords {
		if l := Level(i); s == word || s == strings.ToLower(l.String()) || s == fmt.Sprint(i) {
			return l, nil
		}
	}
	return 0, said.Errorf("level.is-no-measure-m0-to-m7-or", "%q is no measure: M0 to M7, or one of %s", "s", s, "levelwords", strings.Join(levelWords[:], ", "))
}

// DomainName is the name of the record that holds for a whole domain.
func DomainName(domain string) string { return "@" + strings.ToLower(strings.TrimPrefix(domain, "@")) }

// Scope is what a record of this name is about: "account" or "domain".
func Scope(name string) string {
	if strings.HasPrefix(name, "@") {
		return "domain"
	}
	return "account"
}
