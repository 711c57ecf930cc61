// Package accounts keeps account records in memory, for tests.
package accounts

import (
	"context"
	"maps"
	"slices"
	"sync"

	"postern/abuse"
)

// Memory is an abuse.Store that can be made to fail. The zero value is empty.
type Memory struct {
	mu    sync.Mutex
	rev   uint64
	all   map[string]abuse.Account
	broke error
}

var _ abuse.Store = (*Memory)(nil)

// Break makes every answer this error from now on; nil makes it work again.
func (s *Memory) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broke = err
}

// Set writes a record past all versions, as a store that went back in time would have it.
func (s *Memory) Set(a abuse.Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(a)
}

func (s *Memory) set(a abuse.Account) {
	if s.all == nil {
		s.all = map[string]abuse.Account{}
	}
	s.all[a.Name] = a
	s.rev++
}

// AccountRevision implements abuse.Store.
func (s *Memory) AccountRevision(context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rev, s.broke
}

// Accounts implements abuse.Store.
func (s *Memory) Accounts(context.Context) ([]abuse.Account, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.all)), s.rev, s.broke
}

// Account implements abuse.Store.
func (s *Memory) Account(_ context.Context, name string) (abuse.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.all[name]
	if !ok {
		return a, abuse.ErrNotFound
	}
	return a, s.broke
}

// PutAccount implements abuse.Store.
func (s *Memory) PutAccount(_ context.Context, a abuse.Account) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broke != nil {
		return s.broke
	}
	if s.all[a.Name].Version != a.Version-1 {
		return abuse.ErrConflict
	}
	s.set(a)
	return nil
}
