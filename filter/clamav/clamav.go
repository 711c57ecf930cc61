// Package clamav asks clamd whether a message carries malware. Only an answer that is
// certain counts: everything else is "could not tell" or UNSCANNABLE, never clean.
package clamav

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"postern/filter"
)

// The symbols this check emits.
const (
	Virus       = "VIRUS"       // clamd found a signature; the detail is its name
	Unscannable = "UNSCANNABLE" // clamd cannot read this message for certain
)

// Config is what the operator sets.
type Config struct {
	Endpoints []string      // "unix:/run/clamav/clamd.ctl" or "host:port", asked in turn
	Timeout   time.Duration // for one message, all attempts together
	StreamMax int64         // bytes; clamd's StreamMaxLength and MaxFileSize are at least this
	ScanMax   int64         // bytes; clamd's MaxScanSize is at least this; 0 = 4 x StreamMax
	Parallel  int           // scans at once over all endpoints; 0 = 4
	Canary    time.Duration // how often EICAR must be found; 0 = 1 h
	WarnAge   time.Duration // signatures older than this are warned about; 0 = 24 h
	MaxAge    time.Duration // older than this is a breach; 0 = 7 days
}

// Parts is the world around a Scanner.
type Parts struct {
	Now   func() time.Time
	Log   *slog.Logger
	Alert func(Event) // may be nil
}

// Event is something the operator should hear of. Over says that the trouble with this Key
// has ended.
type Event struct {
	Key, Text string
	Over      bool
}

// Scanner asks the endpoints. It implements filter.Check as the step "clamav".
type Scanner struct{ cfg Config }

// New makes a scanner. Run must be running before it becomes ready.
func New(cfg Config, parts Parts) (*Scanner, error) { return nil, errors.New("not written yet") }

// Run probes every endpoint until ctx ends: EICAR canary, version, signature age.
func (s *Scanner) Run(ctx context.Context) error { return nil }

// Ready reports whether at least one endpoint has found the canary.
func (s *Scanner) Ready() bool { return false }

// Version is "ClamAV 1.4.6/27000/2026-11-22", with "unknown" for what clamd does not say.
func (s *Scanner) Version() string { return "unknown" }

// Check scans the message.
func (s *Scanner) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	return nil, errors.New("not written yet")
}

// Scan scans one stream; used for releases and by the scan command. Signature is empty when
// clean.
func (s *Scanner) Scan(ctx context.Context, r io.ReaderAt, size int64) (Result, error) {
	return Result{}, errors.New("not written yet")
}

// Result is a certain answer.
type Result struct {
	Signature   string // found malware
	Unscannable string // why it could not be read for certain
}

// Clean reports that clamd read all of it and found nothing.
func (r Result) Clean() bool { return r.Signature == "" && r.Unscannable == "" }
