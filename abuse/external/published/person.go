package published

import (
	"slices"

	"postern/internal/said"
)

// ask notes why a person has to agree, once for each cause.
func (e *Edition) ask(w said.Words) {
	for len(e.Said) < len(e.Person) { // from before there were codes
		e.Said = append(e.Said, said.Words{})
	}
	at := slices.IndexFunc(e.Said, func(s said.Words) bool { return s.Code == w.Code })
	if at < 0 {
		at, e.Person, e.Said = len(e.Said), append(e.Person, ""), append(e.Said, said.Words{})
	}
	w.Put(&e.Person[at], &e.Said[at])
}

// wants are the reasons why a person has to agree.
func (e *Edition) wants() []said.Words {
	var out []said.Words
	for i, english := range e.Person {
		w := said.Typed(english)
		if i < len(e.Said) {
			w = said.Kept(english, e.Said[i])
		}
		out = append(out, w)
	}
	return out
}
