// Package perlre turns Perl's regular expressions into RE2's, as far as one can say what the
// other does, and says what it cannot. Only whether a text matches is kept, not what of it.
package perlre

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Options say how the expression is used.
type Options struct {
	Flags string // of Perl: i, m, s, x count
	CRLF  bool   // lines of the text end in CRLF, and the expression means LF
	Lines bool   // each line is a text of its own: ^ and $ are its ends, nothing crosses them
}

// Result is an expression in RE2 syntax.
type Result struct {
	Match string
	Notes []string // where it may differ from the original, in plain words
}

// MaxSource bounds an expression in bytes, MaxDepth groups inside each other.
const (
	MaxSource = 64 << 10
	MaxDepth  = 60
)

// Translate turns an expression. The error says in plain words what RE2 cannot say.
func Translate(source string, o Options) (Result, error) {
	if len(source) > MaxSource {
		return Result{}, fmt.Errorf("longer than %d bytes", MaxSource)
	}
	p := &parser{src: source, lines: o.Lines, extended: strings.Contains(o.Flags, "x"), crlf: o.CRLF}
	if strings.Contains(o.Flags, "n") && strings.Contains(source, `\1`) {
		return Result{}, errBackReference
	}
	alts, err := p.alternatives(0)
	if err == nil && p.at < len(source) {
		err = fmt.Errorf("an unmatched ) at byte %d", p.at+1)
	}
	if err != nil {
		return Result{}, err
	}
	if err := p.edges(alts, true, true); err != nil {
		return Result{}, err
	}
	if looks(alts) {
		return Result{}, errLook
	}
	text := write(alts)
	if flags := p.flags(o.Flags); flags != "" {
		text = "(?" + flags + ")" + text
	}
	if _, err := regexp.Compile(text); err != nil {
		return Result{}, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	slices.Sort(p.notes)
	return Result{Match: text, Notes: slices.Compact(p.notes)}, nil
}

func (p *parser) flags(perl string) string {
	var out strings.Builder
	for _, f := range "ims" {
		if strings.ContainsRune(perl, f) && (f == 'i' || !p.lines) {
			out.WriteRune(f)
		}
	}
	return out.String()
}

// kind is what a node is.
type kind uint8

const (
	char   kind = iota // one character, or a class of them, in RE2 syntax
	octets             // one byte of a set that holds some above 0x7f
	point              // of no width: ^, \b
	group              // alternatives
	look               // looks ahead or behind
)

// node is one element of an expression.
type node struct {
	kind   kind
	text   string
	plain  bool // a char that is one character and no class
	bytes  *set
	alts   [][]node
	flags  string // of a group, as "i" in (?i:...)
	behind bool
	not    bool
	repeat string // its quantifier
}

// set is a set of bytes.
type set [256]bool

// write is the expression of alternatives.
func write(alts [][]node) string {
	var b strings.Builder
	for i, seq := range alts {
		if i > 0 {
			b.WriteByte('|')
		}
		for _, n := range seq {
			if n.kind == group {
				b.WriteString("(?" + n.flags + ":" + write(n.alts) + ")")
			} else {
				b.WriteString(n.text)
			}
			b.WriteString(n.repeat)
		}
	}
	return b.String()
}

// looks tells that something still looks around.
func looks(alts [][]node) bool {
	for _, seq := range alts {
		for _, n := range seq {
			if n.kind == look || n.kind == group && looks(n.alts) {
				return true
			}
		}
	}
	return false
}
