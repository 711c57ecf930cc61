// Package rules judges: YAML alone says what the symbols of the checks are worth, which
// patterns of its own it looks for, and what a policy does at which score. A Set is pure
// after Load: the same report gets the same verdict.
package rules

import (
	"context"
	"io"
	"io/fs"

	"postern/filter"
	"postern/rules/book"
)

// Policy is how strictly the mail of some recipients or accounts is judged.
type Policy = book.Policy

// Symbol is what one observation is worth.
type Symbol = book.Symbol

// Problem is one thing wrong with a rule file and where.
type Problem struct {
	File         string
	Line, Column int
	Message      string
}

// Set is a loaded rule set.
type Set struct{}

// Load reads the embedded defaults and over them every *.yaml of the folders, in order. An
// empty folder name is passed over; a folder that is missing is an error. The error names
// everything wrong with the files at once, up to 50 places.
func Load(dirs ...string) (*Set, error) { return LoadFS() }

// Layer is a folder of rule files; Name stands before file names in messages.
type Layer struct {
	Name string
	FS   fs.FS
}

// LoadFS is Load over file systems.
func LoadFS(layers ...Layer) (*Set, error) { return &Set{}, nil }

// Judge implements filter.Judge. An unknown policy name judges as "default".
func (s *Set) Judge(m *filter.Message, r filter.Report, policy string) filter.Verdict {
	return filter.Verdict{}
}

// Patterns is the check that looks for the set's patterns in a message.
func (s *Set) Patterns() filter.Check {
	return filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) { return nil, nil })
}

// Revision names this rule set: 12 hex digits over all files read.
func (s *Set) Revision() string { return "" }

// Policies are the names of all policies, sorted.
func (s *Set) Policies() []string { return nil }

// Policy returns a policy with everything it inherits; ok is false when there is none.
func (s *Set) Policy(name string) (p Policy, ok bool) { return Policy{}, false }

// PolicyFor is the name of the policy of an inbound recipient: that of its address, else of
// the address without +tag, else of its domain, else of "*".
func (s *Set) PolicyFor(address string) string { return "default" }

// AccountPolicy is the name of the policy of an account that sends.
func (s *Set) AccountPolicy(account string) string { return "outgoing" }

// Symbols are all symbols the set gives a worth to, by name.
func (s *Set) Symbols() []Symbol { return nil }

// Unknown returns those of the names that no rule gives a worth to.
func (s *Set) Unknown(names ...string) []string { return nil }

// Check runs the tests that patterns carry and returns what failed.
func (s *Set) Check() []Problem { return nil }

// Explain writes all there is to know about a symbol. The error says it is unknown and what
// was perhaps meant.
func (s *Set) Explain(w io.Writer, symbol string) error { return nil }

// Document writes the reference of all symbols as Markdown.
func (s *Set) Document(w io.Writer) error { return nil }
