package campaigntest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"postern/filter/campaign"
	"postern/filter/campaign/simhash"
)

// Memory is a store in memory. Fail, if set, is asked before each answer.
type Memory struct {
	Fail func() error

	mu     sync.Mutex
	copies []campaign.Copy
}

func (m *Memory) fail() error {
	if m.Fail == nil {
		return nil
	}
	return m.Fail()
}

// groups are those of some prints.
func (m *Memory) groups(want func(simhash.Print) bool) []campaign.Group {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[simhash.Print]*campaign.Group{}
	for _, c := range m.copies {
		if !want(c.Print) {
			continue
		}
		g := all[c.Print]
		if g == nil {
			g = &campaign.Group{Print: c.Print, First: c.At, Last: c.At}
			all[c.Print] = g
		}
		g.Messages++
		if c.State == campaign.Delivered {
			g.Delivered++
		}
		if c.At.Before(g.First) {
			g.First = c.At
		}
		if c.At.After(g.Last) {
			g.Last = c.At
		}
		from := campaign.Hash(c.Source)
		g.Sources = slices.DeleteFunc(g.Sources, func(s campaign.Source) bool { return s.Hash == from })
		g.Sources = append(g.Sources, campaign.Source{Hash: from, Last: c.At})
		g.Sources = g.Sources[max(0, len(g.Sources)-campaign.MaxSources):]
	}
	var out []campaign.Group
	for _, g := range all {
		out = append(out, *g)
	}
	return out
}

// Near implements campaign.Store.
func (m *Memory) Near(_ context.Context, p simhash.Print, bands []simhash.Band) ([]campaign.Group, error) {
	if err := m.fail(); err != nil {
		return nil, err
	}
	out := m.groups(func(q simhash.Print) bool {
		return simhash.Apart(p, q) <= simhash.Near && slices.ContainsFunc(q.Bands(), func(b simhash.Band) bool { return slices.Contains(bands, b) })
	})
	slices.SortFunc(out, func(a, b campaign.Group) int { return simhash.ByDistance(p)(a.Print, b.Print) })
	return out[:min(len(out), campaign.MaxNear)], nil
}

// Add implements campaign.Store.
func (m *Memory) Add(_ context.Context, c campaign.Copy) error {
	if err := m.fail(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.copies = append(m.copies, c)
	return nil
}

// Sync does nothing: all is there at once.
func (*Memory) Sync(context.Context) error { return nil }

// Copies implements campaign.Store.
func (m *Memory) Copies(_ context.Context, prints []simhash.Print, limit int) ([]campaign.Copy, error) {
	if err := m.fail(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	of := map[simhash.Print]int{}
	var out []campaign.Copy
	latest := slices.SortedFunc(slices.Values(m.copies), func(a, b campaign.Copy) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID))
	})
	for _, c := range latest {
		if slices.Contains(prints, c.Print) && of[c.Print] < campaign.MaxCopies && len(out) < limit {
			of[c.Print]++
			out = append(out, c)
		}
	}
	return out, nil
}

// Recent implements campaign.Store.
func (m *Memory) Recent(_ context.Context, since time.Time, limit int) ([]campaign.Group, error) {
	if err := m.fail(); err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(m.groups(func(simhash.Print) bool { return true }), func(g campaign.Group) bool { return g.Last.Before(since) })
	slices.SortFunc(out, func(a, b campaign.Group) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Print, b.Print))
	})
	return out[:min(len(out), limit)], nil
}

// Prune implements campaign.Store.
func (m *Memory) Prune(_ context.Context, before time.Time) (int, error) {
	old := map[simhash.Print]bool{}
	for _, g := range m.groups(func(simhash.Print) bool { return true }) {
		if g.Last.Before(before) {
			old[g.Print] = true
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.copies = slices.DeleteFunc(m.copies, func(c campaign.Copy) bool { return old[c.Print] })
	return len(old), m.fail()
}

// Size implements campaign.Store.
func (m *Memory) Size(context.Context) (prints, bytes int64, err error) {
	return int64(len(m.groups(func(simhash.Print) bool { return true }))), 0, m.fail()
}
