// Package token turns a message into the tokens that learning counts: words and pairs of words,
// bigrams where a script has no spaces, and what header fields, links and the structure say.
//
// No token knows a date, a year, a recipient, or whether a field that servers on the way add
// (Received, Authentication-Results) is there: folders of mail differ by those for reasons that
// have nothing to do with spam.
package token

import (
	"slices"

	"postern/internal/mime"
)

// Bounds of what is taken from one message; the rest is not looked at.
const (
	MaxText    = 64 << 10 // bytes of text
	MaxWords   = 1000     // words and bigrams of the text
	MaxSubject = 64       // words of the subject; of a display name and the like as many
	MaxLinks   = 64       // links
	MaxTokens  = 3000     // tokens
	maxWord    = 24       // runes of one word; of a longer one its length is the token
)

// Tokenizer hashes tokens under a key.
type Tokenizer struct{ Key Key }

// Of returns the tokens of a message in rising order, each once, at most MaxTokens.
func (t Tokenizer) Of(tree *mime.Tree) []uint64 {
	b := bag{key: t.Key, all: make([]uint64, 0, 2*MaxWords)}
	b.header(tree)
	b.structure(tree)
	b.relations(tree)
	b.links(tree.URLs())
	text := tree.Visible()
	b.text(kindWord, cut(text, MaxText), MaxWords)
	slices.Sort(b.all)
	b.all = slices.Compact(b.all)
	if len(b.all) > MaxTokens { // by their hash, which nobody outside can choose
		b.all = b.all[:MaxTokens]
	}
	return b.all
}

// Name is the number under which something else is counted beside the tokens.
func (t Tokenizer) Name(name string) uint64 {
	return t.Key.Sum(append([]byte{byte(kindName)}, name...))
}

// In is a token within a scope, for counts of its own.
func (t Tokenizer) In(scope string, token uint64) uint64 {
	if scope == "" {
		return token
	}
	return t.Key.Sum(append(appendHash([]byte{byte(kindScope)}, token), scope...))&^1 | token&1
}

// kind keeps tokens of different places apart.
type kind byte

const (
	kindWord kind = iota + 1
	kindPair
	kindSubject
	kindSubjectPair
	kindName
	kindScope
	kindFrom
	kindFromDomain
	kindReply
	kindMailer
	kindList
	kindShape
	kindHost
	kindPath
	kindFile
	kindRelation
)

// Version is that of what the tokens mean: those of another one do not count with them.
const Version = "2"

// Voice is which of the two voices a token speaks with.
type Voice uint8

// The voices. Words of the text are many, and one says much the same as its neighbour; marks are
// what the header, the links and the structure say.
const (
	Word Voice = iota
	Mark
)

// VoiceOf returns the voice of a token, which its last bit tells.
func VoiceOf(token uint64) Voice { return Voice(token & 1) }

// voiced puts the voice into the last bit of a hash.
func (k kind) voiced(h uint64) uint64 {
	if k == kindWord || k == kindPair {
		return h &^ 1
	}
	return h | 1
}

// bag collects hashed tokens.
type bag struct {
	key Key
	all []uint64
	buf []byte
}

func (b *bag) add(k kind, text string) uint64 {
	b.buf = append(append(b.buf[:0], byte(k)), text...)
	h := k.voiced(b.key.Sum(b.buf))
	b.all = append(b.all, h)
	return h
}

// pair adds two tokens that stand side by side, or with one between them.
func (b *bag) pair(k kind, first, second uint64, between byte) {
	b.buf = appendHash(appendHash(append(b.buf[:0], byte(k), between), first), second)
	b.all = append(b.all, k.voiced(b.key.Sum(b.buf)))
}

func appendHash(to []byte, h uint64) []byte {
	for i := range 8 {
		to = append(to, byte(h>>(8*i)))
	}
	return to
}

// cut shortens text to n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n]
}
