package glue

import (
	"errors"
	"io"
	"log/slog"
	"time"

	"postern/filter"
	"postern/internal/canon"
	"postern/internal/stamp"
	"postern/internal/stamp/keys"
	"postern/internal/stamp/seal"
	"postern/internal/stamp/sign"
)

// Sealer seals inbound mail with the key of one domain; it implements stamp.Sealer.
type Sealer struct {
	Domain     string
	AuthservID string
	Keys       interface {
		Active(domain string) ([]keys.Private, error)
	}
	Now func() time.Time
	Log *slog.Logger
}

// Seal implements stamp.Sealer. A chain that cannot be gone on with is no fault of ours: the
// message goes on without a set.
func (s *Sealer) Seal(block []byte, m *filter.Message, open func() (io.Reader, error)) ([]byte, error) {
	all, err := s.Keys.Active(s.Domain)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("there is no active key of " + s.Domain + ": make one with \"postern dkim add\"")
	}
	r, err := open()
	if err != nil {
		return nil, err
	}
	one := seal.Sealer{Domain: all[0].Domain, Selector: all[0].Selector, AuthservID: s.AuthservID, Key: all[0].Signer}
	validated := stamp.Result(block, "arc")
	if validated == "" {
		validated = "none" // no chain, no result
	}
	fields, err := one.Seal(r, validated, sign.Moment(m, s.Now()))
	for _, reason := range []error{seal.ErrFailed, seal.ErrFull, seal.ErrUnknown, seal.ErrNoResults, seal.ErrOther, canon.ErrTooLarge} {
		if errors.Is(err, reason) {
			s.Log.Debug("not sealed", "message", m.ID, "why", err)
			return nil, nil
		}
	}
	return fields, err
}
