package glue

import (
	"context"
	"io"

	"postern/filter/clamav"
	"postern/quarantine"
)

// Rescan looks for viruses again before a release; without a scanner there is none to ask.
// Probe: nothing else asks whether the scanner is there.
func Rescan(s *clamav.Scanner, probe bool) func(ctx context.Context, h quarantine.Hold, body io.ReaderAt) (quarantine.ScanResult, error) {
	return func(ctx context.Context, h quarantine.Hold, body io.ReaderAt) (quarantine.ScanResult, error) {
		if s == nil {
			return quarantine.ScanResult{}, nil
		}
		if probe {
			if err := s.Probe(ctx); err != nil {
				return quarantine.ScanResult{}, err
			}
		}
		r, err := s.Scan(ctx, body, h.Size)
		if err != nil || r.Signature == "" {
			return quarantine.ScanResult{}, err
		}
		return quarantine.ScanResult{Infected: true, Name: r.Signature}, nil
	}
}
