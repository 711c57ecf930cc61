package bayestest

import (
	"context"
	"fmt"
	"sync"

	"postern/filter/bayes"
)

// Memory is counts in memory, for tests of who learns. Fail, if set, is asked before each change.
type Memory struct {
	Fail func() error

	mu     sync.Mutex
	counts map[uint64]bayes.Count
	is     map[string]bayes.Class
}

// Counts implements bayes.Store.
func (m *Memory) Counts(_ context.Context, tokens []uint64) ([]bayes.Count, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]bayes.Count, len(tokens))
	for i, t := range tokens {
		out[i] = m.counts[t]
	}
	return out, nil
}

// Apply implements bayes.Store.
func (m *Memory) Apply(_ context.Context, changes []bayes.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Fail != nil {
		if err := m.Fail(); err != nil {
			return err
		}
	}
	if m.counts == nil {
		m.counts, m.is = map[uint64]bayes.Count{}, map[string]bayes.Class{}
	}
	for _, c := range changes {
		if len(c.ID) != 32 {
			return fmt.Errorf("%q is no ID", c.ID)
		}
		was := m.is[c.ID]
		for _, t := range c.Tokens {
			n := m.counts[t]
			n.Add(was, -1)
			n.Add(c.Class, 1)
			m.counts[t] = n
			if n == (bayes.Count{}) {
				delete(m.counts, t)
			}
		}
		m.is[c.ID] = c.Class
	}
	return nil
}

// Reset implements bayes.Store.
func (m *Memory) Reset(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.counts)
	clear(m.is)
	return nil
}

// Size implements bayes.Store.
func (m *Memory) Size(context.Context) (tokens, bytes int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.counts)), int64(40*len(m.counts) + 1), nil
}

// All returns all counts.
func (m *Memory) All() map[uint64]bayes.Count {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[uint64]bayes.Count, len(m.counts))
	for t, c := range m.counts {
		out[t] = c
	}
	return out
}
