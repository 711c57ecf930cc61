package perlre

import (
	"maps"
	"slices"
	"strings"
)

// edges rewrites what looks behind at the beginning of the expression and ahead at its end:
// there it is no different to take the text looked at into the match.
func (p *parser) edges(alts [][]node, leading, trailing bool) error {
	for i, seq := range alts {
		if leading {
			if err := p.edge(seq, true); err != nil {
				return err
			}
		}
		if trailing {
			if err := p.edge(seq, false); err != nil {
				return err
			}
		}
		alts[i] = seq
		for k := range seq {
			first, last := leading && onlyPoints(seq[:k]), trailing && onlyPoints(seq[k+1:])
			if seq[k].kind == group && seq[k].repeat == "" && (first || last) {
				if err := p.edges(seq[k].alts, first, last); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func onlyPoints(seq []node) bool {
	return !slices.ContainsFunc(seq, func(n node) bool { return n.kind != point })
}

// edge rewrites the one look among the elements of no width at an end of seq.
func (p *parser) edge(seq []node, begin bool) error {
	from, to := 0, len(seq)
	if begin {
		to = 0
		for to < len(seq) && (seq[to].kind == point || seq[to].kind == look) {
			to++
		}
	} else {
		for from = to; from > 0 && (seq[from-1].kind == point || seq[from-1].kind == look); from-- {
		}
	}
	found := -1
	for i := from; i < to; i++ {
		if seq[i].kind == look && seq[i].behind == begin {
			if found >= 0 {
				return errLook
			}
			found = i
		}
	}
	if found < 0 {
		return nil
	}
	n := node{kind: group, alts: seq[found].alts}
	if seq[found].not {
		text, ok := p.complement(seq[found].alts, begin)
		if !ok {
			return errLook
		}
		n = node{text: text}
	}
	// Elements of no width stay between what is looked at and the rest.
	if begin {
		copy(seq[1:found+1], seq[:found])
		seq[0] = n
	} else {
		copy(seq[found:], seq[found+1:])
		seq[len(seq)-1] = n
	}
	return nil
}

// maxWords bounds the strings that something negative may look for.
const maxWords = 200

// complement is what stands beside a place where none of alts does: the end of the text, or
// a text that leaves all of them at some character.
func (p *parser) complement(alts [][]node, behind bool) (string, bool) {
	words, ok := spelled(alts)
	if !ok || len(words) == 0 {
		return "", false
	}
	t := &tree{}
	for _, w := range words {
		if len(w) == 0 {
			return "", false
		}
		if behind {
			slices.Reverse(w)
		}
		t.add(w)
	}
	end := `\z`
	if behind {
		end = `\A`
	}
	if p.lines {
		end = map[string]string{`\z`: "(?m:$)", `\A`: "(?m:^)"}[end]
	}
	return t.avoid(end, behind, p.lines)
}

// spelled are the strings of characters that alternatives can be.
func spelled(alts [][]node) ([][]node, bool) {
	var out [][]node
	for _, seq := range alts {
		words := [][]node{nil}
		for _, n := range seq {
			choices, ok := choices(n)
			if !ok || len(words)*len(choices) > maxWords {
				return nil, false
			}
			var more [][]node
			for _, w := range words {
				for _, c := range choices {
					more = append(more, append(w[:len(w):len(w)], c...))
				}
			}
			words = more
		}
		out = append(out, words...)
	}
	return out, len(out) <= maxWords
}

// choices are the strings one element can be.
func choices(n node) ([][]node, bool) {
	var out [][]node
	switch n.kind {
	case char:
		one := n
		one.repeat = ""
		out = [][]node{{one}}
	case group:
		words, ok := spelled(n.alts)
		if !ok || n.flags != "" {
			return nil, false
		}
		out = words
	default:
		return nil, false
	}
	switch n.repeat {
	case "":
		return out, true
	case "?", "??":
		return append(out, nil), true
	}
	return nil, false
}

// tree holds strings by their first characters.
type tree struct {
	ends  bool
	next  map[string]*tree
	class bool // one of the characters is a class
}

func (t *tree) add(word []node) {
	if len(word) == 0 {
		t.ends = true
		return
	}
	n := word[0]
	if t.next == nil {
		t.next = map[string]*tree{}
	}
	if t.next[n.text] == nil {
		t.next[n.text] = &tree{}
	}
	t.class = t.class || !n.plain
	t.next[n.text].add(word[1:])
}

// avoid is what is none of the strings. Only where characters differ can it tell them apart.
func (t *tree) avoid(end string, behind, lines bool) (string, bool) {
	if t.class && len(t.next) > 1 && slices.ContainsFunc(slices.Collect(maps.Values(t.next)), func(c *tree) bool { return !c.ends }) {
		return "", false
	}
	var not, deeper strings.Builder
	for _, text := range slices.Sorted(maps.Keys(t.next)) {
		inside, ok := inBrackets(text)
		if !ok {
			return "", false
		}
		not.WriteString(inside)
		child := t.next[text]
		if child.ends {
			continue
		}
		rest, ok := child.avoid(end, behind, lines)
		if !ok {
			return "", false
		}
		if behind {
			deeper.WriteString("|" + rest + text)
		} else {
			deeper.WriteString("|" + text + rest)
		}
	}
	if lines {
		not.WriteString(`\n`)
	}
	return "(?:" + end + "|[^" + not.String() + "]" + deeper.String() + ")", true
}

// inBrackets writes a character or a class as a member of a class.
func inBrackets(text string) (string, bool) {
	switch {
	case strings.HasPrefix(text, `[^\S\n]`):
		return ` \t\v\f\r`, true
	case strings.HasPrefix(text, "[^"), text == ".", strings.HasPrefix(text, "("):
		return "", false
	case strings.HasPrefix(text, "["):
		return strings.TrimSuffix(text[1:], "]"), true
	}
	return text, true
}
