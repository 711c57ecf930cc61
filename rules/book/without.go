package book

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"postern/filter"
)

// Without is the book with some symbols worth nothing, and a revision that says so. Names that
// it does not know, and those whose action a policy sets, stay as they are.
func (b *Book) Without(symbols []string) *Book {
	off := slices.Compact(slices.Sorted(slices.Values(symbols)))
	off = slices.DeleteFunc(off, func(name string) bool { return !b.CanBeOff(name) })
	if len(off) == 0 {
		return b
	}
	out := *b
	out.Symbols = maps.Clone(b.Symbols)
	for _, name := range off {
		s := *b.Symbols[name]
		s.Score, s.Action, s.Rcpt = 0, filter.Accept, false
		out.Symbols[name] = &s
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s without %q", b.Revision, off))
	out.Revision = hex.EncodeToString(sum[:6])
	return &out
}

// CanBeOff reports whether Without does something about a symbol.
func (b *Book) CanBeOff(symbol string) bool {
	_, policy := PolicyDecides(symbol)
	return !policy && b.Symbols[symbol] != nil
}
