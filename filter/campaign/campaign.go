// Package campaign recognises the copies of one letter by a fuzzy hash of the words that a
// reader sees: those like a letter that somebody called bad, and a new letter that comes from
// many places at once. What came is remembered, so that a later judgement finds it.
package campaign

import (
	"context"
	"fmt"
	"slices"
	"time"

	"postern/filter"
	"postern/filter/campaign/opinion"
	"postern/filter/campaign/simhash"
)

// The symbols of this package.
const (
	Bad   = "CAMPAIGN_BAD"   // like a letter that the desk called bad
	Like  = "CAMPAIGN_LIKE"  // like one that was reported, or like a bad one and from another proved sender
	Burst = "CAMPAIGN_BURST" // a new letter from many unrelated sources
)

// Results returns what authentication found about the message, waiting for it if need be.
type Results func(ctx context.Context, m *filter.Message) ([]filter.Finding, error)

// Limits say what a burst is.
type Limits struct {
	Messages int // copies of a letter
	Sources  int // unrelated ones that it came from within Window
	Window   time.Duration
}

// New is how long a letter is new after its first copy: what has been coming for longer is
// some program's form letter rather than an outbreak.
const New = 24 * time.Hour

// Check is the check at OnData. All fields are needed, but Results may be nil: then m.Seen
// alone says who sent it.
type Check struct {
	Store    Store
	Opinions interface {
		Nearest(p simhash.Print) (opinion.Opinion, bool)
	}
	Results Results
	Now     func() time.Time
	Limits  func() Limits
	// Local is how many copies of a letter this node itself must have seen within the window
	// before it asks the store what other nodes saw: most letters have no copies, and a question
	// is a round trip. 0: it always asks.
	Local int

	recent recent
}

// Check implements filter.Check. An error says that the store gave no answer; what people said
// is known without it.
func (c *Check) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	p, err := Print(m)
	if err != nil || p == 0 {
		return nil, err
	}
	if said, ok := c.Opinions.Nearest(p); ok {
		return c.known(ctx, m, p, said), nil
	}
	if m.From == "" { // the notices of many servers have the same words
		return nil, nil
	}
	near, err := c.near(ctx, p)
	if err != nil {
		return nil, &filter.CouldNot{Words: "the campaigns could not be read", Cause: err}
	}
	author, _ := c.author(ctx, m)
	if n, sources, ok := c.burst(near, source(m, author)); ok {
		detail := fmt.Sprintf("copy %d of a new letter, from %d unrelated sources within %s (%s)", n, sources, c.Limits().Window, p)
		return []filter.Finding{{Symbol: Burst, Detail: detail}}, nil
	}
	return nil, nil
}

// near is what all nodes saw of a letter, none where this one saw too few copies to ask.
func (c *Check) near(ctx context.Context, p simhash.Print) ([]Group, error) {
	if c.Local == 0 {
		return c.Store.Near(ctx, p, p.Bands())
	}
	now := c.Now()
	copies, near, known := c.recent.see(p, now, now.Add(-c.Limits().Window))
	if copies < c.Local || known {
		return near, nil
	}
	near, err := c.Store.Near(ctx, p, p.Bands())
	if err == nil {
		c.recent.told(p, now, near)
	}
	return near, err
}

// Print is that of a message; zero where it has too few words. The error says that it could not
// be read.
func Print(m *filter.Message) (simhash.Print, error) {
	if m.Parts == nil {
		return 0, nil
	}
	tree, err := m.Parts()
	if err != nil {
		return 0, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	return simhash.Of(tree.Text()), nil
}

// author is who is proved to have written it; sure is whether authentication could tell.
func (c *Check) author(ctx context.Context, m *filter.Message) (author string, sure bool) {
	seen := m.Seen
	sure = true
	if c.Results != nil {
		found, err := c.Results(ctx, m)
		seen, sure = append(slices.Clone(seen), found...), err == nil
	}
	return proved(m, seen), sure
}

// known are the findings for a letter like one that somebody spoke of. Who forges a letter
// copies its words: a proved sender that sent none of the bad copies may be whose letter it is.
func (c *Check) known(ctx context.Context, m *filter.Message, p simhash.Print, said opinion.Opinion) []filter.Finding {
	if said.Word == opinion.Good {
		return nil
	}
	author, sure := c.author(ctx, m)
	other := author != "" && !slices.Contains(said.Authors, author)
	detail := fmt.Sprintf("%d of 64 marks differ from a letter that is %s: %s (%s)", simhash.Apart(p, said.Print), said.Word, said.Why, said.Print)
	switch {
	case said.Word == opinion.Bad && !other && sure:
		return []filter.Finding{{Symbol: Bad, Detail: detail}}
	case said.Word == opinion.Bad || !other:
		return []filter.Finding{{Symbol: Like, Detail: detail}}
	}
	return nil
}

// burst counts what is near, one more copy from a source included.
func (c *Check) burst(near []Group, from string) (messages, sources int, ok bool) {
	now, limits := c.Now(), c.Limits()
	if limits.Messages <= 0 {
		return 0, 0, false
	}
	seen := map[uint64]bool{Hash(from): true}
	messages = 1
	for _, g := range near {
		if now.Sub(g.First) > New {
			return 0, 0, false
		}
		messages += g.Messages
		for _, s := range g.Sources {
			if now.Sub(s.Last).Abs() <= limits.Window {
				seen[s.Hash] = true
			}
		}
	}
	return messages, len(seen), messages >= limits.Messages && len(seen) >= limits.Sources
}
