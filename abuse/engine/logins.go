package engine

import "context"

// located reads where accounts logged in, at any node.
func (e *Engine) located(ctx context.Context) error {
	if e.Logins == nil {
		return nil
	}
	now := e.Now()
	news, err := e.Logins.Next(ctx, now)
	for _, r := range news.Worked {
		e.Profiles.Login(r.Account, r.Client, r.At)
		if now.Sub(r.At) < eventsFor {
			e.touched[r.Account] = true
		}
	}
	for _, s := range news.Guessed {
		if err := e.Signals.Add(ctx, s); err != nil {
			return err
		}
	}
	return err
}
