// Package work does what takes longer than a reader should wait for a page: with progress, a
// way to stop it, and a result that is kept for a while. Any room of the desk can use it.
package work

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Bounds of the work of one node.
const (
	MaxRunning = 16
	MaxOf      = 4         // running, of one user
	MaxKept    = 200       // results in all; the oldest gives way
	MaxLines   = 500       // of a result
	MaxFile    = 32 << 20  // octets of a result's file
	Keep       = time.Hour // how long a result is kept
	MaxTime    = time.Hour // how long a task may take
)

// Errors of Begin and of the others.
var (
	ErrBusy = errors.New("too much is being worked on already")
	ErrNone = errors.New("there is no such work, or no longer")
)

// Task is something that takes a while.
type Task struct {
	Title string // said already
	Here  string // key of the menu item that it belongs to
	Back  string // where the reader goes on, a path of the desk
	// Run does it under the rights of whoever began it. It says how far it is now and then, and
	// ends when ctx does; a result beside an error is kept as well.
	Run func(ctx context.Context, far func(done, of int)) (Result, error)
}

// Result is what a task came to.
type Result struct {
	Said  string   // in a sentence, said already
	Bad   bool     // not all of it went well
	Lines []string // one for each thing worth naming; text of strangers is fine
	File  *File
}

// File is a result to be saved.
type File struct {
	Name, Type string
	Body       []byte
}

// State is how a piece of work is doing.
type State struct {
	ID, Owner string
	Task      Task
	Began     time.Time
	Ended     time.Time // zero: it goes on
	Done, Of  int
	Stopping  bool
	Stopped   bool // by a person, before it was through
	Failed    error
	Result    Result
}

// Running reports whether it goes on.
func (s State) Running() bool { return s.Ended.IsZero() }

// Percent is how far it is; -1 where nobody knows.
func (s State) Percent() int {
	if s.Of <= 0 {
		return -1
	}
	return min(100, 100*s.Done/s.Of)
}

// Desk is the work of one node.
type Desk struct {
	Now func() time.Time
	Log *slog.Logger

	mu  sync.Mutex
	all map[string]*piece
}

type piece struct {
	state State
	stop  context.CancelFunc
	done  chan struct{}
}

// Begin starts a task for its owner. It goes on when the request that began it is over.
func (d *Desk) Begin(ctx context.Context, owner string, t Task) (id string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget()
	running, own := 0, 0
	for _, p := range d.all {
		if p.state.Running() {
			running++
			if p.state.Owner == owner {
				own++
			}
		}
	}
	if running >= MaxRunning || own >= MaxOf {
		return "", ErrBusy
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), MaxTime)
	p := &piece{state: State{ID: rand.Text(), Owner: owner, Task: t, Began: d.Now()}, stop: stop, done: make(chan struct{})}
	if d.all == nil {
		d.all = map[string]*piece{}
	}
	d.all[p.state.ID] = p
	go d.run(ctx, p)
	return p.state.ID, nil
}

// forget drops results that are old, or too many. The lock is held.
func (d *Desk) forget() {
	now := d.Now()
	var oldest *piece
	ended := 0
	for id, p := range d.all {
		if p.state.Running() {
			continue
		}
		if now.Sub(p.state.Ended) >= Keep {
			delete(d.all, id)
			continue
		}
		if ended++; oldest == nil || p.state.Ended.Before(oldest.state.Ended) {
			oldest = p
		}
	}
	if ended >= MaxKept {
		delete(d.all, oldest.state.ID)
	}
}

func (d *Desk) run(ctx context.Context, p *piece) {
	defer p.stop()
	defer close(p.done)
	res, err := d.try(ctx, p)
	if len(res.Lines) > MaxLines {
		res.Lines = res.Lines[:MaxLines]
	}
	if res.File != nil && len(res.File.Body) > MaxFile {
		res.File, err = nil, errors.Join(err, errors.New("the file would be too large"))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p.state.Ended, p.state.Result = d.Now(), res
	if err == nil {
		return
	}
	if p.state.Stopping && errors.Is(err, context.Canceled) {
		p.state.Stopped = true
		return
	}
	p.state.Failed = err
	d.Log.Error("work of the desk failed", "task", p.state.Task.Title, "owner", p.state.Owner, "error", err)
}

// try runs the task; one that breaks is one that failed.
func (d *Desk) try(ctx context.Context, p *piece) (res Result, err error) {
	defer func() {
		if r := recover(); r != nil {
			d.Log.Error("work of the desk broke", "task", p.state.Task.Title, "panic", r)
			err = errors.New("it broke")
		}
	}()
	return p.state.Task.Run(ctx, func(done, of int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		p.state.Done, p.state.Of = done, of
	})
}

// find is a piece of its owner; the lock is held. To others it is not there.
func (d *Desk) find(owner, id string) (*piece, error) {
	p := d.all[id]
	if p == nil || p.state.Owner != owner || !p.state.Running() && d.Now().Sub(p.state.Ended) >= Keep {
		return nil, ErrNone
	}
	return p, nil
}

// Show returns how the work of an owner is doing.
func (d *Desk) Show(owner, id string) (State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.find(owner, id)
	if err != nil {
		return State{}, err
	}
	return p.state, nil
}

// Stop asks the work to end. What is done stays done.
func (d *Desk) Stop(owner, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.find(owner, id)
	if err == nil && p.state.Running() {
		p.state.Stopping = true
		p.stop()
	}
	return err
}

// Wait returns when the work is over, or ctx.
func (d *Desk) Wait(ctx context.Context, owner, id string) error {
	d.mu.Lock()
	p, err := d.find(owner, id)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
