// Package rules judges: YAML alone says what the symbols of the checks are worth, which
// patterns of its own it looks for, and what a policy does at which score. A Set is pure
// after Load: the same report gets the same verdict.
package rules

import (
	"embed"
	"io/fs"
	"maps"
	"os"
	"slices"

	"postern/filter"

	"postern/internal/said"
	"postern/internal/strict"
	"postern/rules/book"
	"postern/rules/who"
)

//go:embed default/*.yaml
var defaults embed.FS

// Defaults are the files of rules that come with the program.
func Defaults() (fs.FS, error) { return fs.Sub(defaults, "default") }

// The nouns of the rule files, under the names others use.
type (
	Policy  = book.Policy
	Symbol  = book.Symbol
	Layer   = book.Layer
	Problem = strict.Error
)

// DefaultPolicy is the policy every other one starts from.
const DefaultPolicy = book.DefaultPolicy

// Set is a loaded rule set. It is safe for concurrent use.
type Set struct {
	book  *book.Book
	views []view // the patterns, by the view of the message they look at
}

// Load reads the embedded defaults and over them every *.yaml of the folders, in order. An
// empty folder name is passed over; a folder that is missing is an error. The error is a
// strict.Errors and names everything that is wrong with the files, each place once.
func Load(dirs ...string) (*Set, error) {
	var layers []Layer
	for _, dir := range dirs {
		if dir != "" {
			layers = append(layers, Layer{Name: dir, FS: os.DirFS(dir)})
		}
	}
	return LoadFS(layers...)
}

// LoadFS is Load over file systems.
func LoadFS(layers ...Layer) (*Set, error) {
	embedded, err := Defaults()
	if err != nil {
		return nil, err
	}
	return compile(append([]Layer{{Name: "default", FS: embedded}}, layers...))
}

func compile(layers []Layer) (*Set, error) {
	b, err := book.Read(layers...)
	if err != nil {
		return nil, err
	}
	s := &Set{book: b}
	if s.views, err = newViews(b); err != nil {
		return nil, err
	}
	return s, nil
}

// Book is the set as it was read. It is not to be changed.
func (s *Set) Book() *book.Book { return s.book }

// Revision names this rule set: 12 hex digits over all files read.
func (s *Set) Revision() string { return s.book.Revision }

// Policies are the names of all policies, sorted.
func (s *Set) Policies() []string { return slices.Sorted(maps.Keys(s.book.Policies)) }

// Policy returns a policy with everything it inherits; ok is false when there is none.
func (s *Set) Policy(name string) (p Policy, ok bool) {
	if found := s.book.Policies[name]; found != nil {
		return *found, true
	}
	return Policy{}, false
}

// policy is the policy to judge under; an unknown name judges as the default.
func (s *Set) policy(name string) *Policy {
	if p := s.book.Policies[name]; p != nil {
		return p
	}
	return s.book.Policies[DefaultPolicy]
}

// PolicyFor is the name of the policy of an inbound recipient: that of its address, else of
// the address without +tag, of its local part at any domain (postmaster@*), of its domain, of
// a parent domain (*@*.example.com), of *. A bare "postmaster" is one at any domain.
func (s *Set) PolicyFor(recipient string) string {
	if p, ok := who.Line(s.book.Recipients, recipient); ok {
		return p
	}
	return DefaultPolicy
}

// AccountPolicy is the name of the policy of an account that sends, found as PolicyFor does.
func (s *Set) AccountPolicy(account string) string {
	if p, ok := who.Line(s.book.Accounts, account); ok {
		return p
	}
	return DefaultPolicy
}

// Lists reports whether the lists of some policy name a file of these types, blanks between them.
func (s *Set) Lists(types string) bool {
	for _, p := range s.book.Policies {
		if p.Attachments.Action(types) != filter.Accept {
			return true
		}
	}
	return false
}

// Symbols are all symbols the set gives a worth to, by name.
func (s *Set) Symbols() []Symbol {
	var out []Symbol
	for _, name := range slices.Sorted(maps.Keys(s.book.Symbols)) {
		out = append(out, *s.book.Symbols[name])
	}
	return out
}

// Symbol returns what the set says about one symbol; ok is false when it knows none of that
// name.
func (s *Set) Symbol(name string) (sym Symbol, ok bool) {
	if found := s.book.Symbols[name]; found != nil {
		return *found, true
	}
	return Symbol{}, false
}

// Unknown returns those of the names that no rule gives a worth to, each once, sorted.
func (s *Set) Unknown(names ...string) []string {
	var out []string
	for _, n := range names {
		if s.book.Symbols[n] == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Check runs the tests that the patterns carry and returns what failed, in order of place.
func (s *Set) Check() []*Problem {
	var out strict.Errors
	for i := range s.views {
		out = append(out, s.views[i].check()...)
	}
	out.Sort()
	return out
}

func problem(at strict.Place, code, format string, pairs ...any) *Problem {
	return strict.NewError(at, said.Say(code, format, pairs...))
}
