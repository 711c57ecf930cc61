// Package clamav asks clamd whether a message carries malware. Only an answer that is
// certain counts: everything else is "could not tell" or UNSCANNABLE, never clean.
package clamav

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"postern/filter"
	"postern/filter/clamav/instream"
)

// Step is the name of this check in pipelines, ledgers and policies.
const Step = "clamav"

// The symbols this check emits.
const (
	Virus       = "VIRUS"       // clamd found a signature; the detail is its name
	Unscannable = "UNSCANNABLE" // clamd cannot read this message for certain
	Encrypted   = "ENCRYPTED"   // clamd, told to alert on it, found an encrypted part
)

// Config is what the operator sets. Zero fields take the default beside them.
type Config struct {
	Endpoints   []string      // "unix:/run/clamav/clamd.ctl" or "host:port"; the first that is ready is asked first
	Timeout     time.Duration // for one message, all attempts together; 30 s
	StreamMax   int64         // bytes clamd takes in one stream (StreamMaxLength); 25 MB
	MaxFile     int64         // bytes of the largest file clamd opens (MaxFileSize); StreamMax
	MaxScan     int64         // bytes clamd unpacks of one message (MaxScanSize); 4 x StreamMax
	Connections int           // scans at once over all endpoints; 4
	Canary      time.Duration // how often EICAR must be found; 1 h
	Beat        time.Duration // how often clamd must answer VERSION; 10 s
	WarnAge     time.Duration // signatures older than this are warned about; 24 h
	MaxAge      time.Duration // older than this is a breach; 7 days
}

// maxFrame is the longest stream of all, whatever the configuration says: clamd itself reads
// no more than 2 GB.
const maxFrame = 2 << 30

func (c Config) filled() Config {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&c.Timeout, 30*time.Second)
	or(&c.Canary, time.Hour)
	or(&c.Beat, 10*time.Second)
	or(&c.WarnAge, 24*time.Hour)
	or(&c.MaxAge, 7*24*time.Hour)
	if c.StreamMax <= 0 {
		c.StreamMax = 25e6
	}
	c.StreamMax = min(c.StreamMax, maxFrame)
	if c.MaxFile <= 0 {
		c.MaxFile = c.StreamMax
	}
	if c.MaxScan <= 0 {
		c.MaxScan = 4 * c.StreamMax
	}
	if c.Connections <= 0 {
		c.Connections = 4
	}
	return c
}

// Parts is the world around a Scanner.
type Parts struct {
	Now   func() time.Time
	Log   *slog.Logger
	Alert func(Event) // called without locks held; may be nil
}

// Event is something the operator should hear of. Over says that the trouble with this Key
// has ended.
type Event struct {
	Key, Text string
	Over      bool
}

// Result is a certain answer.
type Result struct {
	Signature   string // malware found
	Encrypted   string // clamd's name for an encrypted part, where it is told to alert on those
	Unscannable string // plain words: why it could not be read for certain
}

// Clean reports that clamd read all of it and found nothing.
func (r Result) Clean() bool { return r == Result{} }

func (r Result) findings() []filter.Finding {
	var all []filter.Finding
	for _, f := range []filter.Finding{
		{Symbol: Virus, Detail: r.Signature}, {Symbol: Encrypted, Detail: r.Encrypted}, {Symbol: Unscannable, Detail: r.Unscannable},
	} {
		if f.Detail != "" {
			all = append(all, f)
		}
	}
	return all
}

// Scanner asks the endpoints. It implements filter.Check as the step "clamav".
type Scanner struct {
	cfg    Config
	now    func() time.Time
	log    *slog.Logger
	points []*endpoint
	slots  chan struct{}
	poison *poison
	alarm  alarm
}

// New makes a scanner. It is not ready before Probe or Run has found the canary. The error
// names the first address that is none.
func New(cfg Config, parts Parts) (*Scanner, error) {
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("clamav: no address of a clamd")
	}
	cfg = cfg.filled()
	s := &Scanner{cfg: cfg, now: parts.Now, log: parts.Log, slots: make(chan struct{}, cfg.Connections)}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.poison = newPoison(s.now)
	s.alarm.send = parts.Alert
	for _, text := range cfg.Endpoints {
		c, err := instream.Parse(text)
		if err != nil {
			return nil, err
		}
		s.points = append(s.points, &endpoint{client: c, wake: make(chan struct{}, 1)})
	}
	return s, nil
}

// most is the longest stream clamd is trusted with by configuration.
func (s *Scanner) most() int64 { return min(s.cfg.StreamMax, s.cfg.MaxFile) }

// Check scans the message as it came, and after that every other reading of its parts. When
// something is found it says in which parts.
func (s *Scanner) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	if s.poison.bad(m.SHA256) {
		return Result{Unscannable: "clamd failed on this message several times"}.findings(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	r, err := s.scan(ctx, m.Open(), m.Size, m.SHA256)
	if err == nil && r.Clean() {
		r, err = s.hidden(ctx, m)
	}
	if err == nil && r.Signature != "" {
		return s.locate(ctx, m, r.Signature), nil
	}
	return r.findings(), err
}

// Scan scans one stream: for releases and wherever there is no message. The error is a
// filter.PlainError.
func (s *Scanner) Scan(ctx context.Context, r io.ReaderAt, size int64) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return s.scan(ctx, r, size, "")
}

// scan asks one endpoint, and a second one if the first cannot answer.
func (s *Scanner) scan(ctx context.Context, body io.ReaderAt, size int64, hash string) (Result, error) {
	if size > s.most() {
		return tooLarge(size, s.most()), nil
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return Result{}, &filter.CouldNot{Words: "clamd was busy", Cause: ctx.Err()}
	}
	points, limit := s.candidates(size)
	if len(points) == 0 {
		if limit > 0 {
			return tooLarge(size, limit), nil
		}
		return Result{}, &filter.CouldNot{Words: "clamd is not ready"}
	}
	const attempts = 2
	var err error
	for i := range min(attempts, len(points)) {
		var r Result
		r, err = s.attempt(ctx, points[i], body, size, hash, i+1 < min(attempts, len(points)))
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return Result{}, &filter.CouldNot{Words: words(err), Cause: err}
}

func tooLarge(size, limit int64) Result {
	return Result{Unscannable: fmt.Sprintf("%d bytes; clamd reads %d", size, limit)}
}

// attempt asks one endpoint. With another one left it gets half of the time there is.
func (s *Scanner) attempt(ctx context.Context, e *endpoint, body io.ReaderAt, size int64, hash string, more bool) (Result, error) {
	whole := ctx
	if at, ok := ctx.Deadline(); ok && more {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(at)/2)
		defer cancel()
	}
	reply, err := e.client.Scan(ctx, body, size)
	if err == nil {
		s.poison.clear(hash)
		return s.judge(e, reply, size), nil
	}
	var fault *instream.Error
	if !errors.As(err, &fault) || fault.Kind == instream.Unreadable || errors.Is(whole.Err(), context.Canceled) {
		return Result{}, err // our own fault, or the client has gone: not clamd's
	}
	s.log.Warn("clamd gave no answer", "endpoint", e.client.String(), "size", size, "sha256", hash, "error", err)
	switch fault.Kind {
	case instream.Unreachable:
		s.down(e, err)
	case instream.Crashed:
		s.poison.add(hash)
	case instream.TimedOut:
		e.suspect(hash)
	}
	e.nudge()
	return Result{}, err
}

// words says in plain words why there is no answer.
func words(err error) string {
	var fault *instream.Error
	if !errors.As(err, &fault) {
		return "could not be done"
	}
	switch fault.Kind {
	case instream.Unreachable:
		return "clamd could not be reached"
	case instream.TimedOut:
		return "timed out"
	case instream.Crashed:
		return "clamd ended without an answer"
	case instream.Refused:
		return "clamd reported an error"
	case instream.Unreadable:
		return "the message could not be read"
	default:
		return "clamd gave no valid answer"
	}
}
