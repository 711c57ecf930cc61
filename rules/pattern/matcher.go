// Package pattern matches many regular expressions (RE2 syntax) against one text. Literals
// that an expression cannot do without are looked for first, all in one pass; only where
// they stand is the expression itself asked. Expressions without such a literal run
// together, in sets. The answer is always that of the standard library's regexp.
package pattern

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"postern/internal/said"

	"github.com/wasilibs/go-re2"
	"github.com/wasilibs/go-re2/experimental"
)

// MaxText is how many bytes of a text every expression is asked over. Of a longer one it is
// spread over the parts, see Text; beyond that an expression is asked around its literals.
const MaxText = 256 << 10

// Sizes found by measurement: sets of RE2 fall off a cliff past a hundred expressions, and those of
// a dozen build the fewest states over texts that they have not seen; a window wider than this is
// not cheaper than the text.
const (
	shardSize = 12
	maxWindow = 2 << 10
	shortText = 256 // up to here a set costs more than its expressions one by one
)

// Matcher is many compiled expressions. It is safe for concurrent use.
type Matcher struct {
	exprs   []expr
	literal *automaton // nil when no expression has a literal
	shards  []shard
	scratch sync.Pool
}

type expr struct {
	std     *regexp.Regexp
	re      *re2.Regexp // nil: RE2 does not take it, std is asked
	extent  extent      // of any match
	bounded bool        // there is such an extent
	ends    bool        // it asks for the end of a line or of the text
}

// shard is a set of expressions without literals that run together.
type shard struct {
	set   *experimental.Set // nil: asked one by one
	which []int
}

// span is a stretch of text worth looking at.
type span struct{ from, to int }

// Valid compiles an expression for its error, in plain words; empty tells that it matches
// the empty text.
func Valid(source string) (empty bool, err error) {
	re, err := regexp.Compile(source)
	if err != nil {
		return false, plainly(err)
	}
	return re.MatchString(""), nil
}

// plainly is what is wrong with an expression.
func plainly(err error) error {
	var bad *syntax.Error
	if !errors.As(err, &bad) {
		return err
	}
	code := "regexp." + strings.ReplaceAll(bad.Code.String(), " ", "-")
	return said.Errorf("regexp.at", "%s: `%s`", "what", said.Words{Code: code, English: bad.Code.String()}, "expr", bad.Expr)
}

// Compile compiles the expressions. The error is the first one's that does not compile.
func Compile(sources []string) (*Matcher, error) {
	m := &Matcher{exprs: make([]expr, len(sources))}
	var words []string
	var owner []uint32
	var rest []int
	for i, src := range sources {
		std, err := regexp.Compile(src)
		if err != nil {
			return nil, err
		}
		e := &m.exprs[i]
		e.std = std
		if e.re, err = re2.Compile(src); err != nil {
			e.re = nil
		}
		tree, err := syntax.Parse(src, syntax.Perl)
		if err != nil {
			return nil, err
		}
		found := literals(tree)
		if found == nil {
			rest = append(rest, i)
			continue
		}
		e.extent, e.bounded = reach(tree)
		e.ends = looksAtEnds(tree)
		for _, w := range found {
			words = append(words, w)
			owner = append(owner, uint32(i))
		}
	}
	if len(words) > 0 {
		m.literal = newAutomaton(words, owner)
	}
	for part := range slices.Chunk(rest, shardSize) {
		m.shards = append(m.shards, m.newShard(sources, part))
	}
	m.scratch.New = func() any {
		return &scratch{spans: make([][]span, len(sources)), window: make([]int, len(sources)), room: make([]int, len(sources))}
	}
	return m, nil
}

func (m *Matcher) newShard(sources []string, which []int) shard {
	s := shard{which: which}
	var texts []string
	for _, i := range which {
		if m.exprs[i].re == nil {
			return s
		}
		texts = append(texts, sources[i])
	}
	if set, err := experimental.CompileSet(texts); err == nil {
		s.set = set
	}
	return s
}

// Clean makes a text fit for Match: valid UTF-8, at most MaxText bytes, cut between
// characters. Text is for longer ones.
func Clean(text string) []byte {
	if len(text) > MaxText {
		cut := MaxText
		for cut > MaxText-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	return []byte(strings.ToValidUTF8(text, string(utf8.RuneError)))
}

// Match returns which expressions match the text, in rising order. The text must be Clean;
// the error is that of ctx, looked at between expressions.
func (m *Matcher) Match(ctx context.Context, text []byte) ([]int, error) {
	var hits []int
	if m.literal != nil {
		if err := m.byLiteral(ctx, text, func(i int, _ []byte) { hits = append(hits, i) }); err != nil {
			return nil, err
		}
	}
	for _, s := range m.shards {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		hits = append(hits, m.askShard(s, text)...)
	}
	slices.Sort(hits)
	return hits, nil
}

func (m *Matcher) askShard(s shard, text []byte) []int {
	var hits []int
	if s.set != nil && len(text) > shortText {
		// FindAll would say "no match" where RE2 ran out of memory.
		found, err := s.set.FindAllWithError(text, len(s.which))
		if err == nil {
			for _, k := range found {
				hits = append(hits, s.which[k])
			}
			return hits
		}
	}
	for _, i := range s.which {
		if m.exprs[i].match(text) {
			hits = append(hits, i)
		}
	}
	return hits
}

func (e *expr) match(text []byte) bool {
	if e.re != nil {
		return e.re.Match(text)
	}
	return e.std.Match(text)
}

// scratch is what one search needs besides its result.
type scratch struct {
	measure    measure  // of the text; zero until there is a candidate
	window     []int    // by candidate: bytes around a literal that hold any match; 0 = the whole text
	spans      [][]span // by expression; empty unless a candidate
	room       []int    // by candidate: bytes its stretches may still take of a long text
	candidates []int
}

func (s *scratch) clear() {
	for _, i := range s.candidates {
		s.spans[i] = s.spans[i][:0]
	}
	s.candidates, s.measure = s.candidates[:0], measure{}
}

// byLiteral asks the expressions with literals, and calls found for each that matches with the
// stretch it did in.
func (m *Matcher) byLiteral(ctx context.Context, text []byte, found func(i int, near []byte)) error {
	s := m.scratch.Get().(*scratch)
	defer func() { s.clear(); m.scratch.Put(s) }()
	plain, exact := plainLetters(text)
	m.literal.scan(plain, func(owner uint32, end int) { m.note(s, int(owner), end, text, exact) })
	for _, i := range s.candidates {
		if err := ctx.Err(); err != nil {
			return err
		}
		near := text
		if e := &m.exprs[i]; s.window[i] > 0 {
			near = e.inSpans(text, s.spans[i])
		} else if !e.match(text) {
			near = nil
		}
		if near != nil {
			found(i, near)
		}
	}
	return nil
}

// note records that a literal of expression i ends at offset end; exact tells that the
// offset is one of the text.
func (m *Matcher) note(s *scratch, i, end int, text []byte, exact bool) {
	spans := s.spans[i]
	if len(spans) == 0 {
		s.candidates = append(s.candidates, i)
		s.window[i] = 0
		if m.exprs[i].bounded && exact {
			if s.measure.char == 0 {
				s.measure = measured(text)
			}
			s.window[i] = s.measure.window(m.exprs[i].extent)
		}
		if s.window[i] == 0 && len(text) > MaxText {
			s.window[i] = maxWindow
		}
		s.room[i] = MaxText
	} else if s.window[i] == 0 {
		return
	}
	from, to := max(end-s.window[i], 0), min(end+s.window[i], len(text))
	if k := len(spans); k > 0 && spans[k-1].to >= from {
		s.room[i] -= to - spans[k-1].to
		spans[k-1].to = to
	} else if s.room[i] > 0 {
		s.room[i] -= to - from
		spans = append(spans, span{from, to})
	}
	s.spans[i] = spans
}

// inSpans asks only the stretches, and returns the one that matches or nil. A match that touches
// the edge of one may owe itself to the cut where that went through a word or the expression asks
// for ends; then the whole text is asked, or of a long one more.
func (e *expr) inSpans(text []byte, spans []span) []byte {
	for _, sp := range spans {
		sp, clean := widen(text, sp)
		stretch := text[sp.from:sp.to]
		if !e.match(stretch) {
			continue
		}
		if clean && !e.ends || !touches(e.first(stretch), stretch, sp, text) {
			return stretch
		}
		if len(text) <= MaxText {
			if e.match(text) {
				return text
			}
			return nil
		}
		if more := e.further(text, sp); more != nil {
			return more
		}
	}
	return nil
}

// touches tells that a match reaches an end of a stretch that is none of the text.
func touches(at []int, stretch []byte, sp span, text []byte) bool {
	return at == nil || at[0] == 0 && sp.from > 0 || at[1] == len(stretch) && sp.to < len(text)
}

// further asks for more of a long text around a stretch, which settles a match at its edge
// unless that reaches the new one too.
func (e *expr) further(text []byte, sp span) []byte {
	sp, clean := widen(text, span{max(sp.from-maxWindow, 0), min(sp.to+maxWindow, len(text))})
	stretch := text[sp.from:sp.to]
	if at := e.first(stretch); at != nil && (clean && !e.ends || !touches(at, stretch, sp, text)) {
		return stretch
	}
	return nil
}

// plainLetters replaces the runes that fold onto ASCII letters by those letters; exact is
// false when that moved offsets.
func plainLetters(text []byte) (plain []byte, exact bool) {
	k, s := []byte(string(kelvin)), []byte(string(longS))
	if !bytes.Contains(text, k) && !bytes.Contains(text, s) {
		return text, true
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(text, k, []byte("k")), s, []byte("s")), false
}

// excerptBytes bounds what Excerpt shows.
const excerptBytes = 80

// Excerpt is what expression i matched in the text, on one line and cut short.
func (m *Matcher) Excerpt(i int, text []byte) string {
	at := m.exprs[i].first(text)
	if at == nil {
		return ""
	}
	found := text[at[0]:at[1]]
	more := ""
	if len(found) > excerptBytes {
		found, more = found[:excerptBytes], "..."
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(found), "")), " ") + more
}

// Count is how often expression i matches in the text, without overlap, up to most.
func (m *Matcher) Count(i int, text []byte, most int) int {
	if e := &m.exprs[i]; e.re != nil {
		return len(e.re.FindAllIndex(text, most))
	}
	return len(m.exprs[i].std.FindAllIndex(text, most))
}

func (e *expr) first(text []byte) []int {
	if e.re != nil {
		return e.re.FindIndex(text)
	}
	return e.std.FindIndex(text)
}
