package signature

import (
	"io"

	"postern/internal/canon"
)

// Bodies hashes the body of a message once in each form that its signatures ask for. The zero
// value asks for none.
type Bodies struct{ simple, relaxed *canon.Body }

func (b *Bodies) at(relaxed bool) **canon.Body {
	if relaxed {
		return &b.relaxed
	}
	return &b.simple
}

// Need asks for a form.
func (b *Bodies) Need(relaxed bool) {
	if at := b.at(relaxed); *at == nil {
		*at = canon.NewBody(relaxed)
	}
}

// Hash reads a body to its end; where no form is asked for, nothing of it.
func (b *Bodies) Hash(body io.Reader) error {
	var all []*canon.Body
	for _, one := range []*canon.Body{b.simple, b.relaxed} {
		if one != nil {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return canon.HashBody(body, all...)
}

// Of is the body in a form that was asked for.
func (b *Bodies) Of(relaxed bool) *canon.Body { return *b.at(relaxed) }
