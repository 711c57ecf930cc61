package perlre

import (
	"slices"
	"unicode/utf8"

	"postern/rules/spamassassin/perlre/literal"
)

// possible joins bytes above 0x7f that make characters in UTF-8, which is what texts are in,
// and leaves out alternatives that no such text holds. Bytes alone may begin a character that
// goes on behind the group: then they stay.
func (p *parser) possible(alts [][]node) ([][]node, error) {
	if _, ok := strings8(alts); ok && p.at < len(p.src) {
		return alts, nil
	}
	var out [][]node
	for _, seq := range alts {
		switch joined, err := p.characters(seq); {
		case err == nil:
			out = append(out, joined)
		case len(alts) == 1:
			return nil, err
		default:
			p.note("bytes that make no character are left out")
		}
	}
	if len(out) == 0 {
		return nil, errBytes
	}
	return out, nil
}

func (p *parser) characters(seq []node) ([]node, error) {
	var out []node
	for i := 0; i < len(seq); {
		if !high(seq[i]) {
			out = append(out, seq[i])
			i++
			continue
		}
		n, used, err := p.character(seq[i:])
		if err != nil {
			return nil, err
		}
		out = append(out, n)
		i += used
	}
	return out, nil
}

// high tells that a node is bytes above 0x7f alone.
func high(n node) bool {
	_, ok := strings8([][]node{{n}})
	return ok
}

// maxMade bounds how many characters a few bytes may make.
const maxMade = 4096

// strings8 are the strings of bytes that alternatives of nothing but such bytes can be.
func strings8(alts [][]node) ([]string, bool) {
	var all []string
	for _, seq := range alts {
		made := []string{""}
		for i, n := range seq {
			var next []string
			switch {
			case n.repeat != "" && (i < len(seq)-1 || len(alts) > 1 || len(seq) > 1):
				return nil, false
			case n.kind == octets:
				for c, in := range n.bytes {
					if in {
						next = append(next, string([]byte{byte(c)}))
					}
				}
			case n.kind == group && n.flags == "":
				sub, ok := strings8(n.alts)
				if !ok {
					return nil, false
				}
				next = sub
			default:
				return nil, false
			}
			if len(made)*len(next) > maxMade {
				return nil, false
			}
			var more []string
			for _, m := range made {
				for _, s := range next {
					more = append(more, m+s)
				}
			}
			made = more
		}
		if len(seq) == 0 || len(all)+len(made) > maxMade {
			return nil, false
		}
		all = append(all, made...)
	}
	return all, len(all) > 0
}

// character reads the characters that bytes make at the beginning of seq. Where some make
// none, those are left out.
func (p *parser) character(seq []node) (n node, used int, err error) {
	for used = 1; used <= min(len(seq), utf8.UTFMax) && high(seq[used-1]); used++ {
		made, ok := strings8([][]node{plainly(seq[:used])})
		if !ok {
			break
		}
		runes, all := literal.Decode(made)
		last := seq[used-1].repeat
		if more := used < len(seq) && high(seq[used]) && last == ""; len(runes) == 0 && more {
			continue
		}
		if len(runes) == 0 || last != "" && used > 1 {
			break // the quantifier is the last byte's alone
		}
		if !all {
			p.note("bytes that make no character are left out")
		}
		slices.Sort(runes)
		runes = slices.Compact(runes)
		return node{text: literal.Class(runes), plain: len(runes) == 1, repeat: last}, used, nil
	}
	return n, 0, errBytes
}

// plainly is seq without the quantifier at its end.
func plainly(seq []node) []node {
	out := slices.Clone(seq)
	out[len(out)-1].repeat = ""
	return out
}
