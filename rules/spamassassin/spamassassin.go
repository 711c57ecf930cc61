// Package spamassassin turns the rules of SpamAssassin's *.cf files into rule files of ours:
// patterns and composites. What cannot be turned is named with its place and the reason.
package spamassassin

import (
	"cmp"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"postern/rules/spamassassin/cf"
)

// Prefix stands before the name of every symbol that is made, to keep them apart from ours.
const Prefix = "SA_"

// Options say what is taken.
type Options struct {
	Column int    // of the four scores: 0 no network, no Bayes; 1 network; 2 Bayes; 3 both
	Lang   string // of the descriptions; "" = en
}

// Entry is what became of one rule.
type Entry struct {
	Rule   string   `json:"rule"`
	Symbol string   `json:"symbol,omitempty"`
	Kind   string   `json:"kind"`
	File   string   `json:"file"`
	Line   int      `json:"line"`
	Reason string   `json:"reason,omitempty"` // why it was not taken
	Notes  []string `json:"notes,omitempty"`  // where it differs
}

// Passed is a directive that is no rule and was passed over.
type Passed struct {
	Directive string `json:"directive"`
	Count     int    `json:"count"`
	File      string `json:"file"` // the first
	Line      int    `json:"line"`
}

// Report says what became of all rules, each list by place.
type Report struct {
	Taken    []Entry  `json:"taken"`    // as they are
	Differ   []Entry  `json:"differ"`   // taken, with a difference that is said
	Refused  []Entry  `json:"refused"`  // what cannot be said in our rules
	Off      []Entry  `json:"off"`      // scored 0 or in need of the network: they fire here as little as there
	Odd      []Entry  `json:"odd"`      // lines not understood
	Passed   []Passed `json:"passed"`   // other directives
	Rounded  int      `json:"rounded"`  // scores with more than two places
	Patterns int      `json:"patterns"` // written, helpers among them
	Composed int      `json:"composed"` // composites written
}

// Result is what an import made.
type Result struct {
	Files  map[string][]byte // name -> YAML, one for each source that had something to take
	Report Report
}

// Import reads the *.cf of a folder. The error is that of reading.
func Import(dir fs.FS, o Options) (*Result, error) {
	conf, err := cf.Read(dir, cmp.Or(o.Lang, "en"))
	if err != nil {
		return nil, err
	}
	im := &importer{conf: conf, column: o.Column, made: map[string]*made{}, symbols: map[string]string{}}
	all := maps.Clone(conf.Rules)
	maps.Copy(all, conf.Lacking)
	ordered := slices.SortedFunc(maps.Values(all), func(a, b *cf.Rule) int { return compare(a.Place, b.Place) })
	for _, r := range ordered {
		im.make(r.Name)
	}
	res := &Result{Report: im.report(ordered)}
	res.Files = im.files(ordered, &res.Report)
	return res, nil
}

func compare(a, b cf.Place) int {
	return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
}

// importer makes rules of ours, each when it is first asked for.
type importer struct {
	conf    *cf.Conf
	column  int
	made    map[string]*made
	symbols map[string]string // symbol -> rule
}

// made is what a rule became.
type made struct {
	symbol   string
	off      string // why it never fires, there as here
	reason   string // why it was not taken
	notes    []string
	patterns []pattern
	when     string       // of a composite
	max      int          // how often it may count
	times    map[int]bool // how often conditions ask for it
	busy     bool         // it is being made: a condition that asks for it is a circle
}

// pattern is one of ours.
type pattern struct {
	id, in, match string
}

func (m *made) taken() bool { return m.off == "" && m.reason == "" && !m.busy }

// make makes a rule of ours out of the rule of that name; nil when there is none.
func (im *importer) make(name string) *made {
	if m := im.made[name]; m != nil {
		return m
	}
	r := im.conf.Rules[name]
	if r == nil {
		r = im.conf.Lacking[name]
	}
	if r == nil {
		return nil
	}
	m := &made{symbol: Prefix + strings.ToUpper(name), busy: true, max: 1, times: map[int]bool{}}
	im.made[name] = m
	switch flags := im.conf.Flags[name]; {
	case slices.Contains(flags, "net"):
		m.off = "asks the network"
	case slices.Contains(flags, "learn"), slices.Contains(flags, "userconf"):
		m.off = "is of what was learned or configured"
	case im.score(name) == 0:
		m.off = "scores 0"
	case r.Skipped != "":
		m.reason = r.Skipped
	case len(m.symbol) > maxSymbol:
		m.reason = "its name is too long"
	case im.symbols[m.symbol] != "":
		m.reason = "its name differs from " + im.symbols[m.symbol] + " by capitals alone"
	default:
		im.symbols[m.symbol] = name
		im.translate(r, m)
	}
	m.busy = false
	return m
}

// maxSymbol leaves room for what is appended to the names of helpers.
const maxSymbol = 60

// score is what a rule is worth; of a part of others it only says that it is not off.
func (im *importer) score(name string) float64 {
	s, ok := im.conf.Scores[name]
	switch {
	case ok:
		return s[im.column]
	case strings.HasPrefix(name, "T_"):
		return 0.01
	case slices.Contains(im.conf.Flags[name], "nice"):
		return -1
	}
	return 1
}
