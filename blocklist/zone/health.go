package zone

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"postern/internal/dns"
)

// Health is the state of one DNS list.
type Health struct {
	Name  string    `json:"name"`
	Zone  string    `json:"zone"` // without key
	Of    Kind      `json:"of"`
	On    bool      `json:"on"`    // its answers count
	Fault string    `json:"fault"` // why they do not
	Since time.Time `json:"since"` // of this state; zero before the first test
	IPv6  bool      `json:"ipv6"`  // it has the test entry for IPv6
	Tally Tally     `json:"tally"`
}

// Health returns the state of the list.
func (z *Zone) Health() Health {
	z.mu.Lock()
	defer z.mu.Unlock()
	return Health{Name: z.name, Zone: z.zone, Of: z.of, On: z.on, Fault: z.fault, Since: z.since, IPv6: z.ipv6, Tally: z.tally}
}

const testTime = 10 * time.Second

// Test is the self-test of RFC 5782 (sections 5 and 6): the entry for testing is listed, what
// must not be listed is not, nor a stray name. What the cache holds does not count.
func (z *Zone) Test(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(dns.Fresh(ctx), testTime)
	defer cancel()
	all := z.probes()
	answers, errs := make([]Answer, len(all)), make([]error, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { answers[i], errs[i] = z.ask(ctx, p.label) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	known := true
	for i, p := range all {
		listed := len(answers[i].Addrs) > 0
		switch p.must {
		case never:
			if listed {
				return errors.New("lists everything")
			}
		case always:
			known = listed
		case perhaps:
			z.mu.Lock()
			z.ipv6 = listed
			z.mu.Unlock()
		}
	}
	if !known {
		return errors.New("does not know its own test entry")
	}
	return nil
}

type must uint8

const (
	always must = iota
	never
	perhaps
)

// probe is one question of the self-test.
type probe struct {
	label string
	must  must
}

func (z *Zone) probes() []probe {
	if z.of != OfIP {
		return []probe{{"test", always}, {"invalid", never}, {z.stray(), never}}
	}
	return []probe{
		{Reversed(netip.MustParseAddr("127.0.0.2")), always}, {Reversed(localhost), never}, {z.stray(), never},
		{reversed6("::ffff:7f00:2"), perhaps}, {reversed6("::ffff:7f00:1"), never},
	}
}

// reversed6 is the name of a mapped address by its nibbles, as IPv6 lists have it.
func reversed6(addr string) string { return nibbles(netip.MustParseAddr(addr).As16()) }

// stray is a label that no sane list knows and no cache has seen.
func (z *Zone) stray() string {
	if z.of == OfIP {
		return Reversed(netip.AddrFrom4([4]byte{127, byte(64 + rand.N(128)), byte(rand.N(256)), byte(rand.N(256))}))
	}
	return fmt.Sprintf("x%08x.invalid", rand.Uint32())
}

// cacheTime is at least how long an answer may stay in a cache of ours.
const cacheTime = 65 * time.Minute

// Turn notes the outcome of a test and reports whether the list changed sides.
func (z *Zone) Turn(err error, now time.Time) (changed bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if err == nil && z.tested && !z.on {
		z.suspect = now.Add(cacheTime)
	}
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

// Missed counts a message to which the list did not answer. It reports whether the list is
// to be switched off, because it says itself that it is not well, and whether it is to be
// tested: after some silence in a row. Silence alone proves nothing: a name that a stranger
// made up may be what the list does not answer to.
func (z *Zone) Missed(err error) (off, test bool) {
	var sick *errList
	off = errors.As(err, &sick)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.misses++
	return off, off || z.misses >= missesMost
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

// OffFor is how long the list has been switched off after a test that failed; 0 while it is
// on or was never tested.
func (z *Zone) OffFor(now time.Time) time.Duration {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.on || !z.tested {
		return 0
	}
	return now.Sub(z.since)
}

// wasOff reports whether the list was switched off so lately that the cache may still hold
// what it said then.
func (z *Zone) wasOff(now time.Time) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return now.Before(z.suspect)
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
// question is nobody's own, so it outlives the message that began it and is not charged to it.
func (z *Zone) startProof(ctx context.Context) {
	p := z.proofs.next
	z.proofs.running, z.proofs.next = p, nil
	own, cancel := context.WithTimeout(dns.Fresh(dns.WithBudget(context.WithoutCancel(ctx), nil)), proofTime)
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
