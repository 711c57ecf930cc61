package clamav

import (
	"sync"
	"time"

	"postern/filter/clamav/instream"
)

// endpoint is one clamd and what is known of it. Mail is only given to one that has found
// the canary; the trial of one that failed is the canary again, so no mail pays for it.
type endpoint struct {
	client instream.Client
	wake   chan struct{} // a word that it should be looked at now

	mu       sync.Mutex
	ready    bool
	fault    string // why it is not ready
	limit    int64  // longest stream in which the canary was found; 0 = not tried yet
	line     string // its reply to VERSION
	seen     Signatures
	suspects []string // bodies whose scan timed out since the last look
}

const suspectsMost = 64

// suspect notes a body whose scan timed out. Whether that was the body's fault or clamd's is
// known when the canary was sent.
func (e *endpoint) suspect(hash string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if hash != "" && len(e.suspects) < suspectsMost {
		e.suspects = append(e.suspects, hash)
	}
}

func (e *endpoint) takeSuspects() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.suspects
	e.suspects = nil
	return all
}

// nudge asks for a look soon.
func (e *endpoint) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *endpoint) isReady() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ready
}

// heard notes the version line and reports whether it is another one than before.
func (e *endpoint) heard(line string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	changed := line != e.line
	e.line, e.seen = line, ParseVersion(line, time.Local)
	return changed
}

// candidates are the endpoints that may be given a stream of this size, in their order.
// Where all that are ready read less, limit is the most that one of them reads.
func (s *Scanner) candidates(size int64) (points []*endpoint, limit int64) {
	for _, e := range s.points {
		e.mu.Lock()
		switch {
		case !e.ready:
		case e.limit > 0 && size > e.limit:
			limit = max(limit, e.limit)
		default:
			points = append(points, e)
		}
		e.mu.Unlock()
	}
	return points, limit
}

// down takes an endpoint out until it has found the canary again.
func (s *Scanner) down(e *endpoint, err error) {
	e.mu.Lock()
	e.ready, e.fault = false, err.Error()
	e.mu.Unlock()
	s.alarm.raise("clamav/down/"+e.client.String(), "clamd at "+e.client.String()+" does not scan: "+err.Error())
}

// up lets mail through to an endpoint.
func (s *Scanner) up(e *endpoint) {
	e.mu.Lock()
	first := !e.ready
	e.ready, e.fault = true, ""
	e.mu.Unlock()
	s.alarm.end("clamav/down/"+e.client.String(), "clamd at "+e.client.String()+" scans")
	if first {
		s.log.Info("clamd is ready", "endpoint", e.client.String())
	}
}

// Ready reports whether at least one endpoint has found the canary.
func (s *Scanner) Ready() bool {
	for _, e := range s.points {
		if e.isReady() {
			return true
		}
	}
	return false
}

// signatures are those of the endpoint that is asked first.
func (s *Scanner) signatures() Signatures {
	var known Signatures
	for _, e := range s.points {
		e.mu.Lock()
		ready, seen := e.ready, e.seen
		e.mu.Unlock()
		if ready {
			return seen
		}
		if known == (Signatures{}) {
			known = seen
		}
	}
	return known
}

// Version is "ClamAV 1.4.6/27000/2026-11-22" of the endpoint asked first, with "unknown" for
// what it does not say.
func (s *Scanner) Version() string { return s.signatures().String() }

// Age is how old the signatures are; ok is false where clamd does not say.
func (s *Scanner) Age() (age time.Duration, ok bool) { return s.signatures().Age(s.now()) }

// Health is the state of one endpoint.
type Health struct {
	Endpoint string
	Ready    bool
	Fault    string // why it is not ready
	Version  string
	Limit    int64 // longest stream in which the canary was found; 0 = not tried yet
}

// Health returns the state of every endpoint in their order.
func (s *Scanner) Health() []Health {
	all := make([]Health, 0, len(s.points))
	for _, e := range s.points {
		e.mu.Lock()
		all = append(all, Health{e.client.String(), e.ready, e.fault, e.seen.String(), e.limit})
		e.mu.Unlock()
	}
	return all
}

// alarm tells the operator once about each trouble and once about its end.
type alarm struct {
	send func(Event)
	mu   sync.Mutex
	on   map[string]bool
}

func (a *alarm) raise(key, text string) { a.turn(Event{Key: key, Text: text}) }
func (a *alarm) end(key, text string)   { a.turn(Event{Key: key, Text: text, Over: true}) }

func (a *alarm) turn(ev Event) {
	a.mu.Lock()
	was := a.on[ev.Key]
	if a.on == nil {
		a.on = map[string]bool{}
	}
	a.on[ev.Key] = !ev.Over
	a.mu.Unlock()
	if was == ev.Over && a.send != nil {
		a.send(ev)
	}
}
