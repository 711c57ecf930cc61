package rules

import "slices"

// Without is the set with some symbols switched off: they are looked for and shown, and count
// for nothing. Names that it does not know, and those whose action a policy sets, stay as they
// are. It has a revision of its own.
func (s *Set) Without(symbols []string) *Set {
	if b := s.book.Without(symbols); b != s.book {
		return &Set{book: b, views: s.views}
	}
	return s
}

// CanBeOff reports whether Without does something about a symbol.
func (s *Set) CanBeOff(symbol string) bool { return s.book.CanBeOff(symbol) }

// UsedBy are the composites that mention a symbol.
func (s *Set) UsedBy(symbol string) []string { return slices.Clone(s.book.Used[symbol]) }

// Tests counts the tests that Check runs.
func (s *Set) Tests() (n int) {
	for _, p := range s.book.Patterns {
		n += len(p.Hit) + len(p.Miss)
	}
	return n
}
