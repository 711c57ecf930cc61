package book

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/filter"
	"postern/internal/said"
	"postern/internal/strict"
	"postern/rules/expr"
	"postern/rules/look"
	"postern/rules/pattern"
)

// maxDescribe bounds the sentence of a rule, maxMatch an expression, in bytes; maxTimes how
// often one may have to match.
const (
	maxDescribe = 200
	maxMatch    = 8 << 10
	maxTimes    = 100
)

// merger builds a book out of files, layer by layer.
type merger struct {
	book     *Book
	errs     strict.Errors
	current  int
	written  map[string]map[string]strict.Place // section -> name -> where this layer wrote it
	layerOf  map[string]int                     // symbol -> layer that brought it
	patterns map[string]*Pattern
	combined map[string]*Composite
	policies map[string]*policyEntry
	mapped   map[string]mapping // "recipients sales@example.com" -> what to check
	unlessAt map[string][]strict.Place
}

// mapping is a line of recipients or accounts.
type mapping struct {
	policy string
	place  strict.Place
}

func newMerger() *merger {
	return &merger{
		book: &Book{Symbols: map[string]*Symbol{}, Policies: map[string]*Policy{}, Recipients: map[string]string{},
			Accounts: map[string]string{}, Used: map[string][]string{}},
		layerOf: map[string]int{}, patterns: map[string]*Pattern{}, combined: map[string]*Composite{},
		policies: map[string]*policyEntry{}, mapped: map[string]mapping{}, unlessAt: map[string][]strict.Place{},
	}
}

func (m *merger) fail(at strict.Place, code, format string, pairs ...any) {
	m.errs = append(m.errs, strict.NewError(at, said.Say(code, format, pairs...)))
}

func (m *merger) layer(i int) {
	m.current = i
	m.written = map[string]map[string]strict.Place{}
}

// file decodes one file and merges what it says.
func (m *merger) file(name string, src []byte) {
	var f file
	d := strict.Decode(name, src, &f)
	m.symbols(d, f.Symbols)
	for i := range f.Patterns {
		m.pattern(d, fmt.Sprintf("patterns[%d]", i), &f.Patterns[i])
	}
	for i := range f.Composites {
		m.composite(d, fmt.Sprintf("composites[%d]", i), &f.Composites[i])
	}
	m.policySection(d, f.Policies)
	m.mappings(d, "recipients", f.Recipients, m.book.Recipients)
	m.mappings(d, "accounts", f.Accounts, m.book.Accounts)
	m.take(d)
}

// take moves a document's errors into the list.
func (m *merger) take(d *strict.Document) {
	var errs strict.Errors
	if errors.As(d.Err(), &errs) {
		m.errs = append(m.errs, errs...)
	}
}

// once reports a name that one layer writes twice.
func (m *merger) once(section, name string, at strict.Place) bool {
	if m.written[section] == nil {
		m.written[section] = map[string]strict.Place{}
	}
	if before, twice := m.written[section][name]; twice {
		m.fail(at, "rule.is-written-twice-first-at", "%s is written twice, first at %s", "name", name, "before", before)
		return false
	}
	m.written[section][name] = at
	return true
}

func (m *merger) symbols(d *strict.Document, all map[string]*worth) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		path := "symbols[" + name + "]"
		at := d.At(path)
		w := all[name]
		switch {
		case !expr.ValidName(name):
			d.Fault(path, "rule.cannot-name-a-symbol-capitals-digits-and", "%q cannot name a symbol: capitals, digits and _, a capital first, 2 to %d characters", "name", clip(name), "most", expr.MaxName)
			continue
		case !m.once("symbols", name, at):
			continue
		case w == nil:
			d.Fault(path, "rule.has-no-value", "%s has no value", "name", name)
			continue
		}
		hollow(d, path, w)
		old := m.book.Symbols[name]
		if old != nil && old.Kind != FromCheck && m.layerOf[name] == m.current {
			d.Fault(path, "rule.is-a-already-at-its-score-belongs", "%s is a %s already, at %s; its score belongs there", "name", name, "kind", old.Kind, "place", old.Place)
			continue
		}
		m.worth(d, path, name, FromCheck, w)
	}
}

// worth merges the shared keys of a symbol over what earlier layers said.
func (m *merger) worth(d *strict.Document, path, name string, kind Kind, w *worth) {
	s := m.book.Symbols[name]
	if s == nil {
		s = &Symbol{Name: name, Kind: kind, Place: d.At(path + ".id")}
		m.book.Symbols[name] = s
		m.layerOf[name] = m.current
	}
	if w.Score != nil {
		s.Score = filter.Score(*w.Score)
	}
	if w.Action != nil {
		s.Action = m.action(d, path, s, *w.Action)
	}
	if w.Stage != nil {
		m.stage(d, path, s, *w.Stage)
	}
	if w.Unless != nil {
		s.Unless, m.unlessAt[name] = *w.Unless, nil
		for i := range s.Unless {
			m.unlessAt[name] = append(m.unlessAt[name], d.At(fmt.Sprintf("%s.unless[%d]", path, i)))
		}
	}
	if w.Describe != nil {
		s.Describe = strings.TrimSpace(*w.Describe)
		checkDescribe(d, path+".describe", s.Describe)
	}
}

func (m *merger) action(d *strict.Document, path string, s *Symbol, word string) filter.Action {
	if key, ok := PolicyDecides(s.Name); ok {
		d.Fault(path+".action", "rule.the-action-of-is-set-by-each", "the action of %s is set by each policy's %s", "name", s.Name, "key", key)
		return s.Action
	}
	oneOf(d, path+".action", &word, "accept", "tag", "quarantine", "defer", "reject")
	a, _ := filter.ParseAction(word)
	return a
}

func (m *merger) stage(d *strict.Document, path string, s *Symbol, word string) {
	switch {
	case s.Kind == IsPattern:
		d.Fault(path+".stage", "rule.a-pattern-sees-the-message-only-after", "a pattern sees the message only after DATA")
	case word != "rcpt":
		d.Fault(path+".stage", "rule.expected-rcpt-found", "expected rcpt; found %q", "word", clip(word))
	default:
		s.Rcpt = true
	}
}

func (m *merger) quiet(name string, word *bool) {
	if word != nil {
		m.book.Symbols[name].Quiet = *word
	}
}

func checkDescribe(d *strict.Document, path, text string) {
	switch {
	case text == "":
		d.Fault(path, "rule.the-sentence-is-empty", "the sentence is empty")
	case len(text) > maxDescribe:
		d.Fault(path, "rule.the-sentence-has-bytes-at-most-are", "the sentence has %d bytes; at most %d are shown", "n", len(text), "most", maxDescribe)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		d.Fault(path, "rule.the-sentence-holds-a-line-break-or", "the sentence holds a line break or control character")
	}
}

// claim finds or refuses the name of a pattern or composite; known tells that an earlier
// layer has it.
func (m *merger) claim(d *strict.Document, path, section string, kind Kind, id *string) (name string, known, ok bool) {
	if id == nil {
		if !d.Has(path + ".id") {
			d.Fault(path, "rule.has-no-id", "has no id")
		}
		return "", false, false
	}
	name = *id
	at := d.At(path + ".id")
	if !expr.ValidName(name) {
		d.Fault(path+".id", "rule.cannot-name-a-symbol-capitals-digits-and", "%q cannot name a symbol: capitals, digits and _, a capital first, 2 to %d characters", "name", clip(name), "most", expr.MaxName)
		return "", false, false
	}
	if !m.once(section, name, at) {
		return "", false, false
	}
	old := m.book.Symbols[name]
	if old != nil && (old.Kind != kind || m.layerOf[name] == m.current) {
		d.Fault(path+".id", "rule.is-a-s-symbol-already-at", "%s is a %s's symbol already, at %s", "name", name, "kind", old.Kind, "place", old.Place)
		return "", false, false
	}
	return name, old != nil, true
}

func (m *merger) pattern(d *strict.Document, path string, e *patternEntry) {
	hollow(d, path, e)
	name, known, ok := m.claim(d, path, "patterns", IsPattern, e.ID)
	if !ok {
		return
	}
	p := m.patterns[name]
	if !known || p == nil {
		p = &Pattern{ID: name, Place: d.At(path + ".id")}
		m.patterns[name] = p
		m.book.Patterns = append(m.book.Patterns, p)
		require(d, path, name, map[string]bool{"in": e.In != nil, "match": e.Match != nil})
	}
	m.worth(d, path, name, IsPattern, e.worth())
	m.quiet(name, e.Quiet)
	if e.In != nil {
		p.In, p.Header = where(d, path+".in", *e.In)
	}
	if e.Times != nil {
		if p.Times = *e.Times; p.Times < 1 || p.Times > maxTimes {
			d.Fault(path+".times", "rule.expected-1-to-found", "expected 1 to %d; found %d", "most", maxTimes, "times", p.Times)
		}
	}
	if e.Match != nil {
		p.Match = *e.Match
		p.Hit, p.Miss = nil, nil // the tests of an earlier layer belong to its expression
		checkMatch(d, path+".match", p.Match)
	}
	if e.Tests != nil {
		p.Hit = samples(d, path+".tests.hit", e.Tests.Hit)
		p.Miss = samples(d, path+".tests.miss", e.Tests.Miss)
	}
}

// require reports the keys that are not written. Those written without a value were
// reported already.
func require(d *strict.Document, path, name string, keys map[string]bool) {
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !keys[key] && !d.Has(path+"."+key) {
			d.Fault(path, "rule.has-no", "%s has no %q", "name", name, "key", key)
		}
	}
}

// where reads the view a pattern looks at.
func where(d *strict.Document, path, word string) (view, header string) {
	view, header, err := look.Parse(word)
	if err != nil {
		d.Because(path, err)
	}
	return view, header
}

func checkMatch(d *strict.Document, path, match string) {
	if len(match) > maxMatch {
		d.Fault(path, "rule.the-expression-has-bytes-at-most-are", "the expression has %d bytes; at most %d are compiled", "n", len(match), "most", maxMatch)
		return
	}
	switch empty, err := pattern.Valid(match); {
	case err != nil:
		d.Fault(path, "rule.does-not-compile", "does not compile: %v", "why", err)
	case empty:
		d.Fault(path, "rule.matches-the-empty-text-so-it-would", "matches the empty text, so it would match every message")
	}
}

func samples(d *strict.Document, path string, texts []string) []Sample {
	var out []Sample
	for i, t := range texts {
		out = append(out, Sample{t, d.At(fmt.Sprintf("%s[%d]", path, i))})
	}
	return out
}

func (m *merger) composite(d *strict.Document, path string, e *compositeEntry) {
	hollow(d, path, e)
	name, known, ok := m.claim(d, path, "composites", IsComposite, e.ID)
	if !ok {
		return
	}
	c := m.combined[name]
	if !known || c == nil {
		c = &Composite{ID: name}
		m.combined[name] = c
		require(d, path, name, map[string]bool{"when": e.When != nil})
	}
	m.worth(d, path, name, IsComposite, e.worth())
	m.quiet(name, e.Quiet)
	if e.When == nil {
		return
	}
	c.Place, c.Text = d.At(path+".when"), strings.Join(strings.Fields(*e.When), " ")
	when, err := expr.Parse(*e.When)
	if err != nil {
		d.Because(path+".when", err)
		return
	}
	c.When = when
}
