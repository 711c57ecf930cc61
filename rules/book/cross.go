package book

import (
	"maps"
	"slices"
	"strings"

	"postern/filter"
)

// finish checks everything that only the whole can show and fills what is derived.
func (m *merger) finish() {
	known := slices.Sorted(maps.Keys(m.book.Symbols))
	for _, name := range known {
		s := m.book.Symbols[name]
		if s.Describe == "" && !m.reported(s) {
			m.fail(s.Place, "rule.has-no-describe-one-plain-sentence-for", `%s has no "describe": one plain sentence for people`, "name", name)
		}
		if s.Rcpt && s.Action == 0 {
			m.fail(s.Place, "rule.has-stage-rcpt-without-an-action-scores", "%s has stage: rcpt without an action; scores count only after DATA", "name", name)
		}
		if s.Quiet && (s.Score != 0 || s.Action != filter.Accept) {
			m.fail(s.Place, "rule.is-quiet-and-worth-something", "%s is quiet and has a score or an action; what counts is said", "name", name)
		}
		for i, other := range s.Unless {
			if m.book.Symbols[other] == nil {
				m.fail(m.unlessAt[name][i], "rule.no-rule-names-the-symbol", "no rule names the symbol %q%s", "symbol", clip(other), "hint", hint(other, known))
			}
		}
	}
	m.order(known)
	m.resolvePolicies()
	policies := slices.Collect(maps.Keys(m.book.Policies))
	for _, key := range slices.Sorted(maps.Keys(m.mapped)) {
		if line := m.mapped[key]; m.book.Policies[line.policy] == nil {
			m.fail(line.place, "rule.no-policy-is-called", "no policy is called %q%s", "policy", clip(line.policy), "hint", hint(line.policy, policies))
		}
	}
}

// reported tells whether something is already said about the place of a symbol, so that one
// slip is one error.
func (m *merger) reported(s *Symbol) bool {
	for _, e := range m.errs {
		if e.File == s.Place.File && e.Line == s.Place.Line {
			return true
		}
	}
	return false
}

// order puts each composite after those it is made of, and reports circles and names that
// no rule knows.
func (m *merger) order(known []string) {
	state := map[string]int{} // 1 = on the way, 2 = done
	var visit func(name string, trail []string)
	visit = func(name string, trail []string) {
		c := m.combined[name]
		if c == nil || state[name] == 2 {
			return
		}
		trail = append(trail, name)
		if state[name] == 1 {
			from := slices.Index(trail, name)
			m.fail(c.Place, "rule.composites-depend-on-each-other-in-a", "composites depend on each other in a circle: %s", "trail", strings.Join(trail[from:], " -> "))
			return
		}
		state[name] = 1
		for _, used := range c.When.Names() {
			if m.book.Symbols[used] == nil {
				m.fail(c.Place, "rule.no-rule-names-the-symbol", "no rule names the symbol %q%s", "symbol", used, "hint", hint(used, known))
				continue
			}
			m.book.Used[used] = append(m.book.Used[used], name)
			visit(used, trail)
		}
		state[name] = 2
		m.book.Composites = append(m.book.Composites, c)
	}
	for _, name := range slices.Sorted(maps.Keys(m.combined)) {
		visit(name, nil)
	}
	for _, users := range m.book.Used {
		slices.Sort(users)
	}
}
