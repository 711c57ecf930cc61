// Package search builds the conditions under which rows of mail are found: by sender,
// recipient and words.
package search

import (
	"strings"

	"postern/quarantine/search"
)

// Clause collects the conditions of a search.
type Clause struct {
	where []string
	Args  []any
}

// And adds a condition and its arguments.
func (c *Clause) And(cond string, args ...any) {
	c.where = append(c.where, cond)
	c.Args = append(c.Args, args...)
}

// String is the WHERE clause, "" without a condition.
func (c *Clause) String() string {
	if len(c.where) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(c.where, " AND ")
}

// Sender asks for the sender of a row of table: an address, "@domain", or "<>" for the null
// sender; "" asks for nothing.
func (c *Clause) Sender(table, from string) {
	from = strings.ToLower(from)
	switch {
	case from == "":
	case from == "<>":
		c.And(table + ".sender = ''")
	case strings.HasPrefix(from, "@"):
		c.And(table+".domain = ?", from[1:])
	default:
		c.And(table+".sender = ?", from)
	}
}

// Words asks for all words; ok is false when words were asked for and none of them
// holds a letter or digit.
func (c *Clause) Words(cond string, words []string) (ok bool) {
	if len(words) == 0 {
		return true
	}
	match := Match(words)
	if match == "" {
		return false
	}
	c.And(cond, match)
	return true
}

// Match asks an index of words for all words; "" when none of them holds a letter or digit.
func Match(words []string) string {
	var match []string
	for _, t := range search.Wanted(words) {
		m := `"` + t.Text + `"` // a term is letters and digits: nothing to escape
		if t.Prefix {
			m += "*"
		}
		match = append(match, m)
	}
	return strings.Join(match, " AND ")
}

// AddressKeys are the keys under which recipients are found: each address and its "@domain".
func AddressKeys(to []string) []string {
	var out []string
	for _, a := range to {
		a = strings.ToLower(a)
		out = append(out, a)
		if d := Domain(a); d != "" {
			out = append(out, "@"+d)
		}
	}
	return out
}

// Domain is what stands behind the last @ of an address, or "".
func Domain(addr string) string {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return ""
	}
	return addr[i+1:]
}

// Index is the text that a column of words holds for a subject.
func Index(subject string) string { return strings.Join(search.Terms(subject), " ") }
