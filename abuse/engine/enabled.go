package engine

import (
	"context"
	"time"
)

// enabled looks at every account again whose signals stand when a person has let a rule act: what
// it saw before speaks from then on, also against who is silent now. After a start all that counts
// is looked at anyway.
func (e *Engine) enabled(ctx context.Context) error {
	live, err := e.Desk.Rules.Live(ctx)
	if err != nil {
		return err
	}
	before := e.live
	e.live = live
	if before == nil || !began(before, live) {
		return nil
	}
	for name := range e.kept {
		e.touched[name] = true
	}
	for _, name := range e.Profiles.Since(e.Now().Add(-eventsFor)) {
		e.touched[name] = true
	}
	return nil
}

// began reports whether a rule acts now that did not, or was enabled anew.
func began(before, now map[string]time.Time) bool {
	for rule, at := range now {
		if was, ok := before[rule]; !ok || !was.Equal(at) {
			return true
		}
	}
	return false
}
