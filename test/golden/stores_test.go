package golden_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"postern/abuse"
	"postern/blocklist"
	"postern/filter/greylist"
	"postern/filter/history"
)

// ownStore is the operator's list in memory.
type ownStore []blocklist.Entry

func (s ownStore) ListRevision(context.Context) (uint64, error) { return 1, nil }
func (s ownStore) ListEntries(context.Context) ([]blocklist.Entry, uint64, error) {
	return slices.Clone(s), 1, nil
}
func (s ownStore) PutListEntry(context.Context, blocklist.Entry) error { return nil }
func (s ownStore) RemoveListEntry(context.Context, string) error       { return blocklist.ErrNotFound }

// accountStore holds account records in memory.
type accountStore map[string]abuse.Account

func (s accountStore) AccountRevision(context.Context) (uint64, error) { return 1, nil }
func (s accountStore) Accounts(context.Context) ([]abuse.Account, uint64, error) {
	return slices.Collect(maps.Values(s)), 1, nil
}
func (s accountStore) Account(_ context.Context, name string) (abuse.Account, error) {
	if a, ok := s[name]; ok {
		return a, nil
	}
	return abuse.Account{}, abuse.ErrNotFound
}
func (s accountStore) PutAccount(context.Context, abuse.Account) error { return nil }

// marks is the memory of history.
type marks struct {
	mu  sync.Mutex
	all []history.Mark
}

func (s *marks) Past(_ context.Context, questions []history.Question, now time.Time) ([]history.Past, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	day := func(t time.Time) int64 { return t.Unix() / 86400 }
	out := make([]history.Past, len(questions))
	for i, q := range questions {
		days := map[int64]bool{}
		for _, m := range s.all {
			switch {
			case m.Key != q.Key || day(m.At) < day(q.Since) || day(m.At) > day(now)+1:
			case m.Bad:
				out[i].Bad++
			default:
				out[i].Good++
				days[day(m.At)] = true
			}
		}
		out[i].Days = len(days)
	}
	return out, nil
}

func (s *marks) Mark(_ context.Context, marks []history.Mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, marks...)
	return nil
}

func (s *marks) Prune(context.Context, time.Time) (int, error) { return 0, nil }

// waiting is the memory of the greylist.
type waiting struct {
	mu    sync.Mutex
	waits map[string]greylist.Waiting // by key
	known map[string]greylist.Known
}

func (s *waiting) find(keys []string, now time.Time) (w greylist.Waiting, ok bool) {
	for _, k := range keys {
		if one, found := s.waits[k]; found && now.Before(one.Expires) && (!ok || one.First.Before(w.First)) {
			w, ok = one, true
		}
	}
	return w, ok
}

func (s *waiting) Find(_ context.Context, tries, sources []string, now time.Time) (found greylist.Found, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.find(tries, now); ok {
		found.Waiting = &w
	}
	for _, key := range sources {
		if k, ok := s.known[key]; ok {
			found.Known = &k
			break
		}
	}
	return found, nil
}

func (s *waiting) PutOff(_ context.Context, w greylist.Waiting, now time.Time) (greylist.Waiting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.find(w.Keys, now); ok {
		old.Last, old.Tries = w.Last, old.Tries+1
		w = old
	}
	if s.waits == nil {
		s.waits = map[string]greylist.Waiting{}
	}
	for _, k := range w.Keys {
		s.waits[k] = w
	}
	return w, nil
}

func (s *waiting) GetWaiting(_ context.Context, id string) (greylist.Waiting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.waits {
		if w.ID == id {
			return w, nil
		}
	}
	return greylist.Waiting{}, greylist.ErrNotFound
}

func (s *waiting) ListWaiting(context.Context, string, int, time.Time) ([]greylist.Waiting, error) {
	return nil, nil
}

func (s *waiting) Settle(_ context.Context, id string, keys []string, k greylist.Known) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.waits, func(_ string, w greylist.Waiting) bool { return w.ID == id })
	if s.known == nil {
		s.known = map[string]greylist.Known{}
	}
	for _, key := range keys {
		s.known[key] = k
	}
	return nil
}

func (s *waiting) Prune(context.Context, time.Time, int) error { return nil }
