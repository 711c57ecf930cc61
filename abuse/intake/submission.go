package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"postern/abuse/intake/entry"
	"postern/abuse/proof"
)

// Submission is a report that does not come as mail.
type Submission = entry.Submission

// Take keeps a report that does not come as mail and gives it into work. The same submission
// again is the same report. Errors: entity.ErrInvalid names the field, ErrFull.
func (d *Desk) Take(ctx context.Context, s Submission) (string, error) {
	if err := s.Check(); err != nil {
		return "", err
	}
	s.Text = strings.ToValidUTF8(s.Text, "\uFFFD")
	raw, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	key := s.Key
	if key == "" {
		key = string(raw)
	}
	r := Report{ID: idOf(s.Source + "\x00" + s.Reporter + "\x00" + key), At: d.Now().UTC(), By: s.Source, From: s.Reporter, Actor: s.Actor}
	if r.Actor == "" && s.Trust > proof.T0 {
		r.Actor = s.Reporter
	}
	if err := d.keep(ctx, r, bytes.NewReader(raw)); err != nil {
		return "", err
	}
	return r.ID, d.Confirm(ctx, r.ID)
}
