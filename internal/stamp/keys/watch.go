package keys

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// LookEvery is how often the DNS is asked about all keys.
const LookEvery = time.Hour

// Watch looks after the keys of a running server: a pending key becomes active when its
// record is seen, and a record that is gone is said.
type Watch struct {
	Store    *Store
	Resolver Resolver
	Changed  func(ctx context.Context, c Change) error // writes the audit trail
	Alert    func(key, text string, over bool)
	Log      *slog.Logger
}

// Run looks at once and then every hour until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(LookEvery)
	defer tick.Stop()
	for {
		w.Look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look reads the keys anew and asks the DNS about each.
func (w *Watch) Look(ctx context.Context) {
	err := w.Store.Reload()
	if err = errors.Join(append(w.Store.Faults(), err)...); err != nil {
		w.Alert("dkim-files", "DKIM keys cannot be read: "+err.Error(), false)
	} else {
		w.Alert("dkim-files", "", true)
	}
	for _, domain := range w.Store.Domains() {
		if ctx.Err() != nil {
			return
		}
		answers, changes, err := w.Store.Look(ctx, w.Resolver, domain)
		if err != nil && ctx.Err() == nil {
			w.Log.Error("looking after DKIM keys", "domain", domain, "err", err)
		}
		for _, c := range changes {
			w.Log.Info("DKIM key", "domain", domain, "selector", c.After.Selector, "state", string(c.After.State))
			if err := w.Changed(ctx, c); err != nil {
				w.Log.Error("audit of a DKIM key", "domain", domain, "err", err)
			}
		}
		for _, a := range answers {
			w.tell(a)
		}
	}
}

// tell says that a key signs whose record is not there. A DNS that does not answer changes
// nothing.
func (w *Watch) tell(a Answer) {
	key := "dkim-record:" + a.Record.Name
	switch {
	case a.Key.State == Active && !a.Published && !a.Unknown:
		w.Alert(key, "mail of "+a.Key.Domain+" is signed with a key that nobody can verify: "+a.Problem, false)
	case a.Key.State != Active || a.Published:
		w.Alert(key, "", true)
	}
}
