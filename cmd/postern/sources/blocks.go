// Package sources puts blocks of sources elsewhere into the operator's own lists.
package sources

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"postern/abuse/external/order"
	"postern/blocklist"
)

// Blocks writes to the own lists. It implements external.Lists and published.Lists. What
// others wrote stands: it is neither replaced nor removed.
type Blocks struct {
	Own   *blocklist.Own
	Store blocklist.Store
}

// authors say whose an entry is; the person who ordered it follows.
func ofCase(id string) string   { return "case " + id + ": " }
func ofList(name string) string { return "list " + name + ": " }

func entry(b order.Block, owner, why string) blocklist.Entry {
	reason := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, fmt.Sprintf("%s (%s; lifted by the rule %s)", b.Why, why, b.Rule))
	return blocklist.Entry{Value: b.Value, Scope: blocklist.All, Reason: reason, Author: owner + b.By, Created: b.At, Expires: b.Until}
}

// Block puts one block into effect here; other nodes follow within seconds.
func (s Blocks) Block(ctx context.Context, b order.Block, caseID string) error {
	theirs, _, err := s.held(ctx, ofCase(caseID))
	if err != nil {
		return err
	}
	e, err := entry(b, ofCase(caseID), caseID).Normalize()
	if err != nil || theirs[e.Key()] {
		return err
	}
	_, err = s.Own.Add(ctx, e)
	return err
}

// Unblock ends a block of a case.
func (s Blocks) Unblock(ctx context.Context, b order.Block, caseID string) error {
	_, ours, err := s.held(ctx, ofCase(caseID))
	if err != nil {
		return err
	}
	e, err := entry(b, "", "").Normalize()
	if err != nil || !ours[e.Key()] {
		return err
	}
	if err := s.Own.Remove(ctx, e.Key()); !errors.Is(err, blocklist.ErrNotFound) {
		return err
	}
	return nil
}

// Apply puts the entries of a published list into effect, all at once.
func (s Blocks) Apply(ctx context.Context, list string, add, remove []order.Block) error {
	owner := ofList(list)
	theirs, ours, err := s.held(ctx, owner)
	if err != nil {
		return err
	}
	for _, b := range add {
		e, err := entry(b, owner, "list "+list).Normalize()
		if err != nil {
			return err
		}
		if !theirs[e.Key()] {
			if err := s.Store.PutListEntry(ctx, e); err != nil {
				return err
			}
		}
	}
	for _, b := range remove {
		e, err := entry(b, owner, "").Normalize()
		if err != nil {
			return err
		}
		if !ours[e.Key()] {
			continue
		}
		if err := s.Store.RemoveListEntry(ctx, e.Key()); err != nil && !errors.Is(err, blocklist.ErrNotFound) {
			return err
		}
	}
	return s.Own.Load(ctx)
}

// held are the keys in the lists, by whether they belong to owner.
func (s Blocks) held(ctx context.Context, owner string) (theirs, ours map[string]bool, err error) {
	all, _, err := s.Store.ListEntries(ctx)
	theirs, ours = map[string]bool{}, map[string]bool{}
	for _, e := range all {
		if strings.HasPrefix(e.Author, owner) {
			ours[e.Key()] = true
		} else {
			theirs[e.Key()] = true
		}
	}
	return theirs, ours, err
}
