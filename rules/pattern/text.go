package pattern

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"unicode/utf8"
)

// joint stands between the pieces of a long text that are read together, so that nothing runs
// from one into the next by way of blanks.
const joint = "\n\x00\n"

// Text is a text of any length that is made ready. Literals are looked for in all of it and the
// expressions that hold them are asked where they stand, each over MaxText bytes at most; every
// expression is asked over a part of it.
type Text struct {
	all  []byte // nil where read is all
	read []byte // what every expression is asked over
}

// NewText makes a text ready. Of a text longer than most bytes, head and tail of each of its parts
// are read, in equal shares: parts says where they begin behind the first, in rising order.
func NewText(text string, parts []int, most int) Text {
	if len(text) <= most {
		return Text{read: []byte(strings.ToValidUTF8(text, string(utf8.RuneError)))}
	}
	all, _ := plainLetters([]byte(strings.ToValidUTF8(text, string(utf8.RuneError))))
	return Text{all: all, read: sample(text, parts, most)}
}

// Cut reports whether some of the text is searched around literals alone.
func (t Text) Cut() bool { return t.all != nil }

// Change returns the text with f done to what is read and to all of it.
func (t Text) Change(f func([]byte) []byte) Text {
	t.read = f(t.read)
	if t.all != nil {
		t.all = f(t.all)
	}
	return t
}

// Same reports whether both read the same.
func (t Text) Same(o Text) bool { return bytes.Equal(t.read, o.read) && bytes.Equal(t.all, o.all) }

// Hit is an expression that matches.
type Hit struct {
	Expr int
	Near []byte // the text it does in, for Excerpt and Count
}

// Search returns which expressions match the text, in rising order; the error is that of ctx.
func (m *Matcher) Search(ctx context.Context, t Text) ([]Hit, error) {
	known, err := m.Match(ctx, t.read)
	if err != nil {
		return nil, err
	}
	hits := make([]Hit, 0, len(known))
	for _, i := range known {
		hits = append(hits, Hit{i, t.read})
	}
	if t.all == nil || m.literal == nil {
		return hits, nil
	}
	err = m.byLiteral(ctx, t.all, func(i int, near []byte) {
		if _, have := slices.BinarySearch(known, i); !have {
			hits = append(hits, Hit{i, near})
		}
	})
	slices.SortFunc(hits, func(a, b Hit) int { return a.Expr - b.Expr })
	return hits, err
}

// sample is head and tail of each part, at most so many bytes beside the joints.
func sample(text string, starts []int, most int) []byte {
	parts := split(text, starts)
	share := shares(parts, most)
	var out []byte
	for _, p := range parts {
		if len(out) > 0 {
			out = append(out, joint...)
		}
		if len(p) <= share {
			out = append(out, strings.ToValidUTF8(p, string(utf8.RuneError))...)
			continue
		}
		head, tail := p[:share/2], p[len(p)-share/2:]
		head, tail = head[:lastBreak(head)], tail[firstBreak(tail):]
		out = append(out, strings.ToValidUTF8(head, string(utf8.RuneError))...)
		out = append(out, joint...)
		out = append(out, strings.ToValidUTF8(tail, string(utf8.RuneError))...)
	}
	return out
}

func split(text string, starts []int) []string {
	var parts []string
	from := 0
	for _, at := range starts {
		if at > from && at < len(text) {
			parts = append(parts, text[from:at])
			from = at
		}
	}
	return append(parts, text[from:])
}

// shares is how much of each part is read: short ones leave to the others what they do not need.
func shares(parts []string, most int) int {
	sizes := make([]int, len(parts))
	for i, p := range parts {
		sizes[i] = len(p)
	}
	slices.Sort(sizes)
	for i, n := range sizes {
		if share := most / (len(sizes) - i); n > share {
			return share
		}
		most -= n
	}
	return sizes[len(sizes)-1]
}

// breakWithin is how far from a cut a better place for it is looked for, in bytes.
const breakWithin = 200

// lastBreak is the end of the last whole line of a head, else of its last whole word or
// character.
func lastBreak(s string) int {
	near := s[max(0, len(s)-breakWithin):]
	for _, sign := range []string{"\n", " "} {
		if i := strings.LastIndex(near, sign); i >= 0 {
			return len(s) - len(near) + i
		}
	}
	at := len(s)
	for at > 0 && at > len(s)-utf8.UTFMax && !utf8.RuneStart(s[at-1]) {
		at--
	}
	if at > 0 && s[at-1] >= utf8.RuneSelf {
		at-- // it may not be whole
	}
	return at
}

// firstBreak is where the first whole line of a tail begins, else its first word or character.
func firstBreak(s string) int {
	near := s[:min(len(s), breakWithin)]
	for _, sign := range []string{"\n", " "} {
		if i := strings.Index(near, sign); i >= 0 {
			return i + 1
		}
	}
	at := 0
	for at < len(s) && at < utf8.UTFMax && !utf8.RuneStart(s[at]) {
		at++
	}
	return at
}
