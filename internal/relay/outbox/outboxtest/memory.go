// Package outboxtest has an outbox in memory and the conformance suite every home of the
// outbox must pass.
package outboxtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"postern/internal/relay/outbox"
)

// Memory is an outbox.Store for tests. Fail is returned by the next writes when set.
type Memory struct {
	mu      sync.Mutex
	n       int
	entries map[string]*held
	fail    error
}

type held struct {
	e       outbox.Entry
	body    []byte
	until   time.Time // end of the lease
	claimed bool      // by a try that ended neither in Retry nor in End
}

// NewMemory makes an empty outbox.
func NewMemory() *Memory { return &Memory{entries: map[string]*held{}} }

// Fail makes all writes fail with err; nil ends that.
func (s *Memory) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Crash voids all leases, as opening a home does.
func (s *Memory) Crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.entries {
		h.until = time.Time{}
	}
}

// Len counts the entries.
func (s *Memory) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

// Add implements outbox.Store.
func (s *Memory) Add(_ context.Context, e outbox.Entry, body io.Reader) (string, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	if got := hex.EncodeToString(sum[:]); got != e.SHA256 {
		return "", fmt.Errorf("body hashes to %s, not %s", got, e.SHA256)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return "", s.fail
	}
	s.n++
	if e.ID == "" {
		e.ID = fmt.Sprintf("entry-%04d", s.n)
	}
	e.Version = 1
	s.entries[e.ID] = &held{e: e, body: text}
	return e.ID, nil
}

// Put writes an entry as it is, version and all; a claim on what was there is void.
func (s *Memory) Put(e outbox.Entry, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.entries[e.ID] = &held{e: copyOf(e), body: body}
	return nil
}

// Claim implements outbox.Store.
func (s *Memory) Claim(_ context.Context, now time.Time, lease time.Duration) (outbox.Entry, bool, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return outbox.Entry{}, false, false, s.fail
	}
	var best *held
	for _, h := range s.entries {
		if h.until.After(now) || h.e.Next.After(now) {
			continue
		}
		if best == nil || h.e.Next.Before(best.e.Next) || h.e.Next.Equal(best.e.Next) && h.e.ID < best.e.ID {
			best = h
		}
	}
	if best == nil {
		return outbox.Entry{}, false, false, nil
	}
	e, crashed := best.claim(now, lease)
	return e, crashed, true, nil
}

func (h *held) claim(now time.Time, lease time.Duration) (outbox.Entry, bool) {
	crashed := h.claimed
	h.claimed, h.until = true, now.Add(lease)
	h.e.Version++
	return copyOf(h.e), crashed
}

func copyOf(e outbox.Entry) outbox.Entry {
	e.To = slices.Clone(e.To)
	return e
}

// ClaimID implements outbox.Store.
func (s *Memory) ClaimID(_ context.Context, id string, now time.Time, lease time.Duration) (outbox.Entry, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.entries[id]
	switch {
	case s.fail != nil:
		return outbox.Entry{}, false, s.fail
	case h == nil:
		return outbox.Entry{}, false, outbox.ErrNotFound
	case h.until.After(now):
		return outbox.Entry{}, false, outbox.ErrLost
	}
	e, crashed := h.claim(now, lease)
	return e, crashed, nil
}

// owned finds the entry of a claim that still stands; the lock is held.
func (s *Memory) owned(e outbox.Entry) (*held, error) {
	h := s.entries[e.ID]
	switch {
	case s.fail != nil:
		return nil, s.fail
	case h == nil:
		return nil, outbox.ErrNotFound
	case h.e.Version != e.Version || !h.claimed:
		return nil, outbox.ErrLost
	}
	return h, nil
}

// Retry implements outbox.Store.
func (s *Memory) Retry(_ context.Context, e outbox.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.owned(e)
	if err != nil {
		return err
	}
	h.e.To, h.e.Next, h.e.Attempts, h.e.Ambiguous, h.e.LastReply = slices.Clone(e.To), e.Next, e.Attempts, e.Ambiguous, e.LastReply
	h.e.Version++
	h.until, h.claimed = time.Time{}, false
	return nil
}

// End implements outbox.Store.
func (s *Memory) End(_ context.Context, e outbox.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.owned(e)
	if err != nil {
		return err
	}
	delete(s.entries, h.e.ID)
	return nil
}

// Body implements outbox.Store.
func (s *Memory) Body(_ context.Context, id string) (outbox.Body, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.entries[id]
	if h == nil {
		return nil, outbox.ErrNotFound
	}
	return memoryBody{bytes.NewReader(h.body)}, nil
}

type memoryBody struct{ *bytes.Reader }

func (memoryBody) Close() error { return nil }

// Get implements outbox.Store.
func (s *Memory) Get(_ context.Context, id string) (outbox.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.entries[id]
	if h == nil {
		return outbox.Entry{}, outbox.ErrNotFound
	}
	return copyOf(h.e), nil
}

// List implements outbox.Store.
func (s *Memory) List(_ context.Context, after string, limit int) ([]outbox.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []outbox.Entry
	for id, h := range s.entries {
		if id > after {
			out = append(out, copyOf(h.e))
		}
	}
	slices.SortFunc(out, func(a, b outbox.Entry) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	return out[:min(limit, len(out))], nil
}

// Hurry implements outbox.Store.
func (s *Memory) Hurry(_ context.Context, id string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.entries[id]
	if h == nil {
		return outbox.ErrNotFound
	}
	if !h.until.After(now) {
		h.e.Next = now
	}
	return nil
}

// Due implements outbox.Store.
func (s *Memory) Due(context.Context) (next time.Time, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.entries {
		at := h.e.Next
		if h.until.After(at) {
			at = h.until
		}
		if !ok || at.Before(next) {
			next, ok = at, true
		}
	}
	return next, ok, nil
}
