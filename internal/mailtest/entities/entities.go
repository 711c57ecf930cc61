// Package entities is a home for records in memory, for tests of the rooms that keep some.
package entities

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/entity"
)

// Memory implements entity.Home. Fail, if set, is asked before each change.
type Memory struct {
	Now  func() time.Time // nil = time.Now
	Fail func() error
	Cap  map[entity.Class]int64

	mu       sync.Mutex
	records  map[entity.Kind]map[string]entity.Record
	revision map[entity.Kind]uint64
	blobs    map[entity.Class]map[string]blob
}

type blob struct {
	data []byte
	at   time.Time
}

var _ entity.Home = (*Memory)(nil)

func (m *Memory) fail(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.Fail != nil {
		return m.Fail()
	}
	return nil
}

// Put implements entity.Store.
func (m *Memory) Put(ctx context.Context, r entity.Record) error {
	if err := r.Validate(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail(ctx); err != nil {
		return err
	}
	old, there := m.records[r.Kind][r.ID]
	switch {
	case r.Version == 1 && there:
		return entity.ErrExists
	case old.Version != r.Version-1:
		return entity.ErrConflict
	}
	if m.records == nil {
		m.records, m.revision = map[entity.Kind]map[string]entity.Record{}, map[entity.Kind]uint64{}
	}
	if m.records[r.Kind] == nil {
		m.records[r.Kind] = map[string]entity.Record{}
	}
	r.Data, r.Keys = slices.Clone(r.Data), slices.Clone(r.Keys)
	m.records[r.Kind][r.ID] = r
	m.revision[r.Kind]++
	return nil
}

// Get implements entity.Store.
func (m *Memory) Get(ctx context.Context, kind entity.Kind, id string) (entity.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return entity.Record{}, err
	}
	r, ok := m.records[kind][id]
	if !ok {
		return r, entity.ErrNotFound
	}
	r.Data, r.Keys = slices.Clone(r.Data), slices.Clone(r.Keys)
	return r, nil
}

type hit struct {
	at int64
	r  entity.Record
}

func (m *Memory) hits(q entity.Query) []hit {
	var out []hit
	for _, r := range m.records[q.Kind] {
		for _, k := range entity.Unique(r.Keys) {
			if k.Index == q.Index && k.Value == q.Value && q.Covers(k.At) {
				out = append(out, hit{k.At, r})
			}
		}
	}
	slices.SortFunc(out, func(a, b hit) int {
		n := cmp.Or(cmp.Compare(b.at, a.at), strings.Compare(b.r.ID, a.r.ID))
		if q.Rising {
			return -n
		}
		return n
	})
	return out
}

// Find implements entity.Store.
func (m *Memory) Find(ctx context.Context, q entity.Query) (entity.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	limit := q.Per()
	hits, from := m.hits(q), 0
	start, err := q.Start()
	if err != nil {
		return entity.Page{}, err
	}
	for start.ID != "" && from < len(hits) {
		n := cmp.Or(cmp.Compare(hits[from].at, start.At), strings.Compare(hits[from].r.ID, start.ID))
		if q.Rising && n > 0 || !q.Rising && n < 0 {
			break
		}
		from++
	}
	var p entity.Page
	for i, weight := from, 0; i < len(hits); i++ {
		r := hits[i].r
		if weight += len(r.Data); len(p.Records) == limit || len(p.Records) > 0 && weight > entity.MaxWeight {
			p.Next = entity.Cursor{At: hits[i-1].at, ID: hits[i-1].r.ID}.String()
			break
		}
		r.Data, r.Keys = slices.Clone(r.Data), slices.Clone(r.Keys)
		p.Records = append(p.Records, r)
	}
	return p, ctx.Err()
}

// Count implements entity.Store.
func (m *Memory) Count(ctx context.Context, q entity.Query, limit int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return min(len(m.hits(q)), max(limit, 0)), ctx.Err()
}

// Remove implements entity.Store.
func (m *Memory) Remove(ctx context.Context, kind entity.Kind, id string, version uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail(ctx); err != nil {
		return err
	}
	old, there := m.records[kind][id]
	if !there {
		return nil
	}
	if old.Version != version {
		return entity.ErrConflict
	}
	delete(m.records[kind], id)
	m.revision[kind]++
	return nil
}

// Revision implements entity.Store.
func (m *Memory) Revision(ctx context.Context, kind entity.Kind) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision[kind], ctx.Err()
}

// PutBlob implements entity.Blobs.
func (m *Memory) PutBlob(ctx context.Context, class entity.Class, r io.Reader) (string, int64, error) {
	data, err := io.ReadAll(io.LimitReader(r, entity.MaxBlob+1))
	if err = errors.Join(class.Validate(), err); err != nil {
		return "", 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail(ctx); err != nil {
		return "", 0, err
	}
	digest := sha256.Sum256(data)
	sum := hex.EncodeToString(digest[:])
	if _, there := m.blobs[class][sum]; there {
		return sum, int64(len(data)), nil
	}
	if limit := m.Cap[class]; len(data) > entity.MaxBlob || limit > 0 && m.used(class)+int64(len(data)) > limit {
		return "", 0, entity.ErrFull
	}
	if m.blobs == nil {
		m.blobs = map[entity.Class]map[string]blob{}
	}
	if m.blobs[class] == nil {
		m.blobs[class] = map[string]blob{}
	}
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	m.blobs[class][sum] = blob{data, now()}
	return sum, int64(len(data)), nil
}

func (m *Memory) used(class entity.Class) (n int64) {
	for _, b := range m.blobs[class] {
		n += int64(len(b.data))
	}
	return n
}

// Blob implements entity.Blobs.
func (m *Memory) Blob(ctx context.Context, class entity.Class, sum string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(class.Validate(), ctx.Err()); err != nil {
		return nil, err
	}
	b, ok := m.blobs[class][sum]
	if !ok {
		return nil, entity.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(b.data)), nil
}

// RemoveBlob implements entity.Blobs.
func (m *Memory) RemoveBlob(ctx context.Context, class entity.Class, sum string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(class.Validate(), m.fail(ctx)); err != nil {
		return err
	}
	delete(m.blobs[class], sum)
	return nil
}

// BlobsBefore implements entity.Blobs.
func (m *Memory) BlobsBefore(ctx context.Context, class entity.Class, t time.Time, limit int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for sum, b := range m.blobs[class] {
		if b.at.Before(t) {
			out = append(out, sum)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(m.blobs[class][a].at.Compare(m.blobs[class][b].at), strings.Compare(a, b))
	})
	return out[:min(len(out), max(limit, 0))], errors.Join(class.Validate(), ctx.Err())
}

// BlobBytes implements entity.Blobs.
func (m *Memory) BlobBytes(ctx context.Context, class entity.Class) (used, limit int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used(class), m.Cap[class], errors.Join(class.Validate(), ctx.Err())
}
