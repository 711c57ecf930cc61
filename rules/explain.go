package rules

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"postern/filter"
	"postern/internal/strict"
	"postern/rules/book"
)

// UnknownSymbol is the error of Explain.
type UnknownSymbol struct{ Name, Like string }

func (e *UnknownSymbol) Error() string {
	if e.Like == "" {
		return fmt.Sprintf("no rule names the symbol %q; it scores 0", e.Name)
	}
	return fmt.Sprintf("no rule names the symbol %q; did you mean %s?", e.Name, e.Like)
}

// Explain writes all there is to know about a symbol. The error is that of w, or an
// *UnknownSymbol.
func (s *Set) Explain(w io.Writer, symbol string) error {
	sym := s.book.Symbols[symbol]
	if sym == nil {
		return &UnknownSymbol{symbol, strict.Nearest(symbol, slices.Sorted(maps.Keys(s.book.Symbols)))}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", sym.Name, sym.Describe)
	fmt.Fprintf(&b, "  score      %s\n", signed(sym.Score))
	fmt.Fprintf(&b, "  action     %s\n", s.actionText(sym))
	if sym.Quiet {
		b.WriteString("  quiet      it counts for other rules and is not said\n")
	}
	if len(sym.Unless) > 0 {
		fmt.Fprintf(&b, "  unless     %s%s\n", strings.Join(sym.Unless, ", "), takesAway(sym))
	}
	switch sym.Kind {
	case book.IsPattern:
		s.explainPattern(&b, symbol)
	case book.IsComposite:
		for _, c := range s.book.Composites {
			if c.ID == symbol {
				fmt.Fprintf(&b, "  when       %s\n", c.Text)
			}
		}
	default:
		fmt.Fprintf(&b, "  raised by  %s\n", raisedBy(sym))
	}
	if used := s.book.Used[symbol]; len(used) > 0 {
		fmt.Fprintf(&b, "  part of    %s\n", strings.Join(used, ", "))
	}
	fmt.Fprintf(&b, "  written at %s\n", sym.Place)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Set) explainPattern(b *strings.Builder, id string) {
	for _, p := range s.book.Patterns {
		if p.ID != id {
			continue
		}
		in := p.In
		if p.Header != "" {
			in += ":" + p.Header
		}
		fmt.Fprintf(b, "  looks in   %s\n  matches    %s\n  tests      %d that hit, %d that miss\n", in, p.Match, len(p.Hit), len(p.Miss))
	}
}

// actionText says what a symbol does by itself.
func (s *Set) actionText(sym *Symbol) string {
	if _, ok := book.PolicyDecides(sym.Name); ok {
		var per []string
		for _, name := range s.Policies() {
			per = append(per, s.decidedText(name, sym.Name))
		}
		return strings.Join(per, ", ")
	}
	switch {
	case sym.Action == filter.Accept:
		return "none of its own"
	case sym.Rcpt:
		return sym.Action.String() + ", already at RCPT"
	default:
		return sym.Action.String()
	}
}

// decidedText is "policy: action".
func (s *Set) decidedText(policy, symbol string) string {
	c := judgement{set: s, policy: s.policy(policy), m: &filter.Message{}}
	if symbol == FileType {
		a := c.policy.Attachments
		switch {
		case len(a.Refuse) > 0:
			c.listed = filter.Reject
		case len(a.Hold) > 0:
			c.listed = filter.Quarantine
		case len(a.Tag) > 0:
			c.listed = filter.Tag
		}
	}
	if symbol == virus && c.policy.Antivirus.Infected == "strip" {
		return policy + ": strip"
	}
	return policy + ": " + c.atMost(s.book.Symbols[symbol], c.decided(symbol)).String()
}

// takesAway says of a symbol whose action is the policy's that unless ends its score only.
func takesAway(sym *Symbol) string {
	if _, ok := book.PolicyDecides(sym.Name); ok {
		return " (the score only)"
	}
	return ""
}

func signed(score filter.Score) string {
	if score > 0 {
		return "+" + score.String()
	}
	return score.String()
}
