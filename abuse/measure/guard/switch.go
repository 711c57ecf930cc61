package guard

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"postern/internal/entity"
)

// switchID is the record of the kill switch.
const switchID = "switch"

// SwitchEvery is how often a node looks at the switch; SwitchBlind for how long automation goes
// on while the store does not say how the switch stands.
const (
	SwitchEvery = time.Second
	SwitchBlind = 15 * time.Second
)

// Switch turns automation off on all nodes: a record in the store, or a file on one node that is
// read without the store. Nothing automatic is in force while it is off; what people asked for
// stays.
type Switch struct {
	records entity.Table[record]
	file    string // "" = none
	now     func() time.Time
	audit   Audit

	off  atomic.Bool  // the record says off
	here atomic.Bool  // the file is there
	seen atomic.Int64 // Unix seconds of the last look at the store
}

// NewSwitch makes one. Look or Run tells it how the switch stands.
func NewSwitch(store entity.Store, file string, now func() time.Time, audit Audit) *Switch {
	return &Switch{records: table(store), file: file, now: now, audit: audit}
}

// Off reports whether automation is switched off, as far as this node knows.
func (s *Switch) Off() bool { return s.off.Load() || s.here.Load() }

// Closed reports whether no new measure may be taken: it is off, or nobody can tell.
func (s *Switch) Closed() bool {
	return s.Off() || s.now().Unix()-s.seen.Load() > int64(SwitchBlind/time.Second)
}

// Look reads file and record.
func (s *Switch) Look(ctx context.Context) error {
	if s.file != "" {
		_, err := os.Stat(s.file)
		s.here.Store(err == nil || !errors.Is(err, fs.ErrNotExist)) // a file that cannot be looked at is there
	}
	row, err := s.records.Get(ctx, switchID)
	if err != nil && !errors.Is(err, entity.ErrNotFound) {
		return err
	}
	s.off.Store(row.Value.Off)
	s.seen.Store(s.now().Unix())
	return nil
}

// Run looks every second until ctx ends. While the store is away the file still counts.
func (s *Switch) Run(ctx context.Context) error {
	tick := time.NewTicker(SwitchEvery)
	defer tick.Stop()
	for {
		look, cancel := context.WithTimeout(ctx, 2*time.Second)
		_ = s.Look(look) // Closed says what follows from a store that is away
		cancel()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Set turns automation off or on again, on all nodes.
func (s *Switch) Set(ctx context.Context, off bool, actor, reason string) error {
	if err := ensure(ctx, s.records, switchID); err != nil {
		return err
	}
	before := false
	if _, err := s.records.Change(ctx, switchID, func(g *record) error {
		before = g.Off
		g.Off, g.By, g.At, g.Reason = off, actor, s.now().UTC(), reason
		return nil
	}); err != nil {
		return err
	}
	s.off.Store(off)
	action := "automation-on"
	if off {
		action = "automation-off"
	}
	return s.audit(ctx, actor, action, "automation", before, off, reason)
}

// SwitchState is how the switch stands.
type SwitchState struct {
	Off    bool      `json:"off"`
	File   bool      `json:"file"` // the file is there on this node
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// State reads how the switch stands.
func (s *Switch) State(ctx context.Context) (SwitchState, error) {
	if err := s.Look(ctx); err != nil {
		return SwitchState{}, err
	}
	row, err := s.records.Get(ctx, switchID)
	if errors.Is(err, entity.ErrNotFound) {
		err = nil
	}
	g := row.Value
	return SwitchState{Off: s.Off(), File: s.here.Load(), By: g.By, At: g.At, Reason: g.Reason}, err
}
