package notice

import (
	"context"
	"time"

	"postern/abuse/cases"
	"postern/internal/said"
)

// Bounds of sending a letter again.
const (
	AgainMost  = 3
	AgainEvery = time.Hour
)

// MayResend says why a letter is not sent again, or nil: only what came back is, three times, an
// hour apart.
func (n Notice) MayResend(now time.Time) error {
	switch {
	case n.State != Failed:
		return said.Errorf("notice.only-what-came-back-is", "%w: only what came back is", "kind", ErrAgain)
	case n.Again >= AgainMost:
		return said.Errorf("notice.it-was-sent-again-times", "%w: it was sent again %d times", "kind", ErrAgain, "again", n.Again)
	case now.Sub(n.Sent) < AgainEvery:
		return said.Errorf("notice.it-was-sent-less-than-an-hour", "%w: it was sent less than an hour ago", "kind", ErrAgain)
	}
	return nil
}

// Resend hands a letter that came back to the outbox once more, as it was. The error is ErrAgain
// where it is not sent.
func (d *Desk) Resend(ctx context.Context, who cases.Actor, id, why string) (Notice, error) {
	row, err := d.table().Change(ctx, id, func(n *Notice) error {
		if err := n.MayResend(d.Now()); err != nil {
			return err
		}
		n.State, n.Why, n.Again, n.AgainBy = Queued, "", n.Again+1, who.Name
		return nil
	})
	if err != nil {
		return row.Value, err
	}
	if err := d.Audit(ctx, who.Name, "notice-again", row.Value.Case, nil, map[string]string{"notice": id, "to": row.Value.To}, why); err != nil {
		return row.Value, err
	}
	return d.hand(ctx, row.Value)
}
