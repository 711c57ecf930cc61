package engine

import (
	"context"

	"postern/abuse/behaviour"
)

// Standing is how an account sends, and how much speaks against it.
type Standing struct {
	behaviour.Overview
	Score int `json:"score"`
}

// Refresh reads what is new without acting on it, so that a node that does not run Step knows
// what it shows. It reads nothing twice.
func (e *Engine) Refresh(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.Now()
	if d := now.Sub(e.read); d >= 0 && d < Every {
		return nil
	}
	_, err := e.news(ctx)
	return err
}

// Standings are those of all accounts that are known, by name.
func (e *Engine) Standings(ctx context.Context) ([]Standing, error) {
	if err := e.Refresh(ctx); err != nil {
		return nil, err
	}
	all := e.Profiles.All("", e.Now())
	out := make([]Standing, len(all))
	for i, o := range all {
		j, err := e.Judge(ctx, o.Account)
		if err != nil {
			return nil, err
		}
		out[i] = Standing{o, j.Score}
	}
	return out, nil
}
