package phase

import (
	"context"
	"errors"
)

// Work is what one kind of entries does in a Step.
type Work struct {
	Ends    func(ctx context.Context) error // brings what has ended here
	Live    func() []string                 // the open entries of this node
	Waiting func() []string                 // those that the shared store was never told of
	Known   func() []string                 // all that the journal has, ended ones too

	Bring, Compare, Entomb func(ctx context.Context, ids []string) error
}

// Step brings to the shared store what it is time for, and compares a few more entries. What
// fails is tried again in the next one.
func (p *Phases) Step(ctx context.Context, w Work) error {
	ends, live, born := p.Due()
	if ends {
		if err := w.Ends(ctx); err != nil {
			return err
		}
		p.Done(true, false, born)
	}
	bring := func(ids []string) error { return w.Bring(ctx, ids) }
	if live {
		if err := Batches(ctx, w.Live(), bring); err != nil {
			return err
		}
		p.Done(false, true, born)
	}
	if err := Batches(ctx, w.Waiting(), bring); err != nil {
		return err
	}
	ids := p.Scrub(w.Known)
	if len(ids) == 0 {
		return nil
	}
	return errors.Join(w.Compare(ctx, ids), w.Entomb(ctx, ids))
}
