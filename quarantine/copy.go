package quarantine

import (
	"context"
	"fmt"

	"postern/filter"
	"postern/internal/said"
)

// Copy sends a copy of a hold to one address, scanned for viruses again, and leaves the hold as it
// is. Errors: ErrNotFound, ErrEnded, ErrNotReleasable, ErrNotSent, or a fault of the store.
func (q *Quarantine) Copy(ctx context.Context, id, to, actor string) (reply string, err error) {
	h, err := q.Show(ctx, id)
	switch {
	case err != nil:
		return "", err
	case h.State.Ended():
		return "", said.Errorf("hold.it-was", "%w: it was %s", "kind", ErrEnded, "state", h.State)
	case h.Class == Evidence || q.cfg.Send == nil || q.cfg.Rescan == nil:
		return "", ErrNotReleasable
	}
	if err := q.audit(ctx, Event{Actor: actor, Action: "release-copy", Object: id, Note: fmt.Sprintf("to %q, sha256 %s", to, h.SHA256)}); err != nil {
		return "", err
	}
	// The route of that address leads, as for mail that comes in.
	h.To, h.Direction, h.Client.Account = []string{to}, filter.Inbound.String(), ""
	reply, err = q.send(ctx, h)
	if err != nil {
		q.cfg.Log.Warn("a copy of a hold was not sent", "hold", id, "to", to, "error", err)
		return "", said.Errorf("detail", "%w: %s", "kind", ErrNotSent, "what", plain(err))
	}
	return reply, nil
}
