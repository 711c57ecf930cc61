package zone

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Health is the state of one DNS list.
type Health struct {
	Name  string    `json:"name"`
	Zone  string    `json:"zone"` // without key
	Of    Kind      `json:"of"`
	On    bool      `json:"on"`    // its answers count
	Fault string    `json:"fault"` // why they do not
	Since time.Time `json:"since"` // of this state
}

// Health returns the state of the list.
func (z *Zone) Health() Health {
	z.mu.Lock()
	defer z.mu.Unlock()
	return Health{Name: z.name, Zone: z.zone, Of: z.of, On: z.on, Fault: z.fault, Since: z.since}
}

const testTime = 10 * time.Second

// Test is the self-test of RFC 5782: the entry for testing is listed, the other is not.
func (z *Zone) Test(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	listed, unlisted := z.probes()
	var yes, no, stray Answer
	var errs [3]error
	var wg sync.WaitGroup
	wg.Go(func() { yes, errs[0] = z.ask(ctx, listed) })
	wg.Go(func() { no, errs[1] = z.ask(ctx, unlisted) })
	wg.Go(func() { stray, errs[2] = z.ask(ctx, z.stray()) })
	wg.Wait()
	switch {
	case errors.Join(errs[:]...) != nil:
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
	case len(no.Addrs) > 0 || len(stray.Addrs) > 0:
		return errors.New("lists everything")
	case len(yes.Addrs) == 0:
		return errors.New("does not know its own test entry")
	}
	return nil
}

// Turn notes the outcome of a test and reports whether the list changed sides.
func (z *Zone) Turn(err error, now time.Time) (changed bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	changed = z.on != (err == nil) || !z.tested && err != nil
	if changed || !z.tested {
		z.since = now
	}
	z.on, z.tested, z.misses, z.fault = err == nil, true, 0, ""
	if err != nil {
		z.fault = err.Error()
	}
	return changed
}

const missesMost = 5

// Missed counts a failed answer and reports whether the list is to be switched off: at once
// when it says itself that it is not well, after some when it is only silent.
func (z *Zone) Missed(err error) bool {
	var sick *errList
	z.mu.Lock()
	defer z.mu.Unlock()
	z.misses++
	return errors.As(err, &sick) || z.misses >= missesMost
}

// Answered forgets earlier failures.
func (z *Zone) Answered() {
	z.mu.Lock()
	z.misses = 0
	z.mu.Unlock()
}

// On reports whether the list's answers count, and if not, why.
func (z *Zone) On() (on bool, fault string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.on, z.fault
}

// proofs makes sure of a hit: a list that turns to listing everything must not cost anybody
// his mail until the next self-test. Every hit waits for a stray question begun after it;
// hits that come together share one.
type proofs struct {
	mu      sync.Mutex
	running *proof
	next    *proof
}

type proof struct {
	done chan struct{}
	err  error
}

const proofTime = 3 * time.Second

// Prove waits for a proof that was begun after the call; nil means that a hit counts.
func (z *Zone) Prove(ctx context.Context) error {
	z.proofs.mu.Lock()
	p := z.proofs.next
	if p == nil {
		p = &proof{done: make(chan struct{})}
		z.proofs.next = p
		if z.proofs.running == nil {
			z.startProof(ctx)
		}
	}
	z.proofs.mu.Unlock()
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startProof runs the next proof, and the one that gathers meanwhile. The lock is held. The
// question is nobody's own, so it outlives the message that began it.
func (z *Zone) startProof(ctx context.Context) {
	p := z.proofs.next
	z.proofs.running, z.proofs.next = p, nil
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), proofTime)
	go func() {
		defer cancel()
		a, err := z.ask(own, z.stray())
		if err == nil && len(a.Addrs) > 0 {
			err = &errList{"lists everything"}
		}
		p.err = err
		close(p.done)
		z.proofs.mu.Lock()
		defer z.proofs.mu.Unlock()
		z.proofs.running = nil
		if z.proofs.next != nil {
			z.startProof(ctx)
		}
	}()
}
