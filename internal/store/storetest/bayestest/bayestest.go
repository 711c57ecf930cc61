// Package bayestest holds the suite of the counts of tokens.
package bayestest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/filter/bayes"
)

// Run runs the suite; open makes an empty store.
func Run(t *testing.T, open func(testing.TB) bayes.Store) {
	t.Run("counts", func(t *testing.T) { counts(t, open(t)) })
	t.Run("model", func(t *testing.T) { model(t, open(t)) })
	t.Run("side by side", func(t *testing.T) { sideBySide(t, open(t)) })
	t.Run("many tokens", func(t *testing.T) { manyTokens(t, open(t)) })
}

// ID is the nth message.
func ID(n int) string { return fmt.Sprintf("%032x", n) }

// Tok is the nth token; tokens are spread over all numbers.
func Tok(n int) uint64 { return uint64(n) * 0x9e3779b97f4a7c15 }

func ask(t testing.TB, s bayes.Store, tokens ...uint64) []bayes.Count {
	t.Helper()
	got, err := s.Counts(t.Context(), tokens)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func apply(t testing.TB, s bayes.Store, changes ...bayes.Change) {
	t.Helper()
	if err := s.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, s bayes.Store, tokens []uint64, want ...bayes.Count) {
	t.Helper()
	if d := cmp.Diff(want, ask(t, s, tokens...)); d != "" {
		t.Error(d)
	}
}

func counts(t *testing.T, s bayes.Store) {
	a, b, c := Tok(1), Tok(2), Tok(3)
	all := []uint64{c, a, b, ^uint64(0), 0}
	none := make([]bayes.Count, 5)
	want(t, s, all, none...)
	if got := ask(t, s); len(got) != 0 {
		t.Errorf("counts of nothing: %v", got)
	}
	first := bayes.Change{ID: ID(1), Class: bayes.Spam, Tokens: []uint64{a, b, ^uint64(0), 0}}
	second := bayes.Change{ID: ID(2), Class: bayes.Ham, Tokens: []uint64{b, c}}
	apply(t, s, first, second)
	apply(t, s, first) // again: once
	want(t, s, all, bayes.Count{Ham: 1}, bayes.Count{Spam: 1}, bayes.Count{Spam: 1, Ham: 1}, bayes.Count{Spam: 1}, bayes.Count{Spam: 1})
	if n, bytes, err := s.Size(t.Context()); n != 5 || bytes <= 0 || err != nil {
		t.Errorf("size %d, %d, %v", n, bytes, err)
	}
	first.Class = bayes.Ham // somebody thought better of it
	apply(t, s, first)
	want(t, s, all, bayes.Count{Ham: 1}, bayes.Count{Ham: 1}, bayes.Count{Ham: 2}, bayes.Count{Ham: 1}, bayes.Count{Ham: 1})
	first.Class, second.Class = bayes.None, bayes.None
	apply(t, s, first, second, first)
	want(t, s, all, none...)
	if n, _, err := s.Size(t.Context()); n != 0 || err != nil {
		t.Errorf("%d tokens are left, %v", n, err)
	}
	first.Class = bayes.Spam
	apply(t, s, first)
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, s, all, none...)
	apply(t, s, first) // it counts anew after a reset
	want(t, s, []uint64{a}, bayes.Count{Spam: 1})
	if err := s.Apply(t.Context(), []bayes.Change{{ID: "no ID", Class: bayes.Spam}}); err == nil {
		t.Error("an ID that is none was taken")
	}
}

// model holds the store against sums over the messages that count.
func model(t *testing.T, s bayes.Store) {
	ctx := context.WithoutCancel(t.Context())
	rapid.Check(t, func(t *rapid.T) {
		if err := s.Reset(ctx); err != nil {
			t.Fatal(err)
		}
		tokensOf := func(n int) (out []uint64) {
			for i := range 12 {
				if (n*7+i*i)%3 != 0 {
					out = append(out, Tok(i+n%4))
				}
			}
			return out
		}
		is := map[int]bayes.Class{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			var changes []bayes.Change
			for range rapid.IntRange(1, 5).Draw(t, "changes") {
				n := rapid.IntRange(0, 6).Draw(t, "message")
				is[n] = bayes.Class(rapid.IntRange(0, 2).Draw(t, "class"))
				changes = append(changes, bayes.Change{ID: ID(n), Class: is[n], Tokens: tokensOf(n)})
			}
			if err := s.Apply(ctx, changes); err != nil {
				t.Fatal(err)
			}
		}
		sums := map[uint64]bayes.Count{}
		for i := range 16 {
			sums[Tok(i)] = bayes.Count{}
		}
		for n, class := range is {
			for _, tok := range tokensOf(n) {
				c := sums[tok]
				c.Add(class, 1)
				sums[tok] = c
			}
		}
		tokens := slices.Collect(maps.Keys(sums))
		got, err := s.Counts(ctx, tokens)
		if err != nil {
			t.Fatal(err)
		}
		for i, tok := range tokens {
			if got[i] != sums[tok] {
				t.Fatalf("token %x: %v, want %v", tok, got[i], sums[tok])
			}
		}
	})
}

// sideBySide changes the same messages from several sides at once.
func sideBySide(t *testing.T, s bayes.Store) {
	const sides, messages = 4, 20
	var all sync.WaitGroup
	for side := range sides {
		all.Go(func() {
			for i := range messages {
				n := (i + side*5) % messages
				for _, class := range []bayes.Class{bayes.Ham, bayes.Spam} {
					if err := s.Apply(t.Context(), []bayes.Change{{ID: ID(n), Class: class, Tokens: []uint64{Tok(1), Tok(n + 10)}}}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	want(t, s, []uint64{Tok(1), Tok(10)}, bayes.Count{Spam: messages}, bayes.Count{Spam: 1})
}

func manyTokens(t *testing.T, s bayes.Store) {
	var tokens []uint64
	for n := range 3000 {
		tokens = append(tokens, Tok(n+1))
	}
	apply(t, s, bayes.Change{ID: ID(1), Class: bayes.Spam, Tokens: tokens})
	for i, c := range ask(t, s, tokens...) {
		if c != (bayes.Count{Spam: 1}) {
			t.Fatalf("token %d: %v", i, c)
		}
	}
	apply(t, s, bayes.Change{ID: ID(1), Class: bayes.None, Tokens: tokens})
	if n, _, err := s.Size(t.Context()); n != 0 || err != nil {
		t.Errorf("%d tokens are left, %v", n, err)
	}
}
