package pattern

import "slices"

// automaton finds all of many literals in one pass (Aho and Corasick 1975), without regard
// to the case of ASCII letters. It is a complete table over classes of bytes, so that every
// byte of text costs one look-up.
type automaton struct {
	class   [256]uint8
	classes int
	next    []uint32   // state*classes + class -> next state*classes, with ends where literals end
	out     [][]uint32 // state -> owners of the literals that end there
}

// ends marks the states in which a literal ends.
const ends = 1 << 31

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// newAutomaton builds the automaton of the literals; owner names what each belongs to.
func newAutomaton(literals []string, owner []uint32) *automaton {
	a := &automaton{classes: 1}
	for _, l := range literals {
		for i := range len(l) {
			if c := lower(l[i]); a.class[c] == 0 {
				a.class[c] = uint8(a.classes)
				a.classes++
			}
		}
	}
	for c := byte('A'); c <= 'Z'; c++ {
		a.class[c] = a.class[lower(c)]
	}
	a.grow()
	for i, l := range literals {
		a.add(l, owner[i])
	}
	a.link()
	for i, to := range a.next {
		a.next[i] = to * uint32(a.classes)
		if len(a.out[to]) > 0 {
			a.next[i] |= ends
		}
	}
	return a
}

func (a *automaton) grow() uint32 {
	a.next = append(a.next, make([]uint32, a.classes)...)
	a.out = append(a.out, nil)
	return uint32(len(a.out) - 1)
}

func (a *automaton) add(literal string, owner uint32) {
	s := uint32(0)
	for i := range len(literal) {
		at := int(s)*a.classes + int(a.class[literal[i]])
		if a.next[at] == 0 {
			a.next[at] = a.grow()
		}
		s = a.next[at]
	}
	if !slices.Contains(a.out[s], owner) {
		a.out[s] = append(a.out[s], owner)
	}
}

// link turns the trie into a complete automaton: where a literal breaks off, the longest
// suffix that is a beginning of another goes on.
func (a *automaton) link() {
	fail := make([]uint32, len(a.out))
	var queue []uint32
	for c := range a.classes {
		if s := a.next[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for c := range a.classes {
			at := int(s)*a.classes + c
			onward := a.next[int(fail[s])*a.classes+c]
			child := a.next[at]
			if child == 0 {
				a.next[at] = onward
				continue
			}
			fail[child] = onward
			for _, o := range a.out[onward] {
				if !slices.Contains(a.out[child], o) {
					a.out[child] = append(a.out[child], o)
				}
			}
			queue = append(queue, child)
		}
	}
}

// scan calls found with the owner of every literal in text and the offset of its last byte.
func (a *automaton) scan(text []byte, found func(owner uint32, end int)) {
	s, n := uint32(0), uint32(a.classes)
	for i, c := range text {
		s = a.next[s+uint32(a.class[c])]
		if s < ends {
			continue
		}
		s &^= ends
		for _, o := range a.out[s/n] {
			found(o, i)
		}
	}
}
