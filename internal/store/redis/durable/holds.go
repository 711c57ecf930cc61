package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
	"postern/quarantine"
)

const holdKind = "hold"

// HoldStore is a quarantine.Store whose promises stand in the journal and in the shared store.
// What it reads is what the shared store says.
type HoldStore struct {
	Holds  // the shared store; what is not overridden goes there
	jrn    *journal.Journal
	phases *phase.Phases
	o      Options

	locks  phase.Stripes
	adopts sync.Mutex
	pushed atomic.Int64

	mu     sync.Mutex
	live   map[string]*kept
	claims map[string]quarantine.Hold // of other nodes' holds, which are on their way out through us
}

// kept is what is known of a hold in the journal.
type kept struct {
	version   int64
	state     quarantine.State
	confirmed time.Time
	owners    int       // sessions that may still confirm or drop it
	maybe     bool      // a Confirm was lost on its way: it may have been answered for
	doubt     time.Time // since when
	missing   bool      // the shared store does not have it
	alone     bool      // promised while the shared store could not be told
	alarm     time.Time
}

// note is the record in the journal.
type note struct {
	Hold      quarantine.Hold `json:"hold"`
	Confirmed time.Time       `json:"confirmed,omitzero"`
}

// NewHolds joins the shared store and the journal.
func NewHolds(far Holds, j *journal.Journal, o Options) *HoldStore {
	o = o.Filled()
	s := &HoldStore{Holds: far, jrn: j, o: o, phases: phase.New(o, j, holdKind), live: map[string]*kept{}, claims: map[string]quarantine.Hold{}}
	ids, _ := j.IDs(holdKind)
	for _, id := range ids {
		n, err := s.read(id)
		if err != nil {
			o.Log.Error("a hold in the journal cannot be read", "hold", id, "error", err)
			continue
		}
		s.live[id] = &kept{version: n.Hold.Version, state: n.Hold.State, confirmed: n.Confirmed}
	}
	return s
}

func (s *HoldStore) read(id string) (n note, err error) {
	e, err := s.jrn.Get(holdKind, id)
	if err != nil {
		return n, err
	}
	err = json.Unmarshal(e.Record, &n)
	if err == nil && n.Hold.ID != id {
		err = fmt.Errorf("the record of %s is one of %q", id, n.Hold.ID)
	}
	return n, err
}

func liveItem(n note) (journal.Item, error) {
	text, err := json.Marshal(n)
	return journal.Item{Kind: holdKind, ID: n.Hold.ID, Record: text}, err
}

func goneItem(id string) journal.Item {
	return journal.Item{Kind: holdKind, ID: id, State: journal.Gone}
}

// Put implements quarantine.Store: the journal and the shared store are written side by side.
func (s *HoldStore) Put(ctx context.Context, h quarantine.Hold, body io.Reader) (quarantine.Hold, error) {
	h.State, h.Version, h.V = quarantine.Provisional, 1, quarantine.RecordVersion
	it, err := liveItem(note{Hold: h})
	if err != nil {
		return quarantine.Hold{}, err
	}
	pr, pw := io.Pipe()
	var got quarantine.Hold
	var farErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, farErr = s.Holds.Put(ctx, h, pr)
		if farErr != nil {
			pr.CloseWithError(errFar)
		}
		pr.CloseWithError(errEnough)
	}()
	both := &tee{r: body, w: pw}
	own := s.jrn.Put(ctx, it, h.SHA256, both)
	if errors.Is(own, journal.ErrExists) {
		_, err := io.Copy(io.Discard, both) // it may be the same hold again: the shared store says
		_ = pw.CloseWithError(err)          // nil is the end
	}
	_ = pw.CloseWithError(own)
	<-done
	wide := context.WithoutCancel(ctx)
	switch {
	case own != nil && !errors.Is(own, errFar) && !errors.Is(own, journal.ErrExists):
		if farErr == nil {
			farErr = s.giveUp(wide, got)
		}
		return quarantine.Hold{}, phase.Sorted(own)
	case farErr != nil:
		if own == nil {
			own = s.jrn.Set(wide, goneItem(h.ID))
		}
		return quarantine.Hold{}, errors.Join(farErr, s.minor(own))
	}
	return s.keep(wide, h, got, own == nil)
}

var (
	errFar    = errors.New("the shared store refused it")
	errEnough = errors.New("the shared store has read enough")
)

// minor leaves out what is no trouble.
func (s *HoldStore) minor(err error) error {
	if errors.Is(err, errFar) || errors.Is(err, journal.ErrExists) {
		return nil
	}
	return err
}

// tee hands what the journal reads to the shared store too.
type tee struct {
	r io.Reader
	w *io.PipeWriter
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 {
		if _, werr := t.w.Write(p[:n]); errors.Is(werr, errFar) {
			return 0, errFar
		}
	}
	if errors.Is(err, io.EOF) {
		_ = t.w.Close()
	} else if err != nil {
		_ = t.w.CloseWithError(err)
	}
	return n, err
}

// giveUp takes a Put back from the shared store.
func (s *HoldStore) giveUp(ctx context.Context, h quarantine.Hold) error {
	if h.State != quarantine.Provisional {
		return nil
	}
	return s.Holds.Drop(ctx, []string{h.ID})
}

// keep makes the journal stand for what the shared store answered to a Put. mine says that the
// journal has h, the hold that was asked for.
func (s *HoldStore) keep(ctx context.Context, h, got quarantine.Hold, mine bool) (quarantine.Hold, error) {
	var err error
	switch {
	case got.ID == h.ID && mine:
		s.mu.Lock()
		s.live[h.ID] = &kept{version: 1, state: quarantine.Provisional, owners: 1}
		s.mu.Unlock()
		err = s.promote(ctx, got)
	case got.State == quarantine.Provisional:
		err = s.adopt(ctx, h, got, mine)
	default:
		if err = s.promote(ctx, got); err == nil {
			err = s.vouch(ctx, got)
		}
	}
	if mine && got.ID != h.ID {
		err = errors.Join(err, s.jrn.Set(ctx, goneItem(h.ID)))
	}
	if err != nil {
		return quarantine.Hold{}, errors.Join(phase.Sorted(err), s.giveUp(ctx, got))
	}
	return got, nil
}

// adopt keeps a provisional hold of an earlier Put for one more session.
func (s *HoldStore) adopt(ctx context.Context, h, got quarantine.Hold, mine bool) error {
	s.adopts.Lock()
	defer s.adopts.Unlock()
	s.mu.Lock()
	k := s.live[got.ID]
	s.mu.Unlock()
	if k != nil {
		n, err := s.read(got.ID)
		if err != nil {
			return err
		}
		if n.Hold.Key != got.Key || n.Hold.SHA256 != got.SHA256 {
			return fmt.Errorf("%w: %s", quarantine.ErrTaken, got.ID)
		}
		s.mu.Lock()
		k.owners++
		s.mu.Unlock()
		return nil
	}
	if !mine {
		return fmt.Errorf("%w: %s", quarantine.ErrTaken, got.ID)
	}
	r, err := s.jrn.Body(holdKind, h.ID)
	if err != nil {
		return err
	}
	defer r.Close()
	it, err := liveItem(note{Hold: got})
	if err == nil {
		err = s.jrn.Put(ctx, it, got.SHA256, r)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.live[got.ID] = &kept{version: got.Version, state: got.State, owners: 1}
	s.mu.Unlock()
	return nil
}

// promote makes sure that what is about to be answered for is no longer provisional here.
func (s *HoldStore) promote(ctx context.Context, h quarantine.Hold) error {
	defer s.locks.Lock(h.ID)()
	s.mu.Lock()
	k := s.live[h.ID]
	provisional := k != nil && k.state == quarantine.Provisional
	s.mu.Unlock()
	if !provisional || h.State == quarantine.Provisional {
		return nil
	}
	return s.mirror(ctx, h)
}

// FindKey implements quarantine.Store.
func (s *HoldStore) FindKey(ctx context.Context, key string, since time.Time) (quarantine.Hold, bool, error) {
	h, ok, err := s.Holds.FindKey(ctx, key, since)
	if err != nil || !ok {
		return h, ok, err
	}
	err = s.promote(ctx, h)
	if err == nil {
		err = s.vouch(ctx, h)
	}
	if err != nil {
		return quarantine.Hold{}, false, phase.Sorted(err)
	}
	return h, true, nil
}

// Confirm implements quarantine.Store: the shared store first, so that the journal takes for held
// only what is about to be answered for.
func (s *HoldStore) Confirm(ctx context.Context, ids []string) error {
	if err := s.Holds.Confirm(ctx, ids); err != nil {
		s.mu.Lock()
		for _, id := range ids {
			if k := s.live[id]; k != nil && k.state == quarantine.Provisional && !errors.Is(err, quarantine.ErrNotFound) {
				k.maybe, k.doubt = true, s.o.Now()
			}
		}
		s.mu.Unlock()
		return err
	}
	return s.stand(ctx, ids, false)
}

// Promise stands for provisional holds in the journal alone, until the shared store can be
// told: for a message that a server behind has taken for others, so that it must not come again.
// It is an error where this node does not have them all.
func (s *HoldStore) Promise(ctx context.Context, ids []string) error {
	if known, _ := s.seen(ids); len(known) < len(ids) {
		return fmt.Errorf("%w: not all stand in the journal of this node", quarantine.ErrNotFound)
	}
	return s.stand(ctx, ids, true)
}

// stand makes the journal take holds for held; alone says that the shared store does not yet.
func (s *HoldStore) stand(ctx context.Context, ids []string, alone bool) error {
	var items []journal.Item
	var done []*kept
	for _, id := range ids {
		s.mu.Lock()
		k := s.live[id]
		provisional := k != nil && k.state == quarantine.Provisional
		s.mu.Unlock()
		if !provisional {
			continue
		}
		n, err := s.read(id)
		if err != nil {
			return phase.Sorted(err)
		}
		n.Hold.State, n.Confirmed = quarantine.Held, s.o.Now()
		n.Hold.Version++
		it, err := liveItem(n)
		if err != nil {
			return err
		}
		items, done = append(items, it), append(done, k)
	}
	if err := s.jrn.Set(context.WithoutCancel(ctx), items...); err != nil && !onlyEnded(err) {
		return phase.Sorted(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range done {
		if k.state == quarantine.Provisional {
			k.state, k.confirmed, k.maybe, k.alone = quarantine.Held, s.o.Now(), false, alone
			k.version++
		}
	}
	return nil
}

// Drop implements quarantine.Store.
func (s *HoldStore) Drop(ctx context.Context, ids []string) error {
	err := s.Holds.Drop(ctx, ids)
	var gone []journal.Item
	s.mu.Lock()
	for _, id := range ids {
		k := s.live[id]
		if k == nil || k.state != quarantine.Provisional {
			continue
		}
		if k.owners--; k.owners <= 0 && !k.maybe {
			delete(s.live, id)
			gone = append(gone, goneItem(id))
		}
	}
	s.mu.Unlock()
	return errors.Join(err, phase.Sorted(s.jrn.Set(context.WithoutCancel(ctx), gone...)))
}

// Count implements quarantine.Counter, as the shared store counts.
func (s *HoldStore) Count(ctx context.Context, q quarantine.Query, limit int) (int, error) {
	if c, ok := s.Holds.(quarantine.Counter); ok {
		return c.Count(ctx, q, limit)
	}
	return 0, errors.ErrUnsupported
}
