// Package bayes says how much a message is like those that people called spam, and how much
// like those that they called good. It reads counts and writes none: filter/bayes/train learns.
package bayes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"postern/filter"
	"postern/filter/bayes/token"
	"postern/internal/mime"
)

// The symbols, from what is all good to what is all spam. With little learned only those
// between the two ends are said, with less none.
const (
	Bayes00 = "BAYES_00"
	Bayes05 = "BAYES_05"
	Bayes20 = "BAYES_20"
	Bayes50 = "BAYES_50"
	Bayes80 = "BAYES_80"
	Bayes95 = "BAYES_95"
	Bayes99 = "BAYES_99"
)

// How much must have been learned of each class.
const (
	Least = 20  // to say anything
	Sure  = 200 // to say Bayes00 or Bayes99
)

// leastSaid is how many tokens must speak: of a few words nothing can be told.
const leastSaid = 10

// Band is the symbol for a judgement, "" where too little was learned.
func Band(j Judgement, all Count) string {
	learned := min(all.Spam, all.Ham)
	switch {
	case learned < Least:
		return ""
	case j.Used < leastSaid:
		return Bayes50
	case j.P >= 0.99 && learned >= Sure:
		return Bayes99
	case j.P >= 0.95:
		return Bayes95
	case j.P >= 0.80:
		return Bayes80
	case j.P <= 0.01 && learned >= Sure:
		return Bayes00
	case j.P <= 0.05:
		return Bayes05
	case j.P <= 0.20:
		return Bayes20
	}
	return Bayes50
}

// Reader judges messages by what was learned.
type Reader struct {
	Store     Store
	Tokenizer token.Tokenizer
}

// messages is the name of the count of all messages.
const messages = "messages"

// Tokens are what a message counts under in a scope: its tokens, and that of all messages,
// which is the last.
func (r Reader) Tokens(scope string, tokens []uint64) []uint64 {
	out := make([]uint64, 0, len(tokens)+1)
	for _, t := range tokens {
		out = append(out, r.Tokenizer.In(scope, t))
	}
	return append(out, r.Tokenizer.In(scope, r.Tokenizer.Name(messages)))
}

// Learned is how many messages of each class were learned in a scope.
func (r Reader) Learned(ctx context.Context, scope string) (Count, error) {
	found, err := r.Store.Counts(ctx, r.Tokens(scope, nil))
	if err != nil {
		return Count{}, err
	}
	return found[0], nil
}

// Judge judges by what was learned for all, and for a scope where one is given. all is how
// many messages that rests on.
func (r Reader) Judge(ctx context.Context, scope string, tokens []uint64) (j Judgement, all Count, err error) {
	ask := r.Tokens("", tokens)
	if scope != "" {
		ask = append(ask, r.Tokens(scope, tokens)...)
	}
	counts, err := r.Store.Counts(ctx, ask)
	if err != nil {
		return j, all, err
	}
	n := len(tokens) + 1
	for i, more := range counts[n:] {
		counts[i].Spam += more.Spam
		counts[i].Ham += more.Ham
	}
	all = counts[n-1]
	return Combine(tokens, counts[:n-1], all), all, nil
}

// Check is the check at OnData.
type Check struct {
	Reader
	// Scope is the scope of what was learned for the domain of a recipient alone, "" where
	// there is none. nil: there are none.
	Scope func(domain string) string
}

// Check implements filter.Check. An error says that the store gave no answer.
func (c *Check) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	tree, err := m.Parts()
	if err != nil {
		return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	scopes, of := c.scopes(m)
	var tokens []uint64
	said := map[string]filter.Finding{}
	for _, scope := range scopes {
		if tokens == nil {
			if known, err := c.known(ctx, scope); err != nil || !known {
				if err != nil {
					return nil, err
				}
				continue
			}
			tokens = c.tokens(tree)
		}
		j, all, err := c.Judge(ctx, scope, tokens)
		if err != nil {
			return nil, away(err)
		}
		if band := Band(j, all); band != "" {
			said[scope] = filter.Finding{Symbol: band, Detail: words(j, all)}
		}
	}
	if len(scopes) == 1 {
		if f, ok := said[scopes[0]]; ok {
			return []filter.Finding{f}, nil
		}
		return nil, nil
	}
	var out []filter.Finding
	for i, to := range m.To {
		if f, ok := said[of[i]]; ok {
			f.For = to.Address
			out = append(out, f)
		}
	}
	return out, nil
}

func away(err error) error {
	return &filter.CouldNot{Words: "what was learned gave no answer", Cause: err}
}

// known reports whether enough was learned: without, a message need not be taken apart.
func (c *Check) known(ctx context.Context, scope string) (bool, error) {
	_, all, err := c.Judge(ctx, scope, nil)
	if err != nil {
		return false, away(err)
	}
	return min(all.Spam, all.Ham) >= Least, nil
}

func (c *Check) tokens(tree *mime.Tree) []uint64 { return c.Tokenizer.Of(tree) }

// scopes are those of the recipients, each once, and that of each recipient.
func (c *Check) scopes(m *filter.Message) (all, of []string) {
	for _, to := range m.To {
		scope := ""
		if c.Scope != nil {
			scope = c.Scope(strings.ToLower(to.Address[strings.LastIndexByte(to.Address, '@')+1:]))
		}
		of = append(of, scope)
		if !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	if len(all) == 0 {
		all = []string{""}
	}
	return all, of
}

// words tell people what the symbol rests on.
func words(j Judgement, all Count) string {
	return fmt.Sprintf("%.1f %% like spam by %d words and marks; %d spam and %d good messages were learned", 100*j.P, j.Used, all.Spam, all.Ham)
}
