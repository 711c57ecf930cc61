package auth

import (
	"context"
	"runtime"
	"sync"
	"weak"

	"postern/filter"
)

// Once makes a check that runs once for a message, however many steps of a stage want its
// results; the others wait for it. The first caller's context rules. Results are forgotten
// with the message.
func Once(c filter.Check) filter.Check {
	return &once{check: c, runs: map[runKey]*run{}}
}

type once struct {
	check filter.Check
	mu    sync.Mutex
	runs  map[runKey]*run
}

// runKey is one message; its ID and digest tell transactions apart that share one struct.
type runKey struct {
	message    weak.Pointer[filter.Message]
	id, sha256 string
}

type run struct {
	done  chan struct{}
	found []filter.Finding
	err   error
}

func (o *once) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	key := runKey{weak.Make(m), m.ID, m.SHA256}
	o.mu.Lock()
	r, running := o.runs[key]
	if !running {
		r = &run{done: make(chan struct{})}
		o.runs[key] = r
		runtime.AddCleanup(m, o.forget, key)
	}
	o.mu.Unlock()
	if !running {
		finished := false
		defer func() { // a panic goes on to the caller's recover, the waiting must not hang
			if !finished {
				r.err = &filter.CouldNot{Words: "internal fault"}
			}
			close(r.done)
		}()
		r.found, r.err = o.check.Check(ctx, m)
		finished = true
		return r.found, r.err
	}
	select {
	case <-r.done:
		return r.found, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (o *once) forget(key runKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.runs, key)
}
