package holdcalls

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"postern/cmd/postern/calls"
	"postern/quarantine"
)

// Bounds of messages that are read piece by piece.
const (
	OpenMost = 8           // messages that are kept open between two pieces
	openFor  = time.Minute // how long one waits for its next piece
)

// reading keeps messages open between two pieces, so that a large one is read once and not again
// from its beginning for each of them.
type reading struct {
	mu   sync.Mutex
	open []*place
}

// place is a message that is open at some octet.
type place struct {
	id    string
	at    int64
	body  io.ReadCloser
	timer *time.Timer
}

// read reads a piece of a message of size octets.
func (o *reading) read(ctx context.Context, q *quarantine.Quarantine, ask calls.Piece, size int64) ([]byte, error) {
	x := o.take(ask)
	if x == nil {
		body, err := q.Raw(context.WithoutCancel(ctx), ask.ID) // it may outlive this call
		if err != nil {
			return nil, err
		}
		x = &place{id: ask.ID, body: body}
	}
	if n, err := io.CopyN(io.Discard, x.body, ask.Offset-x.at); err != nil {
		_ = x.body.Close() // it was read, not written
		if errors.Is(err, io.EOF) {
			return []byte{}, nil
		}
		return nil, errors.Join(err, ctx.Err())
	} else if x.at += n; ask.Limit == 0 {
		defer x.body.Close()
		return io.ReadAll(x.body)
	}
	b, err := io.ReadAll(io.LimitReader(x.body, ask.Limit))
	if x.at += int64(len(b)); err != nil || int64(len(b)) < ask.Limit || x.at >= size {
		_ = x.body.Close()
		return b, err
	}
	o.keep(x)
	return b, nil
}

// take gives the open message that is nearest before where a piece begins.
func (o *reading) take(ask calls.Piece) *place {
	o.mu.Lock()
	defer o.mu.Unlock()
	best := -1
	for i, x := range o.open {
		if x.id == ask.ID && x.at <= ask.Offset && (best < 0 || x.at > o.open[best].at) && x.at > 0 {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	return o.remove(best)
}

// remove takes the message out; who has it closes it.
func (o *reading) remove(i int) *place {
	x := o.open[i]
	x.timer.Stop()
	o.open = append(o.open[:i:i], o.open[i+1:]...)
	return x
}

// keep leaves a message open for its next piece. The one that waits longest gives way.
func (o *reading) keep(x *place) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.open) == OpenMost {
		_ = o.remove(0).body.Close()
	}
	x.timer = time.AfterFunc(openFor, func() { o.drop(x) })
	o.open = append(o.open, x)
}

func (o *reading) drop(x *place) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.open {
		if o.open[i] == x {
			_ = o.remove(i).body.Close()
			return
		}
	}
}
