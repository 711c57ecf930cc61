package clamav

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"postern/filter/clamav/instream"
)

const (
	restFirst  = 100 * time.Millisecond // between the first looks at a clamd that is not ready
	restMost   = 2 * time.Second        // between later ones
	probeMost  = 10 * time.Second       // for one look; a reload shorter than that goes unnoticed
	smallProof = 64 << 10               // below this the search for clamd's limit gives up
)

// Run looks after every endpoint until ctx ends: the canary at once, after a fault, after new
// signatures and on a timer; in between a sign of life.
func (s *Scanner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, e := range s.points {
		wg.Go(func() { s.tend(ctx, e) })
	}
	wg.Wait()
	return ctx.Err()
}

// Probe looks once at every endpoint and returns when all have answered or failed. The error
// says why none is ready.
func (s *Scanner) Probe(ctx context.Context) error {
	errs := make([]error, len(s.points))
	var wg sync.WaitGroup
	for i, e := range s.points {
		wg.Go(func() { errs[i] = s.look(ctx, e, full) })
	}
	wg.Wait()
	if s.Ready() {
		return nil
	}
	return errors.Join(errs...)
}

func (s *Scanner) tend(ctx context.Context, e *endpoint) {
	rest, last := restFirst, time.Time{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		depth := beat
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
			depth = canary
		case <-timer.C:
		}
		if time.Since(last) >= s.cfg.Canary {
			depth = full
		}
		if err := s.look(ctx, e, depth); err != nil {
			timer.Reset(rest)
			rest = min(2*rest, restMost)
			continue
		}
		rest = restFirst
		if depth == full {
			last = time.Now()
		}
		timer.Reset(min(s.cfg.Beat, s.cfg.Canary))
	}
}

// depth is how closely an endpoint is looked at.
type depth uint8

const (
	beat   depth = iota // VERSION
	canary              // and the canary
	full                // and how long a file clamd opens
)

// look looks at an endpoint: at least as closely as d says, and in full when it was not
// ready or has new signatures.
func (s *Scanner) look(ctx context.Context, e *endpoint, d depth) error {
	suspects := e.takeSuspects()
	if len(suspects) > 0 {
		d = max(d, canary)
	}
	if !e.isReady() {
		d = full
	}
	short, cancel := context.WithTimeout(ctx, min(probeMost, s.cfg.Timeout))
	defer cancel()
	line, err := e.client.Version(short)
	if err == nil && e.heard(line) {
		d = full
	}
	if err == nil && d >= canary {
		err = findCanary(short, e.client)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.down(e, err)
		return err
	}
	for _, hash := range suspects {
		s.poison.add(hash) // clamd is well: it was the message
	}
	s.up(e)
	s.age(e)
	if d == full {
		s.measure(ctx, e)
	}
	return nil
}

// findCanary is nil only if clamd finds EICAR.
func findCanary(ctx context.Context, c instream.Client) error {
	test := eicar()
	r, err := c.Scan(ctx, bytes.NewReader(test), int64(len(test)))
	if err == nil && !found(r) {
		err = errors.New("clamd does not find the EICAR test file: it has no signatures")
	}
	return err
}

// found reports that clamd found a signature: with AlertExceedsMax it also calls a file it
// did not open a find.
func found(r instream.Reply) bool {
	return r.Verdict == instream.Infected && !strings.HasPrefix(r.Signature, "Heuristics.")
}

// measure finds out how long a file clamd really opens: EICAR in a zip as long as the
// configuration promises, then half of that, and so on. "OK" to what clamd did not open looks
// like any other "OK".
func (s *Scanner) measure(ctx context.Context, e *endpoint) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	_, frame := padded(0)
	proven := int64(0)
	for size := s.most(); size >= frame; size /= 2 {
		r, length := padded(uint32(size - frame))
		reply, err := e.client.Scan(ctx, r, length)
		if err != nil {
			s.log.Warn("clamd's limits could not be measured", "endpoint", e.client.String(), "size", length, "error", err)
			return
		}
		if found(reply) {
			proven = length
			break
		}
		if size < smallProof {
			break
		}
	}
	e.mu.Lock()
	e.limit = proven
	e.mu.Unlock()
	key := "clamav/limits/" + e.client.String()
	switch {
	case proven == 0:
		s.alarm.raise(key, fmt.Sprintf("clamd at %s does not find the EICAR test file in a zip: it does not look into archives", e.client))
	case proven < s.most():
		s.alarm.raise(key, fmt.Sprintf("clamd at %s reads files of about %d bytes, the configuration says %d: longer mail is UNSCANNABLE; raise MaxFileSize and StreamMaxLength",
			e.client, proven, s.most()))
	default:
		s.alarm.end(key, fmt.Sprintf("clamd at %s reads files of %d bytes", e.client, proven))
	}
}

// age warns of old signatures.
func (s *Scanner) age(e *endpoint) {
	e.mu.Lock()
	seen := e.seen
	e.mu.Unlock()
	warn, breach := "clamav/age/"+e.client.String(), "clamav/breach/"+e.client.String()
	age, known := seen.Age(s.now())
	text := fmt.Sprintf("the signatures of clamd at %s (%s) are %d hours old", e.client, seen, int(age.Hours()))
	if known && age > s.cfg.MaxAge {
		s.alarm.raise(breach, text)
	} else {
		s.alarm.end(breach, text)
	}
	if known && age > s.cfg.WarnAge {
		s.alarm.raise(warn, text)
	} else {
		s.alarm.end(warn, text)
	}
}
