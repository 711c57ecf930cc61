package seal

import (
	"strings"

	"postern/internal/canon"
)

// AsTheSuite makes s write what valimail's suite expects to the octet: tags in alphabetical
// order, nothing folded, the fields of h= given.
func (s *Sealer) AsTheSuite(fields string) {
	s.layout = layout{
		message: []string{"a", "b", "bh", "c", "d", "h", "i", "s", "t"},
		seal:    []string{"a", "b", "cv", "d", "i", "s", "t"},
		names:   func(*canon.Header) []string { return strings.Split(fields, ":") },
		oneLine: true,
	}
}
