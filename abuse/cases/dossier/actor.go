package dossier

import (
	"slices"
	"strings"

	"postern/abuse/cases/flow"
	"postern/internal/said"
)

// Errors of the desk; they are wrapped in sentences for people.
var (
	ErrNotFound = said.New("case.no-such-case", "no such case")
	ErrInvalid  = said.New("case.this-cannot-be", "this cannot be")
	ErrState    = said.New("case.the-cases-state-forbids-it", "the case's state forbids it")
	ErrRole     = said.New("case.not-with-this-role", "not with this role")
	ErrNeeds    = said.New("case.something-is-missing", "something is missing")
	ErrBusy     = said.New("case.too-much-waits-to-be-done-for", "too much waits to be done for the case")
)

// Refusal is an error with a sentence for people.
type Refusal struct {
	Kind  error
	Words said.Words
}

func (r *Refusal) Error() string { return r.Words.English }

// Said implements said.Sayer.
func (r *Refusal) Said() said.Words { return r.Words }

// Unwrap returns the kind.
func (r *Refusal) Unwrap() error { return r.Kind }

// Refuse makes a Refusal; code, format and pairs are those of said.Say.
func Refuse(kind error, code, format string, pairs ...any) error {
	return &Refusal{kind, said.Say(code, format, pairs...)}
}

// Because makes a Refusal that says what its cause says.
func Because(kind, cause error) error { return &Refusal{kind, said.Of(cause)} }

// Actor is who does something, and as what.
type Actor struct {
	Name string
	Role flow.Role
}

// Machine is the desk itself.
func Machine() Actor { return Actor{"abuse-desk", flow.System} }

// Stopped lists the clocks that stopped, by name and start.
func (c *Case) Stopped() []flow.Clock {
	var out []flow.Clock
	for _, k := range c.Clocks {
		if !k.Running() {
			out = append(out, k)
		}
	}
	return out
}

// Newly names the clocks of after that are not among before.
func Newly(before, after []flow.Clock) []flow.Name {
	var out []flow.Name
	for _, k := range after {
		same := func(b flow.Clock) bool { return b.Name == k.Name && b.Start.Equal(k.Start) }
		if !slices.ContainsFunc(before, same) {
			out = append(out, k.Name)
		}
	}
	return out
}

// Clip bounds a text and takes what is no text out of it.
func Clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > MaxText {
		s = strings.ToValidUTF8(s[:MaxText], "")
	}
	return s
}

// Reason refuses a person's change without one.
func Reason(who Actor, text string) error { return Why(who, said.Typed(text)) }

// Why is Reason of one that may be the desk's own.
func Why(who Actor, w said.Words) error {
	text := w.English
	if who.Role != flow.System && strings.TrimSpace(text) == "" {
		return Refuse(ErrNeeds, "case.a-reason-is-needed", "a reason is needed")
	}
	if len(text) > MaxText {
		return Refuse(ErrInvalid, "case.a-text-has-at-most-octets-this", "a text has at most %d octets, this one has %d", "most", MaxText, "n", len(text))
	}
	return nil
}
